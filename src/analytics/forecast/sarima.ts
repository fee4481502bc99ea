// Seasonal ARIMA by the `arima` package (ctsa compiled to WebAssembly), the only file that knows it. It takes 0.6 to 2.6 s a
// series where seasonal-ar.ts takes milliseconds, and it can diverge to -1e300: for hours ahead, in a thread of its own
// (hourly-fit-worker.ts), checked. (1,0,0)(0,1,1): the quick form; (2,0,1) took four times as long for a twelfth less error.

import Arima from 'arima';
import { checkedPath } from './path-model.ts';

/** Conditional sum of squares; the exact likelihood (0) takes minutes. */
const METHOD_CSS = 1;
/** Seasons of history that are looked at: more only costs time. */
const MOST_SEASONS = 40;
const LEAST_SEASONS = 4;

/** The steps after `history`; null when it is too short, or when the fit failed or diverged. `season` 0: none. */
export function sarimaPath(history: Float64Array, season: number, steps: number): Float64Array | null {
  const isSeasonal = season >= 2;
  if (history.length < (isSeasonal ? LEAST_SEASONS * season : 30)) return null;
  const values = Array.from(isSeasonal ? history.subarray(-MOST_SEASONS * season) : history);
  const seasonal = isSeasonal ? { P: 0, D: 1, Q: 1, s: season } : {};
  const model = new Arima({
    p: 1,
    d: isSeasonal ? 0 : 1,
    q: isSeasonal ? 0 : 1,
    ...seasonal,
    method: METHOD_CSS,
    verbose: false,
  });
  try {
    return checkedPath(history, model.train(values).predict(steps)[0]);
  } catch {
    // Singular matrices and the like inside the library: as useless as a divergence.
    return null;
  } finally {
    model.destroy();
  }
}
