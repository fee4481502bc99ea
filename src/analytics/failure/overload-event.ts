// When load above capacity is an overload: a few of the last rows must exceed it, and short pauses belong
// to the same overload. One rule for what is predicted, what is learnt and what is scored.

export interface OverloadRule {
  /** Rows looked at, the present one included. */
  readonly window: number;
  /** Rows of the window that must exceed the capacity. */
  readonly exceeding: number;
  /** A pause of fewer rows is closed: nothing new begins within it. */
  readonly pauseRows: number;
}

/** Follows one load against one capacity, row by row. */
export class OverloadTracker {
  readonly #rule: OverloadRule;
  readonly #recent: Float64Array;
  #rows = 0;
  #lastOver = Number.NEGATIVE_INFINITY;

  constructor(rule: OverloadRule) {
    this.#rule = rule;
    this.#recent = new Float64Array(rule.window).fill(Number.NaN);
  }

  /** Takes the next row; true when an overload begins with it. */
  push(load: number, capacity: number): boolean {
    this.#recent[this.#rows % this.#rule.window] = load;
    const row = this.#rows;
    this.#rows += 1;
    if (this.exceeding(capacity) < this.#rule.exceeding) return false;
    const begins = row - this.#lastOver > this.#rule.pauseRows;
    this.#lastOver = row;
    return begins;
  }

  /** Rows of the window above `capacity`. */
  exceeding(capacity: number): number {
    let count = 0;
    for (const load of this.#recent) if (load > capacity) count += 1;
    return count;
  }

  /** The last row is overloaded. */
  get over(): boolean {
    return this.#lastOver === this.#rows - 1;
  }

  /** Rows since the last overloaded one; Infinity when there was none. */
  get rowsSince(): number {
    return this.#rows - 1 - this.#lastOver;
  }
}
