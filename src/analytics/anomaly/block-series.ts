// A coarser view of a series: blocks of values, each told as one number to a method that works on the series of
// blocks. Between two ends of blocks the last answer stands.

import type { LagNovelty } from './lag-novelty.ts';

export class BlockSeries {
  readonly #tells: 'mean' | 'greatest';
  readonly #length: number;
  readonly #method: LagNovelty;
  #sum = 0;
  #greatest = Number.NEGATIVE_INFINITY;
  #filled = 0;
  #answer = 0;

  constructor(tells: 'mean' | 'greatest', length: number, method: LagNovelty) {
    this.#tells = tells;
    this.#length = length;
    this.#method = method;
  }

  /** Takes the next value; the method's answer to the last whole block, 0 before the first. */
  push(value: number): number {
    this.#sum += value;
    this.#greatest = Math.max(this.#greatest, value);
    this.#filled++;
    if (this.#filled < this.#length) return this.#answer;
    this.#answer = this.#method.push(this.#tells === 'mean' ? this.#sum / this.#length : this.#greatest);
    this.#sum = 0;
    this.#greatest = Number.NEGATIVE_INFINITY;
    this.#filled = 0;
    return this.#answer;
  }
}
