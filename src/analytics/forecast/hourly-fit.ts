// The forecast of one slice of demand for the hours ahead: its hours go through the same forecaster as everything
// else, with the methods that were chosen for it fitted at the end. Runs in a thread of its own (hourly-fit-worker.ts):
// libraries take tenths of seconds a series, and can diverge.

import type { Forecast } from './forecast-result.ts';
import { naiveMethods, quickMethods, slowMethods, type TrainedMethod } from './method-sets.ts';
import { SeriesForecaster } from './series-forecaster.ts';
import { asMethods, fitSlowly } from './slow-fits.ts';

/** Hours that a fit is good for: a day, and some for the wait until the next fit. */
export const FITTED_HOURS = 30;
/** A day and a week. */
const SEASONS = [24, 168];
const LEAST_VALUES = 2;

export interface HourlyRequest {
  /** Key of the entity. */
  readonly key: string;
  /** Means of hours, oldest first; NaN = not measured. */
  readonly values: Float64Array;
  /** Number of the hour after the last value. */
  readonly origin: number;
  /** None leaves the naive ones. */
  readonly methods: readonly TrainedMethod[];
}

export interface HourlyFit {
  readonly key: string;
  readonly origin: number;
  /** Its first step is the hour `origin`. */
  readonly forecast: Forecast;
  /** Methods that failed, diverged or had too little history. */
  readonly failed: readonly string[];
  /** Forecasts of single methods that were not finite or out of all bounds, and were replaced. */
  readonly replaced: number;
}

/** Plain data; finite whatever the values are. */
export async function fitHourly({ key, values, origin, methods }: HourlyRequest): Promise<HourlyFit> {
  // A season that was not seen once is none.
  const seasons = SEASONS.filter((season) => values.length > season);
  const forecaster = new SeriesForecaster({
    horizon: FITTED_HOURS,
    seasons,
    streaming: naiveMethods(seasons),
    trained: quickMethods(methods),
    capacity: Math.max(values.length, FITTED_HOURS),
  });
  for (const value of values) forecaster.push(value);
  const slow = slowMethods(methods);
  const { methods: further, failed } =
    slow.length === 0 || values.length < LEAST_VALUES
      ? { methods: [], failed: [] }
      : asMethods(await fitSlowly(forecaster.slowFit(slow)));
  if (values.length >= LEAST_VALUES && methods.length > 0) forecaster.retrain(further);
  return { key, origin, forecast: forecaster.forecast(), failed, replaced: forecaster.replaced };
}
