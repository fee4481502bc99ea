// Runs the slow fits in a thread made for them and thrown away: whatever a library does (diverge, loop, leak, eat the
// memory) ends with that thread, and neither the engine nor a request waits for it.

import { Worker } from 'node:worker_threads';
import type { ForecastMethod } from './forecast.ts';
import { type ForetoldPath, foretold } from './path-model.ts';
import type { SlowFit, SlowFitRequest, SlowMethod } from './slow-fits.ts';

/** Far above what 2,000 values need (some 100 MB), far below what would hurt the proxy beside it. */
const LIMITS = { maxOldGenerationSizeMb: 256, maxYoungGenerationSizeMb: 32, stackSizeMb: 8 } as const;

export interface DisposableFit {
  /** To be given to `SeriesForecaster.retrain`. */
  readonly methods: readonly ForecastMethod[];
  /** Methods that gave nothing, for the counter of replaced forecasts. */
  readonly failed: readonly SlowMethod[];
  /** Why all failed, when the thread itself did. */
  readonly problem?: string;
}

/** Fits in a thread of its own; resolves within `timeoutMs` and never rejects. */
export function fitInThread(request: SlowFitRequest, timeoutMs: number): Promise<DisposableFit> {
  return new Promise((resolve) => {
    const worker = new Worker(new URL('./disposable-fit-worker.ts', import.meta.url), {
      workerData: request,
      resourceLimits: LIMITS,
    });
    const end = (fit: DisposableFit): void => {
      clearTimeout(timer);
      resolve(fit);
      void worker.terminate();
    };
    const fail = (problem: string): void => end({ methods: [], failed: request.methods, problem });
    const timer = setTimeout(() => fail(`the fit took longer than ${timeoutMs} ms`), timeoutMs);
    worker.once('message', (fits: readonly SlowFit[]) => end(asMethods(fits)));
    worker.once('error', (error) =>
      fail(`the fit's thread failed: ${error instanceof Error ? error.message : String(error)}`),
    );
    worker.once('exit', () => fail("the fit's thread ended without a result"));
  });
}

/** Methods of what could be fitted, and the names of what could not. */
export function asMethods(fits: readonly SlowFit[]): DisposableFit {
  const isFitted = ({ paths }: { readonly paths: readonly ForetoldPath[] }): boolean => paths.length > 0;
  return {
    methods: fits.filter(isFitted).map(({ method, paths }) => foretold(method, paths)),
    failed: fits.filter((fit) => !isFitted(fit)).map(({ method }) => method),
  };
}
