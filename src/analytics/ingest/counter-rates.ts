// Counters -> rates per second across resets: a counter that is lower than before has begun anew from zero,
// so what it shows now is what was counted since (Prometheus' own rule for rate()). One state per series,
// bounded; the caller forgets sources that are gone.

interface Last {
  readonly at: number;
  readonly value: number;
}

export type RateResult =
  | { readonly kind: 'rate'; readonly perSecond: number; readonly wasReset: boolean }
  /** The first value, or one that comes too late to say anything. */
  | { readonly kind: 'first' | 'late' | 'too_many' };

export class CounterRates {
  readonly #last = new Map<string, Last>();
  readonly #most: number;

  /** @param most series that are remembered. */
  constructor(most: number) {
    this.#most = most;
  }

  /** @param at milliseconds. A value that is not newer than the last one says nothing. */
  rate(series: string, at: number, value: number): RateResult {
    const last = this.#last.get(series);
    if (last === undefined) {
      if (this.#last.size >= this.#most) return { kind: 'too_many' };
      this.#last.set(series, { at, value });
      return { kind: 'first' };
    }
    const elapsed = at - last.at;
    if (elapsed <= 0) return { kind: 'late' };
    this.#last.set(series, { at, value });
    const wasReset = value < last.value;
    const counted = wasReset ? value : value - last.value;
    return { kind: 'rate', perSecond: (counted * 1000) / elapsed, wasReset };
  }

  /** Forgets what was not seen since `before`, milliseconds. */
  forget(before: number): void {
    for (const [series, { at }] of this.#last) if (at < before) this.#last.delete(series);
  }
}
