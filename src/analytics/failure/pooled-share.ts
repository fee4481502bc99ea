// A share of errors among three requests is no measurement: a region that was relieved would look well again on one good
// answer, get its traffic back, and fail again. Rows of few requests are therefore put together until they say something.

// Without an error among them this many requests say that fewer than one in ten fail, with 95 % (rule of three).
const LEAST_REQUESTS = 30;

export class PooledShare {
  #requests = 0;
  #errors = 0;

  /**
   * @param share 0..1 of a row, @param requests of the same row.
   * @returns the share of errors since the last one that was given; NaN while there are too few requests.
   */
  take(share: number, requests: number): number {
    if (!(requests > 0) || !(share >= 0)) return Number.NaN;
    this.#requests += requests;
    this.#errors += share * requests;
    if (this.#requests < LEAST_REQUESTS) return Number.NaN;
    const pooled = this.#errors / this.#requests;
    this.#requests = 0;
    this.#errors = 0;
    return pooled;
  }
}
