// Methods that are the best on ordinary days hold a level, and run behind a rise that no earlier day showed: by the time
// their scores say so, it is over. So their errors of one step are watched for a lean to one side (CUSUM, Page 1954); while
// they lean upwards, the forecast is raised to the line through the last values, damped as a rise of demand is. Only
// raised: a measurement that stalls looks like a fall, and nobody is harmed by room that was kept for nothing.

import { Trend } from '../trend.ts';

// Leanings below half a deviation are noise; at six in all, one alarm in a thousand steps is false.
const SLACK = 0.5;
const ALARM = 6;
// Higher sums would only take longer to come down once the rise is over.
const MAX_SUM = 2 * ALARM;
// One value can lean by no more than this: a burst of one step is no rise.
const MAX_LEAN = 3;
// Of a normal distribution, deviation over mean absolute deviation.
const TO_DEVIATION = 1.2533;
/** Steps of memory of the usual error. */
const ERROR_MEMORY = 120;
const WARM_STEPS = 30;
/** Of the line, in horizons. */
const TREND_MEMORY = 0.5;
// A line whose slope is less than this many of its errors is a level.
const SURE_SLOPE = 1;
// Over a horizon this part of a rise is believed to go on.
const DAMPING = 0.5;

export class LagTrend {
  readonly #horizon: number;
  readonly #trend = new Trend(TREND_MEMORY);
  #steps = 0;
  #usualError = 0;
  #sum = 0;

  /** @param horizon in steps. */
  constructor(horizon: number) {
    this.#horizon = horizon;
  }

  /** @param expected what had been forecast for this step; both finite. A missing value is a step without push. */
  push(step: number, value: number, expected: number): void {
    this.#trend.push(step / this.#horizon, value);
    const error = value - expected;
    this.#steps += 1;
    const deviation = TO_DEVIATION * this.#usualError;
    if (this.#steps > WARM_STEPS && deviation > 0) {
      const lean = Math.max(-MAX_LEAN, Math.min(MAX_LEAN, error / deviation));
      this.#sum = Math.max(0, Math.min(MAX_SUM, this.#sum + lean - SLACK));
    }
    // What leans is no measure of what is usual.
    if (this.isBehind) return;
    const share = 1 / Math.min(this.#steps, ERROR_MEMORY);
    this.#usualError += share * (Math.abs(error) - this.#usualError);
  }

  /** The forecasts run behind what comes. */
  get isBehind(): boolean {
    return this.#sum >= ALARM;
  }

  /** `mean` is the forecast for `ahead` steps from the last value; at least that is given back. */
  raise(ahead: number, mean: number): number {
    if (!this.isBehind) return mean;
    const line = this.#trend.state();
    if (line === undefined) return mean;
    const share = ahead / this.#horizon;
    const rise = line.slope > SURE_SLOPE * line.slopeError ? line.slope * share * (1 - DAMPING * share) : 0;
    return Math.max(mean, line.level + rise);
  }
}
