// One incident, one early rise: a score that has been given lifts the bar for those after it, and the bar sinks
// back to nothing over a rest. No threshold is involved, so a second incident that is clearly worse than the
// first still shows, and what comes of it fits any threshold that a user chooses later.

/** Damps a stream of scores, zero or more each. */
export class IncidentDamping {
  readonly #rest: number;
  #peak = 0;
  #age: number;

  /** @param rest rows after which a score is forgotten, at least 1. */
  constructor(rest: number) {
    this.#rest = rest;
    this.#age = rest;
  }

  /** What of `score` is news: the part above the bar that earlier scores left. */
  push(score: number): number {
    const bar = this.#age < this.#rest ? this.#peak * (1 - this.#age / this.#rest) : 0;
    this.#age++;
    if (score >= bar) {
      this.#peak = score;
      this.#age = 0;
    }
    return Math.max(0, score - bar);
  }
}
