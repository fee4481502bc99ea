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

export class LagNovelty {
  readonly #options: LagNoveltyOptions;
  readonly #runs: Float64Array;
  readonly #latest: Float64Array;
  readonly #spread = new RunningSpread(SPREAD_MEMORY);
  #values = 0;
  #known = 0;

  constructor(options: LagNoveltyOptions) {
    this.#options = options;
    this.#runs = new Float64Array(options.history * options.lags);
    this.#latest = new Float64Array(options.lags);
  }

  /** Takes the next value and tells how new the run that ends with it is, in standard deviations of the series. */
  push(value: number): number {
    const { lags, history } = this.#options;
    this.#spread.push(value);
    this.#latest.copyWithin(1, 0);
    this.#latest[0] = value;
    this.#values++;
    if (this.#values < lags) return 0;
    const known = Math.min(this.#known, history);
    const deviation = this.#spread.deviation;
    const novelty = known <= LEAST_RUNS || deviation === 0 ? 0 : this.#distance(known) / deviation;
    this.#runs.set(this.#latest, (this.#known % history) * lags);
    this.#known++;
    return novelty;
  }

  /** Root mean square distance to the k-th nearest of the known runs. */
  #distance(known: number): number {
    const { lags, neighbours } = this.#options;
    const runs = this.#runs;
    const latest = this.#latest;
    let first = Number.POSITIVE_INFINITY;
    let second = Number.POSITIVE_INFINITY;
    let third = Number.POSITIVE_INFINITY;
    for (let run = 0; run < known; run++) {
      const at = run * lags;
      let sum = 0;
      for (let lag = 0; lag < lags && sum < third; lag++) {
        const difference = latest[lag]! - runs[at + lag]!;
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
