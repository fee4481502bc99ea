// A model of a library that cannot take one value more: the path that it foretold once, walked along as time goes on and
// moved by the errors that it turns out to make. It also confines what such libraries say: a fit can diverge.

import type { ForecastMethod, Model, ModelContext } from './forecast.ts';

/** Share of the path's latest error in the correction, and what of it is left a step further ahead. */
const CORRECTION_GAIN = 0.3;
const CORRECTION_KEEP = 0.9;

/** What was foretold for the steps after `origin`, which is the number of steps that the series had lived then. */
export interface ForetoldPath {
  readonly origin: number;
  readonly values: Float64Array;
}

/**
 * The path when all of it is finite and within the history's range extended by that range on each side; null for one that
 * diverged, which the caller leaves out and counts.
 */
export function checkedPath(history: Float64Array, values: ArrayLike<number>): Float64Array | null {
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (const value of history) {
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  const spread = high - low;
  const path = Float64Array.from(values);
  const isSane = path.every((value) => value >= low - spread && value <= high + spread);
  return isSane && path.length > 0 ? path : null;
}

/** Walks along a path from the context's present step on; null when the path ends within the horizon. */
function followPath(context: ModelContext, path: ForetoldPath): Model | null {
  const { window, horizon } = context;
  const { origin, values } = path;
  if (window.steps < origin || window.steps - origin + horizon > values.length) return null;
  let correction = 0;
  return {
    push: () => {
      const expected = values[Math.min(window.steps - origin, values.length) - 1];
      if (expected === undefined || window.missing > 0) return;
      correction += CORRECTION_GAIN * (window.at(0) - expected - correction);
    },
    forecast: (out) => {
      let left = correction;
      for (let h = 0; h < out.length; h++) {
        // Past its end a path repeats its last value until the next retraining replaces it.
        const at = Math.min(window.steps - origin + h, values.length - 1);
        left *= CORRECTION_KEEP;
        out[h] = values[at]! + left;
      }
    },
  };
}

/** A method of paths that were foretold elsewhere, such as in a thread of their own: the latest that fits is followed. */
export function foretold(name: string, paths: readonly ForetoldPath[]): ForecastMethod {
  return {
    name,
    fit: (context) => {
      const known = paths.filter(({ origin }) => origin <= context.window.steps);
      const latest = known.sort((a, b) => b.origin - a.origin)[0];
      return latest === undefined ? null : followPath(context, latest);
    },
  };
}
