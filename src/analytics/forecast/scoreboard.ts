// Keeps every forecast until its outcome is known and scores it, at each tracked horizon: the accuracy feedback of
// forecasting. From the scores come the experts' weights, the choice of what is issued, and the intervals.

import { packNumbers, type StateReader, UnreadableState } from '../state-reader.ts';
import { errorUnit } from './error-unit.ts';
import { ExpertWeights } from './expert-weights.ts';
import { MOST_BAND_NUMBERS, ResidualBand } from './residual-band.ts';

/** Share of an old absolute error that is kept at each outcome: the last few hundred decide. */
const KEEP = 0.995;

/** Errors of one horizon. Candidates are the experts, then the mixture, then the median. */
interface Horizon {
  readonly ahead: number;
  readonly weights: ExpertWeights;
  readonly band: ResidualBand;
  /** Per pending step: what each expert said, then mixture, median, what was issued, its scale. */
  readonly said: Float64Array;
  /** Weights that were in force then. */
  readonly saidWeights: Float64Array;
  readonly errors: Float64Array;
  outcomes: number;
}

/** Beyond the experts, a row of what was said holds: mixture, median, issued, scale. */
const EXTRA = 4;
export const MIXTURE = 0;
export const MEDIAN = 1;

/** Scores of the experts of one series. One writer: its forecaster. */
export class Scoreboard {
  readonly experts: number;
  readonly #horizons: readonly Horizon[];
  #step = 0;

  constructor(experts: number, tracked: readonly number[]) {
    this.experts = experts;
    this.#horizons = tracked.map((ahead) => ({
      ahead,
      weights: new ExpertWeights(experts),
      band: new ResidualBand(),
      said: new Float64Array(ahead * (experts + EXTRA)).fill(Number.NaN),
      saidWeights: new Float64Array(ahead * experts),
      errors: new Float64Array(experts + 2),
      outcomes: 0,
    }));
  }

  weights(horizon: number): Float64Array {
    return this.#horizons[horizon]!.weights.current;
  }

  band(horizon: number): ResidualBand {
    return this.#horizons[horizon]!.band;
  }

  outcomesOf(horizon: number): number {
    return this.#horizons[horizon]!.outcomes;
  }

  /** Fewest outcomes over the horizons; the longest one knows least. */
  get outcomes(): number {
    return Math.min(...this.#horizons.map((horizon) => horizon.outcomes));
  }

  /** Candidates' absolute error over that of the better of `floor` experts, mean over the horizons that know any. */
  relativeErrors(floor: readonly number[], out: Float64Array): void {
    out.fill(0);
    let known = 0;
    for (const { errors, outcomes } of this.#horizons) {
      if (outcomes === 0) continue;
      let least = Number.POSITIVE_INFINITY;
      for (const expert of floor) least = Math.min(least, errors[expert]!);
      if (!(least > 0)) continue;
      known += 1;
      for (let c = 0; c < out.length; c++) out[c] = out[c]! + errors[c]! / least;
    }
    for (let c = 0; c < out.length; c++) out[c] = known === 0 ? 1 : out[c]! / known;
  }

  /** Scores what was said for the present step; NaN (nothing came) leaves all as it is. */
  score(value: number): void {
    if (!Number.isFinite(value)) return;
    const { experts } = this;
    for (const horizon of this.#horizons) {
      if (this.#step < horizon.ahead) continue;
      const slot = (this.#step - horizon.ahead) % horizon.ahead;
      const row = slot * (experts + EXTRA);
      const { said, errors } = horizon;
      if (Number.isNaN(said[row]!)) continue;
      horizon.outcomes += 1;
      const gain = Math.max(1 - KEEP, 1 / horizon.outcomes);
      for (let c = 0; c < errors.length; c++) {
        errors[c] = errors[c]! + gain * (Math.abs(said[row + c]! - value) - errors[c]!);
      }
      const then = said.subarray(row, row + experts);
      horizon.weights.learn(value, then, horizon.saidWeights.subarray(slot * experts, (slot + 1) * experts));
      const unit = Math.max(said[row + experts + 3]!, errorUnit(0, 0, value));
      horizon.band.add((value - said[row + experts + 2]!) / unit);
    }
  }

  state(): object {
    return {
      step: packNumbers([this.#step]),
      horizons: this.#horizons.map(({ said, saidWeights, errors, outcomes, weights, band }) => ({
        numbers: packNumbers([outcomes, ...errors, ...said, ...saidWeights]),
        weights: packNumbers(weights.numbers()),
        band: packNumbers(band.numbers()),
      })),
    };
  }

  /** Takes the state of a board of as many experts and the same horizons. */
  restore(state: StateReader): void {
    const horizons = state.list('horizons', this.#horizons.length);
    if (horizons.length !== this.#horizons.length) {
      throw new UnreadableState(`a board has ${this.#horizons.length} horizons, not ${horizons.length}`);
    }
    horizons.forEach((from, i) => {
      const horizon = this.#horizons[i]!;
      const { said, saidWeights, errors } = horizon;
      const count = 1 + errors.length + said.length + saidWeights.length;
      const numbers = from.numbers('numbers', count);
      const band = from.numbersUpTo('band', MOST_BAND_NUMBERS);
      if (band.length === 0) throw new UnreadableState('a band of errors has a width');
      horizon.outcomes = numbers[0]!;
      errors.set(numbers.subarray(1, 1 + errors.length));
      said.set(numbers.subarray(1 + errors.length, 1 + errors.length + said.length));
      saidWeights.set(numbers.subarray(1 + errors.length + said.length));
      horizon.weights.restore(from.numbers('weights', 1 + 3 * this.experts));
      horizon.band.restore(band);
    });
    this.#step = state.numbers('step', 1)[0]!;
  }

  /**
   * Keeps what is said now. `paths[e]` are the experts' forecasts, `issued` with mixture and median beside it;
   * `scaleOf` gives the unit of an error at a value.
   */
  keep(
    paths: readonly Float64Array[],
    mixed: { readonly mixture: Float64Array; readonly median: Float64Array; readonly issued: Float64Array },
    scaleOf: (value: number) => number,
  ): void {
    const { experts } = this;
    for (const { ahead, said, saidWeights, weights } of this.#horizons) {
      const slot = this.#step % ahead;
      const row = slot * (experts + EXTRA);
      for (let e = 0; e < experts; e++) said[row + e] = paths[e]![ahead - 1]!;
      const issued = mixed.issued[ahead - 1]!;
      said[row + experts] = mixed.mixture[ahead - 1]!;
      said[row + experts + 1] = mixed.median[ahead - 1]!;
      said[row + experts + 2] = issued;
      said[row + experts + 3] = scaleOf(issued);
      saidWeights.set(weights.current, slot * experts);
    }
    this.#step += 1;
  }
}
