// Rows of features with what each model said of them, kept until their outcome is known and for training after
// that. In 32 bits: trees split on the values that they were trained on, so predictions are made on the same.
// Grows with what is kept; an entity that has never failed has nothing to train on and keeps less.

import { pack, type StateReader, UnreadableState } from '../state-reader.ts';

const FIRST_ROWS = 64;
const WAITING = -1;

/** Rows whose outcome is known, oldest first. */
export interface SettledRows {
  /** Wall milliseconds, ascending. */
  readonly times: Float64Array;
  /** Row-major. */
  readonly features: Float64Array;
  readonly labels: Uint8Array;
  /** One list a model. */
  readonly probabilities: readonly Float64Array[];
}

export class KeptRows {
  readonly #columns: number;
  readonly #models: number;
  #features: Float32Array;
  #probabilities: Float32Array;
  #times: Float64Array;
  /** 1 failed, 0 did not, WAITING. */
  #outcomes: Int8Array;
  #count = 0;

  constructor(columns: number, models: number) {
    this.#columns = columns;
    this.#models = models;
    this.#features = new Float32Array(FIRST_ROWS * columns);
    this.#probabilities = new Float32Array(FIRST_ROWS * models);
    this.#times = new Float64Array(FIRST_ROWS);
    this.#outcomes = new Int8Array(FIRST_ROWS);
  }

  /** Wall milliseconds of the newest row; -Infinity without one. */
  get lastMs(): number {
    return this.#count === 0 ? Number.NEGATIVE_INFINITY : this.#times[this.#count - 1]!;
  }

  /** @param most rows that are kept at all; the oldest go. */
  push(atMs: number, features: Float32Array, probabilities: readonly number[], most: number): void {
    if (this.#count >= this.#times.length) this.#makeRoom(most);
    const row = this.#count;
    this.#count += 1;
    this.#times[row] = atMs;
    this.#outcomes[row] = WAITING;
    this.#features.set(features, row * this.#columns);
    this.#probabilities.set(probabilities, row * this.#models);
  }

  /** The outcome of the prediction made at `atMs` is known and counts; one that was not kept is none of ours. */
  settle(atMs: number, failed: boolean): void {
    // Those that wait are young: at the end.
    for (let row = this.#count - 1; row >= 0 && this.#times[row]! >= atMs; row -= 1) {
      if (this.#times[row] === atMs) this.#outcomes[row] = failed ? 1 : 0;
    }
  }

  /**
   * What was settled as quiet in [from, to) was the time before a failure, as somebody says afterwards.
   * @returns what the models had said of each of these rows.
   */
  relabel(from: number, to: number): Float64Array[] {
    const said: Float64Array[] = [];
    for (let row = 0; row < this.#count; row += 1) {
      const at = this.#times[row]!;
      if (at < from || at >= to || this.#outcomes[row] !== 0) continue;
      this.#outcomes[row] = 1;
      const start = row * this.#models;
      said.push(Float64Array.from(this.#probabilities.subarray(start, start + this.#models)));
    }
    return said;
  }

  settled(): SettledRows {
    const rows: number[] = [];
    for (let row = 0; row < this.#count; row += 1) if (this.#outcomes[row] !== WAITING) rows.push(row);
    const features = new Float64Array(rows.length * this.#columns);
    rows.forEach((row, i) => {
      features.set(
        this.#features.subarray(row * this.#columns, (row + 1) * this.#columns),
        i * this.#columns,
      );
    });
    return {
      times: Float64Array.from(rows, (row) => this.#times[row]!),
      features,
      labels: Uint8Array.from(rows, (row) => this.#outcomes[row]!),
      probabilities: Array.from({ length: this.#models }, (_, model) =>
        Float64Array.from(rows, (row) => this.#probabilities[row * this.#models + model]!),
      ),
    };
  }

  state(): object {
    const n = this.#count;
    return {
      times: pack(this.#times.subarray(0, n)),
      outcomes: pack(this.#outcomes.subarray(0, n)),
      features: pack(this.#features.subarray(0, n * this.#columns)),
      probabilities: pack(this.#probabilities.subarray(0, n * this.#models)),
    };
  }

  /** @param most rows that a state may have. */
  restore(state: StateReader, most: number): void {
    const times = state.numbersUpTo('times', most);
    const n = times.length;
    const outcomes = new Int8Array(state.bytes('outcomes', n).buffer);
    const features = state.floats('features', n * this.#columns);
    const probabilities = state.floats('probabilities', n * this.#models);
    if (!times.every((at, row) => row === 0 || at > times[row - 1]!)) {
      throw new UnreadableState('times of kept rows must ascend');
    }
    this.#times = times;
    this.#outcomes = outcomes;
    this.#features = features;
    this.#probabilities = probabilities;
    this.#count = n;
  }

  /** Twice as many up to `most`; then the oldest quarter goes, so that rows move down once in a while. */
  #makeRoom(most: number): void {
    const kept = Math.min(this.#count, Math.floor(0.75 * most));
    const size = Math.max(FIRST_ROWS, Math.min(most, 2 * this.#count));
    const from = this.#count < most ? 0 : this.#count - kept;
    const rows = this.#count - from;
    const { times, outcomes, features, probabilities } = {
      times: new Float64Array(size),
      outcomes: new Int8Array(size),
      features: new Float32Array(size * this.#columns),
      probabilities: new Float32Array(size * this.#models),
    };
    times.set(this.#times.subarray(from, this.#count));
    outcomes.set(this.#outcomes.subarray(from, this.#count));
    features.set(this.#features.subarray(from * this.#columns, this.#count * this.#columns));
    probabilities.set(this.#probabilities.subarray(from * this.#models, this.#count * this.#models));
    this.#times = times;
    this.#outcomes = outcomes;
    this.#features = features;
    this.#probabilities = probabilities;
    this.#count = rows;
  }
}
