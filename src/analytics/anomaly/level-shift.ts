// Shift of level: the mean of a short window against the slow course of such means. A window of n values shrinks
// ordinary noise by the root of n while a shift stays as large as it is: what a CUSUM uses, with a memory
// that ends after the window, so that a new level that lasts is accepted in the end.

import { RunningSpread } from './running-spread.ts';

export interface LevelShiftOptions {
  /** Values of the short window. */
  readonly window: number;
  /** Values that the slow course looks back. */
  readonly memory: number;
}

/** Window means that must be known before any is called shifted. */
const LEAST_MEANS = 5;

export class LevelShift {
  readonly #window: Float64Array;
  readonly #course: RunningSpread;
  #values = 0;
  #means = 0;

  constructor(options: LevelShiftOptions) {
    this.#window = new Float64Array(options.window);
    this.#course = new RunningSpread(options.memory);
  }

  /** Takes the next value; how many deviations the window's mean is off its course, signed. */
  push(value: number): number {
    this.#window[this.#values % this.#window.length] = value;
    this.#values++;
    if (this.#values < this.#window.length) return 0;
    let sum = 0;
    for (const entry of this.#window) sum += entry;
    const mean = sum / this.#window.length;
    const shift = this.#means >= LEAST_MEANS ? this.#course.standardise(mean) : 0;
    this.#course.push(mean);
    this.#means++;
    return shift;
  }
}
