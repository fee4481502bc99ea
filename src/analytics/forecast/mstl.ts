// Decomposition into several seasons and a trend by LOESS, the trend forecast by ETS (MSTL of @bsull/augurs, Rust compiled
// to WebAssembly). A quarter of a second for 2,000 values: selectable, in a thread of its own (hourly-fit-worker.ts).

import { readFileSync } from 'node:fs';
import { initSync, MSTL } from '@bsull/augurs/mstl';
import { checkedPath } from './path-model.ts';

/** The library throws with fewer cycles of the longest season. */
const LEAST_CYCLES = 2;

let isLoaded = false;

/** Compiles the WebAssembly module once a thread; in Node the library cannot fetch it by itself. */
function load(): void {
  if (isLoaded) return;
  const file = new URL('./mstl_bg.wasm', import.meta.resolve('@bsull/augurs/mstl'));
  initSync({ module: readFileSync(file) });
  isLoaded = true;
}

/** The steps after `history`; null without a season that was seen twice, or when the fit failed or diverged. */
export function mstlPath(
  history: Float64Array,
  seasons: readonly number[],
  steps: number,
): Float64Array | null {
  const periods = seasons.filter((season) => history.length > LEAST_CYCLES * season);
  if (periods.length === 0) return null;
  load();
  const isLog = history.every((value) => value > 0);
  const model = MSTL.ets([...periods]);
  try {
    model.fit(isLog ? history.map(Math.log) : history);
    const { point } = model.predict(steps);
    return checkedPath(history, isLog ? point.map(Math.exp) : point);
  } catch {
    return null;
  } finally {
    model.free();
  }
}
