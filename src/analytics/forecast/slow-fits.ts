// The methods of libraries that take tenths of seconds and can fail: each foretells a path from where the rehearsal of a
// retraining begins and one from the end. Runs wherever it is called: in a backtest, or in a thread of its own
// (hourly-fit-worker.ts); gives plain data, of which the forecaster makes methods like any other.

import type { ForecastMethod } from './forecast.ts';
import type { SlowMethod } from './method-sets.ts';
import { mstlPath } from './mstl.ts';
import { type ForetoldPath, foretold } from './path-model.ts';
import { loadProphet, prophetPath } from './prophet.ts';
import { sarimaPath } from './sarima.ts';
import { rehearsalStart } from './training.ts';

export interface SlowFitRequest {
  readonly history: Float64Array;
  /** Steps that the series had lived at the end of `history`. */
  readonly steps: number;
  readonly seasons: readonly number[];
  readonly horizon: number;
  readonly methods: readonly SlowMethod[];
}

export interface SlowFit {
  readonly method: SlowMethod;
  /** Empty when a fit failed, diverged or had too little history: the method is left out and counted. */
  readonly paths: readonly ForetoldPath[];
}

/** A path is good for so many horizons; by then the next retraining has replaced it. */
const PATH_HORIZONS = 4;

/** Fits each method of the request twice. Resolves to plain data; rejects when a library cannot be loaded. */
export async function fitSlowly(request: SlowFitRequest): Promise<SlowFit[]> {
  const { history, steps, horizon } = request;
  if (request.methods.includes('prophet')) await loadProphet();
  const start = rehearsalStart(history.length, horizon);
  return request.methods.map((method) => {
    const early = pathOf(method, history.subarray(0, start), request, history.length - start + horizon);
    const late = early === null ? null : pathOf(method, history, request, PATH_HORIZONS * horizon);
    if (early === null || late === null) return { method, paths: [] };
    return {
      method,
      paths: [
        { origin: steps - history.length + start, values: early },
        { origin: steps, values: late },
      ],
    };
  });
}

function pathOf(
  method: SlowMethod,
  history: Float64Array,
  { seasons }: SlowFitRequest,
  length: number,
): Float64Array | null {
  switch (method) {
    case 'mstl':
      return mstlPath(history, seasons, length);
    case 'sarima':
      return sarimaPath(history, seasons[0] ?? 0, length);
    case 'prophet':
      return prophetPath(history, seasons, length);
  }
}

export interface SlowFits {
  /** To be given to `SeriesForecaster.retrain`. */
  readonly methods: readonly ForecastMethod[];
  /** Methods that gave nothing, for the counter of replaced forecasts. */
  readonly failed: readonly SlowMethod[];
}

/** Methods of what could be fitted, and the names of what could not. */
export function asMethods(fits: readonly SlowFit[]): SlowFits {
  const isFitted = ({ paths }: SlowFit): boolean => paths.length > 0;
  return {
    methods: fits.filter(isFitted).map(({ method, paths }) => foretold(method, paths)),
    failed: fits.filter((fit) => !isFitted(fit)).map(({ method }) => method),
  };
}
