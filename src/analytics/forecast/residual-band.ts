// Distribution of the errors that a series' own forecasts made at one horizon: the last ones, sorted. Intervals and
// the chance of passing a capacity come from these, not from a model's formula, which is always too sure of itself.

/** Errors kept: enough for a 1 % tail, few enough to follow a change within a day. */
const KEPT = 256;
/** Fewer errors than this are no distribution: the interval is then as wide as the series itself. */
const LEAST_ERRORS = 12;
/** How fast the width follows misses: 10 misses too many in 100 widen it by about a tenth. */
const WIDTH_GAIN = 0.01;
/** A short history knows too few of its bad days; coverage takes this back within some 200 outcomes. */
const FIRST_WIDTH = 1.2;
const WIDTH_BOUNDS = [0.6, 4] as const;
/** Numbers that a band is kept as, at most. */
export const MOST_BAND_NUMBERS = KEPT + 1;
/** Share that the tracked interval should miss. */
const TRACKED_MISS = 0.1;

/** Probabilities at which the distribution is written out for a forecast; ascending. */
export const LEVELS: readonly number[] = [
  0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 0.975,
  0.99, 0.995,
];

/** Errors of one horizon in units of their scale. One writer: the scoreboard. */
export class ResidualBand {
  readonly #inOrder = new Float64Array(KEPT);
  readonly #sorted = new Float64Array(KEPT);
  #count = 0;
  #next = 0;
  #width = FIRST_WIDTH;

  get isKnown(): boolean {
    return this.#count >= LEAST_ERRORS;
  }

  /** Takes one more error. The width is judged before: an error must not widen the band that it is tested by. */
  add(error: number): void {
    if (this.isKnown) {
      const isMiss = error < this.quantile(TRACKED_MISS / 2) || error > this.quantile(1 - TRACKED_MISS / 2);
      const width = this.#width * Math.exp(WIDTH_GAIN * ((isMiss ? 1 : 0) - TRACKED_MISS));
      this.#width = Math.max(WIDTH_BOUNDS[0], Math.min(WIDTH_BOUNDS[1], width));
    }
    if (this.#count === KEPT) this.#remove(this.#inOrder[this.#next]!);
    this.#insert(error);
    this.#inOrder[this.#next] = error;
    this.#next = (this.#next + 1) % KEPT;
  }

  /**
   * Error that is not passed with probability p (0..1), widened by what coverage asked for. Between order
   * statistics at (n + 1) p, as conformal prediction has it: with few errors the tails reach the extremes.
   */
  quantile(p: number): number {
    const n = this.#count;
    const position = Math.max(0, Math.min(n - 1, (n + 1) * p - 1));
    const low = Math.floor(position);
    const high = Math.min(low + 1, n - 1);
    const value = this.#sorted[low]! + (position - low) * (this.#sorted[high]! - this.#sorted[low]!);
    return value * this.#width;
  }

  /** Errors from the oldest on, then the width. */
  numbers(): number[] {
    const errors = Array.from(
      { length: this.#count },
      (_, i) => this.#inOrder[(this.#next - this.#count + i + KEPT) % KEPT]!,
    );
    return [...errors, this.#width];
  }

  /** @param numbers at most MOST_BAND_NUMBERS, as `numbers` gave them. */
  restore(numbers: Float64Array): void {
    this.#count = numbers.length - 1;
    this.#next = this.#count % KEPT;
    this.#inOrder.set(numbers.subarray(0, this.#count));
    this.#sorted.set(numbers.slice(0, this.#count).sort());
    this.#width = numbers[this.#count]!;
  }

  #insert(error: number): void {
    const at = this.#find(error);
    this.#sorted.copyWithin(at + 1, at, this.#count);
    this.#sorted[at] = error;
    this.#count += 1;
  }

  #remove(error: number): void {
    const at = this.#find(error);
    this.#sorted.copyWithin(at, at + 1, this.#count);
    this.#count -= 1;
  }

  /** First position whose error is not below. */
  #find(error: number): number {
    let low = 0;
    let high = this.#count;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#sorted[middle]! < error) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
