// Retraining: when (periodically, and on drift), where (a disposable thread with limits of time and memory, so
// that a fit that diverges costs nobody anything) and whether the result is taken (only if it is better on
// recent data than what is in force). What is trained is the business of the job.

import { Worker } from 'node:worker_threads';

export interface TrainingLimits {
  readonly timeMs: number;
  readonly memoryMb: number;
}

export const TRAINING_LIMITS: TrainingLimits = { timeMs: 60_000, memoryMb: 512 };

export type TrainingEnd =
  | { readonly kind: 'trained'; readonly result: unknown }
  | { readonly kind: 'failed' | 'timeout' | 'out_of_memory'; readonly why: string };

/**
 * Runs `module`, a worker file that posts one message: its result.
 * @param data structured-cloneable, its `workerData`.
 */
export function trainInThread(
  module: URL,
  data: unknown,
  limits: TrainingLimits = TRAINING_LIMITS,
): Promise<TrainingEnd> {
  return new Promise((resolve) => {
    const worker = new Worker(module, {
      workerData: data,
      name: 'training',
      resourceLimits: { maxOldGenerationSizeMb: limits.memoryMb },
    });
    const end = (result: TrainingEnd): void => {
      clearTimeout(timer);
      void worker.terminate();
      resolve(result);
    };
    const timer = setTimeout(
      () => end({ kind: 'timeout', why: `not done in ${limits.timeMs} ms` }),
      limits.timeMs,
    );
    worker.once('message', (result: unknown) => end({ kind: 'trained', result }));
    worker.once('error', (error: Error & { code?: string }) => {
      const isMemory = error.code === 'ERR_WORKER_OUT_OF_MEMORY';
      end({ kind: isMemory ? 'out_of_memory' : 'failed', why: error.message });
    });
    worker.once('exit', (code) => end({ kind: 'failed', why: `ended with ${code} without a result` }));
  });
}

export interface TrainingSchedule {
  /** Milliseconds between retrainings without a drift. */
  readonly everyMs: number;
  /** Least milliseconds between two retrainings of one model, drift or not. */
  readonly restMs: number;
}

export interface TrainingCounts {
  taken: number;
  /** Trained, but no better than what is in force. */
  refused: number;
  failed: number;
}

export interface Challenge {
  /** Error of the model in force on recent data that it has not learnt from; lower is better. undefined = there is none yet. */
  readonly champion: number | undefined;
  readonly challenger: number;
}

// A new model must be better by this share, or noise would exchange models for ever.
const MARGIN = 0.01;

export function isBetter({ champion, challenger }: Challenge): boolean {
  if (!Number.isFinite(challenger)) return false;
  return champion === undefined || !Number.isFinite(champion) || challenger < champion * (1 - MARGIN);
}

/** Decides when which model is due; one training at a time, the longest waiting first. */
export class TrainingQueue {
  readonly counts: TrainingCounts = { taken: 0, refused: 0, failed: 0 };
  readonly #schedule: TrainingSchedule;
  readonly #trainedAt = new Map<string, number>();
  readonly #drifted = new Set<string>();

  constructor(schedule: TrainingSchedule) {
    this.#schedule = schedule;
  }

  drifted(model: string): void {
    this.#drifted.add(model);
  }

  isDrifted(model: string): boolean {
    return this.#drifted.has(model);
  }

  /** The model that should be trained now. @param now monotonic milliseconds. */
  due(models: Iterable<string>, now: number): string | undefined {
    let oldest: string | undefined;
    let oldestAt = Number.POSITIVE_INFINITY;
    for (const model of models) {
      const at = this.#trainedAt.get(model) ?? Number.NEGATIVE_INFINITY;
      const wait = this.#drifted.has(model) ? this.#schedule.restMs : this.#schedule.everyMs;
      if (now - at < wait || at >= oldestAt) continue;
      oldest = model;
      oldestAt = at;
    }
    return oldest;
  }

  /** A training of `model` began; it is not due again before its time. */
  began(model: string, now: number): void {
    this.#trainedAt.set(model, now);
    this.#drifted.delete(model);
  }

  forget(model: string): void {
    this.#trainedAt.delete(model);
    this.#drifted.delete(model);
  }
}
