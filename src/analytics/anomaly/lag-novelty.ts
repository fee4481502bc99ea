// Novelty of shape: how far the last few values, taken together, are from every such run seen before. What has
// happened a few times is known and no longer new, whatever its size; a peak at a wrong time of day, a missing
// peak or a flat line is new although each value is ordinary. After Burnaev and Ishimtsev, "Conformalized
// density- and distance-based anomaly detection in time-series data", 2016 (KNN CAD), without its labels.

import { RunningSpread } from './running-spread.ts';

export interface LagNoveltyOptions {
  /** Values of a run. */
  readonly lags: number;
  /** The distance to the k-th nearest run counts: a shape is known when it was seen k times. 1 to 3. */
  readonly neighbours: 1 | 2 | 3;
  /** Runs remembered; the oldest goes first. */
  readonly history: number;
}

/** Runs known before anything is called new. */
const LEAST_RUNS = 30;
const SPREAD_MEMORY = 3000;
/** What 32 bits hold. */
const MOST_DIFFERENCE = 3e38;

export class LagNovelty {
  readonly #options: LagNoveltyOptions;
  /**
   * The values, oldest first: each run is a part of them. Grows to its limit, then the oldest go. As differences from
   * the first value, so that 32 bits are enough for a small movement of a large number.
   */
  #values = new Float32Array(64);
  #first = Number.NaN;
  #count = 0;
  readonly #spread = new RunningSpread(SPREAD_MEMORY);

  constructor(options: LagNoveltyOptions) {
    this.#options = options;
  }

  /** Takes the next value and tells how new the run that ends with it is, in standard deviations of the series. */
  push(value: number): number {
    this.#spread.push(value);
    this.#makeRoom();
    if (Number.isNaN(this.#first)) this.#first = value;
    this.#values[this.#count] = Math.max(-MOST_DIFFERENCE, Math.min(MOST_DIFFERENCE, value - this.#first));
    this.#count++;
    const { lags, history } = this.#options;
    const known = Math.min(this.#count - lags, history);
    const deviation = this.#spread.deviation;
    return known <= LEAST_RUNS || deviation === 0 ? 0 : this.#distance(known) / deviation;
  }

  #makeRoom(): void {
    if (this.#count < this.#values.length) return;
    const { lags, history } = this.#options;
    const kept = history + lags;
    // A quarter more than is looked at, so that the values move down once in a quarter of the history.
    const most = Math.ceil(1.25 * kept);
    if (this.#values.length < most) {
      const grown = new Float32Array(Math.min(most, 2 * this.#values.length));
      grown.set(this.#values);
      this.#values = grown;
      return;
    }
    this.#values.copyWithin(0, this.#count - kept);
    this.#count = kept;
  }

  /** Root mean square distance to the k-th nearest of the runs that ended before the latest value. */
  #distance(known: number): number {
    const { lags, neighbours } = this.#options;
    const values = this.#values;
    const latest = this.#count - lags;
    let first = Number.POSITIVE_INFINITY;
    let second = Number.POSITIVE_INFINITY;
    let third = Number.POSITIVE_INFINITY;
    for (let run = latest - known; run < latest; run++) {
      let sum = 0;
      for (let lag = lags - 1; lag >= 0 && sum < third; lag--) {
        const difference = values[latest + lag]! - values[run + lag]!;
        sum += difference * difference;
      }
      if (sum < first) {
        third = second;
        second = first;
        first = sum;
      } else if (sum < second) {
        third = second;
        second = sum;
      } else if (sum < third) third = sum;
    }
    const nearest = neighbours === 1 ? first : neighbours === 2 ? second : third;
    return Math.sqrt(nearest / lags);
  }
}
