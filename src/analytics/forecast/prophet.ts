// Prophet (Taylor and Letham, "Forecasting at scale", 2018): piecewise trend and Fourier seasons, by @bsull/augurs with
// Stan's optimizer in WebAssembly. Selectable, not a default: 1.5 s for two weeks of hours, and on M4 Hourly its MASE
// is 1.9 where the seasonal naive has 1.3. The only file that knows either package; loaded when it is asked for.

import { readFileSync } from 'node:fs';
import type { Prophet as ProphetModel, ProphetOptions } from '@bsull/augurs/prophet';
import { checkedPath } from './path-model.ts';

/** Fewer values than two of the shortest season tell nothing of it. */
const LEAST_CYCLES = 2;
const DAY_SECONDS = 86_400;
const DAYS_PER_WEEK = 7;
/** Any Monday: only differences of times matter. */
const FIRST_SECOND = 345_600;

interface Loaded {
  make(options: Omit<ProphetOptions, 'optimizer'>): ProphetModel;
}

let loaded: Loaded | undefined;

/** Compiles the WebAssembly of model and optimizer, once a thread. Rejects when it cannot be loaded. */
export async function loadProphet(): Promise<void> {
  if (loaded !== undefined) return;
  const { initSync, Prophet } = await import('@bsull/augurs/prophet');
  const { optimizer } = await import('@bsull/augurs-prophet-wasmstan');
  initSync({
    module: readFileSync(new URL('./prophet_bg.wasm', import.meta.resolve('@bsull/augurs/prophet'))),
  });
  loaded = { make: (options) => new Prophet({ ...options, optimizer }) };
}

/**
 * The steps after `history`; null without two cycles of the shortest season, when the fit failed or diverged, or while
 * nobody has loaded the library. Prophet thinks in days and weeks: the shortest season is taken as its day.
 */
export function prophetPath(
  history: Float64Array,
  seasons: readonly number[],
  steps: number,
): Float64Array | null {
  const day = seasons[0];
  if (loaded === undefined || day === undefined || history.length < LEAST_CYCLES * day) return null;
  const hasWeek =
    seasons.includes(DAYS_PER_WEEK * day) && history.length >= LEAST_CYCLES * DAYS_PER_WEEK * day;
  const at = (step: number): number => FIRST_SECOND + Math.round((step * DAY_SECONDS) / day);
  const model = loaded.make({
    dailySeasonality: { type: 'manual', enabled: true },
    weeklySeasonality: { type: 'manual', enabled: hasWeek },
    yearlySeasonality: { type: 'manual', enabled: false },
  });
  try {
    model.fit({ ds: Array.from(history, (_, step) => at(step)), y: [...history] });
    const ds = Array.from({ length: steps }, (_, step) => at(history.length + step));
    return checkedPath(history, model.predict({ ds }).yhat.point);
  } catch {
    // A failed optimisation is as useless as a diverged one.
    return null;
  } finally {
    model.free();
  }
}
