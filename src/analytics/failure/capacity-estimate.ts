// A capacity where none is configured: what the busiest hours of the last days needed, and a tenth more.
// A day's figure is the 99th percentile of its rows; the greatest of three days counts, so that a quiet
// Sunday does not make Monday an overload.

const ROWS_PER_DAY = 1440;
const DAYS = 3;
const MOST_ROWS = ROWS_PER_DAY * DAYS;
const HEADROOM = 1.1;
const QUANTILE = 0.99;
// Re-sorted this often; a capacity need not change from row to row.
const EVERY_ROWS = 60;

export class CapacityEstimate {
  #rows = new Float32Array(EVERY_ROWS).fill(Number.NaN);
  #count = 0;
  #capacity = Number.NaN;

  push(load: number): void {
    if (this.#count === this.#rows.length && this.#count < MOST_ROWS) {
      const grown = new Float32Array(Math.min(MOST_ROWS, 2 * this.#count)).fill(Number.NaN);
      grown.set(this.#rows);
      this.#rows = grown;
    }
    this.#rows[this.#count % this.#rows.length] = load;
    if (this.#count % EVERY_ROWS === 0 || this.#count < EVERY_ROWS) this.#capacity = this.#estimated();
    this.#count += 1;
  }

  /** NaN before the first row with load. */
  get capacity(): number {
    return this.#capacity;
  }

  #estimated(): number {
    const sorted = this.#rows.filter((load) => Number.isFinite(load) && load >= 0).sort();
    const high = sorted[Math.floor(sorted.length * QUANTILE)];
    return high === undefined || high === 0 ? Number.NaN : HEADROOM * high;
  }
}
