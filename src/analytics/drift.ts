// Whether a model has got worse than it was: the Page-Hinkley test (Page 1954) on its scaled errors. Says so
// once and begins anew, so that one drift asks for one retraining.

import { packNumbers, type StateReader } from './state-reader.ts';

export interface DriftBounds {
  /** Errors may be this much above their mean without being a drift, in standard deviations. */
  readonly tolerated: number;
  /** Errors are taken to deviate by this much at least: a quiet past must not make one surprise a drift. */
  readonly leastDeviation: number;
}

const FORECASTS: DriftBounds = { tolerated: 0.5, leastDeviation: 0 };
/**
 * For squared errors of probabilities: two missed failures within some hours, or hours of alarms without one. Most
 * of them are next to nothing, and those of one failure come all at once.
 */
export const PROBABILITIES: DriftBounds = { tolerated: 0.05, leastDeviation: 0.5 };
// How far the sum may climb, in standard deviations: about 60 errors of one deviation too many.
const THRESHOLD = 30;
// Errors before the mean is believed.
const LEAST_SEEN = 60;

export class Drift {
  #n = 0;
  #mean = 0;
  #m2 = 0;
  #sum = 0;
  #lowest = 0;
  readonly #bounds: DriftBounds;

  constructor(bounds: DriftBounds = FORECASTS) {
    this.#bounds = bounds;
  }

  /** @param error of one settled prediction, 0 or more. @returns whether the errors have drifted upwards. */
  observe(error: number): boolean {
    if (!Number.isFinite(error)) return false;
    const { tolerated, leastDeviation } = this.#bounds;
    const seen = this.#n > 1 ? Math.sqrt(this.#m2 / (this.#n - 1)) : 0;
    const deviation = Math.max(leastDeviation, seen);
    if (this.#n >= LEAST_SEEN && deviation > 0) {
      this.#sum += (error - this.#mean) / deviation - tolerated;
      this.#lowest = Math.min(this.#lowest, this.#sum);
      if (this.#sum - this.#lowest > THRESHOLD) {
        this.reset();
        return true;
      }
    }
    this.#n += 1;
    const step = error - this.#mean;
    this.#mean += step / this.#n;
    this.#m2 += step * (error - this.#mean);
    return false;
  }

  state(): object {
    return { numbers: packNumbers([this.#n, this.#mean, this.#m2, this.#sum, this.#lowest]) };
  }

  /** @param state of an earlier `state()`; throws UnreadableState for anything else. */
  static restore(state: StateReader, bounds: DriftBounds = FORECASTS): Drift {
    const drift = new Drift(bounds);
    const [n = 0, mean = 0, m2 = 0, sum = 0, lowest = 0] = state.numbers('numbers', 5);
    drift.#n = n;
    drift.#mean = mean;
    drift.#m2 = m2;
    drift.#sum = sum;
    drift.#lowest = lowest;
    return drift;
  }

  reset(): void {
    this.#n = 0;
    this.#mean = 0;
    this.#m2 = 0;
    this.#sum = 0;
    this.#lowest = 0;
  }
}
