// Every prediction is kept until its outcome is known, then counted: Brier score of each model against the
// base rate of the same moments. Scores fade, so that a model is judged on what it does now. Predictions
// that were acted upon are left out unless the failure came anyway (a prevented failure is no false alarm).

import { packNumbers, type StateReader } from '../state-reader.ts';

// Of a score, half is forgotten after this many horizons: ten days at half an hour.
const HALF_LIFE_HORIZONS = 500;
// Predictions waiting for their outcome; more would mean rows every 1/4000 of a horizon.
const MAX_WAITING = 4096;

/** How a model did. */
export interface ModelScore {
  /** 1 - Brier / Brier(base rate); 0 while nothing was judged. */
  readonly skill: number;
  /** Mean of (p - outcome)^2; undefined while nothing was judged. */
  readonly brier: number | undefined;
  /** Failures that were there to be predicted. */
  readonly outcomes: number;
}

interface Waiting {
  readonly atMs: number;
  readonly probabilities: readonly number[];
  readonly base: number;
  readonly acted: boolean;
}

export class OutcomeLedger {
  readonly #horizonMs: number;
  readonly #errors: Float64Array;
  readonly #waiting: Waiting[] = [];
  readonly #settled: (atMs: number, failed: boolean) => void;
  #baseErrors = 0;
  #judged = 0;
  #outcomes = 0;
  #failing = false;
  #lastMs = Number.NaN;

  /**
   * @param models how many probabilities each prediction brings.
   * @param settled called once for every prediction whose outcome counts.
   */
  constructor(models: number, horizonMs: number, settled: (atMs: number, failed: boolean) => void) {
    this.#horizonMs = horizonMs;
    this.#errors = new Float64Array(models);
    this.#settled = settled;
  }

  /** A prediction of every model, with the base rate of that moment, for (atMs, atMs + horizon]. */
  predicted(atMs: number, probabilities: readonly number[], base: number, acted: boolean): void {
    if (this.#waiting.length < MAX_WAITING) this.#waiting.push({ atMs, probabilities, base, acted });
  }

  /** The state at `atMs`; predictions that it settles are counted. */
  observe(atMs: number, failing: boolean): void {
    const began = failing && !this.#failing;
    this.#fade(atMs);
    this.#settle((waiting) => waiting.atMs + this.#horizonMs < atMs, false);
    if (began) {
      this.#outcomes += 1;
      this.#settle((waiting) => waiting.atMs < atMs, true);
    }
    // Predictions made while something was failing were not to be judged.
    if (failing) this.#drop((waiting) => waiting.atMs <= atMs);
    this.#failing = failing;
  }

  score(model: number): ModelScore {
    const skill = this.#baseErrors > 0 ? 1 - this.#errors[model]! / this.#baseErrors : 0;
    const brier = this.#judged > 0 ? this.#errors[model]! / this.#judged : undefined;
    return { skill, brier, outcomes: this.#outcomes };
  }

  /**
   * Somebody says afterwards that there was one more failure: what was counted as wrong was right.
   * @param said probabilities of the models at moments before it, each of which stands for `weight` predictions.
   */
  confirmed(said: readonly ArrayLike<number>[], base: number, weight: number): void {
    this.#outcomes += 1;
    // (p - 1)^2 in place of p^2.
    const corrected = (error: number, p: number): number => Math.max(0, error + weight * (1 - 2 * p));
    for (const probabilities of said) {
      this.#baseErrors = corrected(this.#baseErrors, base);
      for (let model = 0; model < this.#errors.length; model += 1) {
        this.#errors[model] = corrected(this.#errors[model]!, probabilities[model]!);
      }
    }
  }

  state(): object {
    const acted = this.#waiting.map((waiting) => (waiting.acted ? 1 : 0));
    return {
      numbers: packNumbers([this.#baseErrors, this.#outcomes, this.#failing ? 1 : 0, this.#lastMs]),
      errors: packNumbers(this.#errors),
      judged: packNumbers([this.#judged]),
      waiting: packNumbers(
        this.#waiting.flatMap(({ atMs, base, probabilities }, i) => [
          atMs,
          base,
          acted[i]!,
          ...probabilities,
        ]),
      ),
    };
  }

  restore(state: StateReader): void {
    const models = this.#errors.length;
    const [baseErrors, outcomes, failing, lastMs] = state.numbers('numbers', 4);
    const errors = state.numbers('errors', models);
    const width = models + 3;
    const rows = state.numbersUpTo('waiting', MAX_WAITING * width);
    this.#baseErrors = baseErrors!;
    this.#outcomes = outcomes!;
    this.#failing = failing === 1;
    this.#lastMs = lastMs!;
    this.#errors.set(errors);
    this.#judged = state.numbers('judged', 1)[0]!;
    this.#waiting.length = 0;
    for (let at = 0; at + width <= rows.length; at += width) {
      const [atMs, base, acted] = rows.subarray(at, at + 3);
      const probabilities = [...rows.subarray(at + 3, at + width)];
      this.#waiting.push({ atMs: atMs!, base: base!, acted: acted === 1, probabilities });
    }
  }

  #fade(atMs: number): void {
    if (!Number.isNaN(this.#lastMs) && atMs > this.#lastMs) {
      const kept = 0.5 ** ((atMs - this.#lastMs) / (HALF_LIFE_HORIZONS * this.#horizonMs));
      this.#baseErrors *= kept;
      this.#judged *= kept;
      for (let model = 0; model < this.#errors.length; model += 1) this.#errors[model]! *= kept;
    }
    this.#lastMs = atMs;
  }

  #drop(which: (waiting: Waiting) => boolean): void {
    while (this.#waiting.length > 0 && which(this.#waiting[0]!)) this.#waiting.shift();
  }

  /** Waiting predictions are in time order: those that settle are at the front. */
  #settle(which: (waiting: Waiting) => boolean, failed: boolean): void {
    this.#drop((waiting) => {
      if (!which(waiting)) return false;
      if (waiting.acted && !failed) return true;
      const outcome = failed ? 1 : 0;
      this.#judged += 1;
      this.#baseErrors += (waiting.base - outcome) ** 2;
      waiting.probabilities.forEach((probability, model) => {
        this.#errors[model]! += (probability - outcome) ** 2;
      });
      this.#settled(waiting.atMs, failed);
      return true;
    });
  }
}
