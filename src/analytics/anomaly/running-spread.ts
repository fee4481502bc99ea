// Mean and standard deviation that follow a series slowly and that one absurd value cannot take away: a value
// far outside counts as one at the edge. Every method measures in units of this spread.

const MOST_SPREADS = 12;
/** Values at the start that are taken as they are, as no spread is known yet. */
const UNGUARDED = 10;

export class RunningSpread {
  readonly #memory: number;
  #count = 0;
  #mean = 0;
  #variance = 0;

  /** @param memory values that the estimate looks back, about. */
  constructor(memory: number) {
    this.#memory = memory;
  }

  get mean(): number {
    return this.#mean;
  }

  /** Standard deviation; 0 while the series has been constant. */
  get deviation(): number {
    return Math.sqrt(this.#variance);
  }

  push(value: number): void {
    this.#count++;
    if (this.#count === 1) {
      this.#mean = value;
      return;
    }
    const step = 1 / Math.min(this.#count, this.#memory);
    let distance = value - this.#mean;
    if (this.#count > UNGUARDED && this.#variance > 0) {
      const most = MOST_SPREADS * this.deviation;
      distance = Math.max(-most, Math.min(most, distance));
    }
    this.#mean += step * distance;
    this.#variance += step * (distance * distance - this.#variance);
  }

  /** How many deviations `value` is from the mean, signed; 0 while the deviation is 0. */
  standardise(value: number): number {
    return this.#variance > 0 ? (value - this.#mean) / this.deviation : 0;
  }
}
