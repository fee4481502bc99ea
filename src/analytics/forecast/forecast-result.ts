// What a forecast says: per step a value with its 80 and 90 % intervals, and the whole distribution behind them, so
// that the risk of passing a capacity can be read off. Plain data: it can be sent to another thread.

import { LEVELS } from './residual-band.ts';

export interface ForecastStep {
  /** Point forecast, in the unit of the series; aims at the least absolute error. */
  readonly mean: number;
  readonly lower80: number;
  readonly upper80: number;
  readonly lower90: number;
  readonly upper90: number;
}

export interface Forecast {
  /** What made it: a method's name, `weighted` or `median` of all. */
  readonly method: string;
  /** Its recent mean absolute error over that of the naive floor, mean of the horizons; below 1 it earns its keep. */
  readonly score: number;
  /** Scored forecasts of the longest horizon so far; 0 means that nothing is known yet. */
  readonly outcomes: number;
  /** 0..1: how far the figures may be relied on; 0 without outcomes, falling while values are missing. */
  readonly confidence: number;
  readonly steps: readonly ForecastStep[];
  /** Values at LEVELS of residual-band.ts, one row a step. */
  readonly quantiles: Float64Array;
}

const COUNT = LEVELS.length;

/** Value that load stays below with probability p (0..1) at `step` (0-based). Clamped to the tabled levels. */
export function quantileOf(forecast: Forecast, step: number, p: number): number {
  const row = step * COUNT;
  if (p <= LEVELS[0]!) return forecast.quantiles[row]!;
  for (let i = 1; i < COUNT; i++) {
    if (p > LEVELS[i]!) continue;
    const share = (p - LEVELS[i - 1]!) / (LEVELS[i]! - LEVELS[i - 1]!);
    const low = forecast.quantiles[row + i - 1]!;
    return low + share * (forecast.quantiles[row + i]! - low);
  }
  return forecast.quantiles[row + COUNT - 1]!;
}

/**
 * Probability (0..1) that load at `step` (0-based) is above `limit`. Beyond the tabled quantiles it falls
 * exponentially, at the rate between the 95 % and the 99.5 % quantile: 0 only where the history never varied.
 */
export function probabilityAbove(forecast: Forecast, step: number, limit: number): number {
  const row = step * COUNT;
  const at = (i: number): number => forecast.quantiles[row + i]!;
  const last = COUNT - 1;
  if (limit >= at(last)) return tail(limit - at(last), at(last) - at(LEVELS.indexOf(0.95)));
  if (limit < at(0)) return 1 - tail(at(0) - limit, at(LEVELS.indexOf(0.05)) - at(0));
  for (let i = 1; i <= last; i++) {
    if (limit >= at(i)) continue;
    const width = at(i) - at(i - 1);
    const share = width > 0 ? (limit - at(i - 1)) / width : 1;
    return 1 - (LEVELS[i - 1]! + share * (LEVELS[i]! - LEVELS[i - 1]!));
  }
  return tail(0, 0);
}

function tail(beyond: number, spread: number): number {
  const outside = 1 - LEVELS.at(-1)!;
  if (beyond <= 0) return outside;
  if (!(spread > 0)) return 0;
  // From 5 % to 0.5 % is a factor of ten over `spread`.
  return outside * 10 ** (-beyond / spread);
}

/** How one of several methods does. */
export interface MethodStanding {
  readonly method: string;
  /** Recent error over that of the naive floor, mean over the horizons. */
  readonly overNaive: number;
}
