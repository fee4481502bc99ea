// Counters -> rates per second across resets: a counter that is lower than before has begun anew from zero,
// so what it shows now is what was counted since (Prometheus' own rule for rate()). One state per series,
// bounded; the caller forgets sources that are gone.

interface Last {
  readonly at: number;
  /** By the clock of who reads. */
  readonly seenAt: number;
  readonly value: number;
}

export type RateResult =
  | { readonly kind: 'rate'; readonly perSecond: number; readonly wasReset: boolean }
  /** The first value, or one that comes too late to say anything. */
  | { readonly kind: 'first' | 'late' | 'too_many' };

// Readings out of order are not further apart than this.
const MOST_BACK_MS = 60_000;

export class CounterRates {
  readonly #last = new Map<string, Last>();
  readonly #most: number;

  /** @param most series that are remembered. */
  constructor(most: number) {
    this.#most = most;
  }

  /**
   * @param at milliseconds, by whoever counts. A value that is not newer than the last one says nothing.
   * @param seenAt the same by the reader's clock, for `forget`.
   */
  rate(series: string, at: number, value: number, seenAt = at): RateResult {
    const last = this.#last.get(series);
    if (last === undefined) {
      if (this.#last.size >= this.#most) return { kind: 'too_many' };
      this.#last.set(series, { at, seenAt, value });
      return { kind: 'first' };
    }
    const elapsed = at - last.at;
    if (elapsed < -MOST_BACK_MS) {
      // A clock was set back: to wait until it has caught up would be an hour without a rate.
      this.#last.set(series, { at, seenAt, value });
      return { kind: 'first' };
    }
    if (elapsed <= 0) {
      this.#last.set(series, { ...last, seenAt });
      return { kind: 'late' };
    }
    this.#last.set(series, { at, seenAt, value });
    const wasReset = value < last.value;
    const counted = wasReset ? value : value - last.value;
    return { kind: 'rate', perSecond: (counted * 1000) / elapsed, wasReset };
  }

  /** Forgets what was not seen since `before`, milliseconds by the reader's clock. */
  forget(before: number): void {
    for (const [series, { seenAt }] of this.#last) if (seenAt < before) this.#last.delete(series);
  }
}
