// Demand of one slice by the hour, for forecasts of hours ahead: six weeks of means in a ring. Filled from the
// history at a start and by each row after it.

export const HOUR_MS = 3_600_000;
/** Six weeks: a weekly season seen six times; more only costs time. */
const HOURS = 1008;

export interface HourlyMean {
  /** Number of the hour: wall clock / hour. */
  readonly hour: number;
  readonly mean: number;
  /** Measurements behind it. */
  readonly n: number;
}

export class HourlyDemand {
  #means = new Float32Array(24).fill(Number.NaN);
  /** The ring holds [end - length, end). */
  #end = 0;
  #length = 0;
  #present: HourlyMean | undefined;

  /** @param at wall milliseconds at which what was measured ends. Earlier hours than the present are over. */
  push(at: number, value: number): void {
    const hour = Math.floor((at - 1) / HOUR_MS);
    if (!Number.isFinite(value)) return;
    const present = this.#present;
    if (present !== undefined && hour < present.hour) return;
    if (present === undefined || hour > present.hour) {
      if (present !== undefined) this.#close(present);
      this.#present = { hour, mean: value, n: 1 };
      return;
    }
    const n = present.n + 1;
    this.#present = { hour, mean: present.mean + (value - present.mean) / n, n };
  }

  /** Replaces what is known by kept hours, in ascending order; nothing to replace it with changes nothing. */
  load(hours: readonly HourlyMean[]): void {
    if (hours.length === 0) return;
    this.#length = 0;
    this.#end = 0;
    for (const mean of hours.slice(0, -1)) this.#close(mean);
    this.#present = hours.at(-1);
  }

  /**
   * Means of all hours before `hour`, oldest first, NaN where nothing was measured. While no hour is over, the
   * present one stands for it.
   */
  before(hour: number): Float64Array {
    const present = this.#present;
    if (present === undefined || hour <= present.hour - HOURS) return new Float64Array();
    const first = this.#length === 0 ? Math.min(present.hour, hour - 1) : this.#end - this.#length;
    const values = new Float64Array(Math.max(0, Math.min(HOURS, hour - first))).fill(Number.NaN);
    for (let i = 0; i < values.length; i++) {
      const at = hour - values.length + i;
      if (at >= this.#end - this.#length && at < this.#end) values[i] = this.#means[at % this.#means.length]!;
      else if (at === present.hour || this.#length === 0) values[i] = present.mean;
    }
    return values;
  }

  /** Mean of the hours [from, to), numbers of hours; undefined when less than half of them was measured. */
  meanOf(from: number, to: number): number | undefined {
    const all = this.before(to);
    const known = all.subarray(Math.max(0, all.length - (to - from))).filter((mean) => !Number.isNaN(mean));
    if (known.length === 0 || known.length * 2 < to - from) return undefined;
    return known.reduce((sum, mean) => sum + mean, 0) / known.length;
  }

  #close({ hour, mean }: HourlyMean): void {
    if (this.#length > 0 && hour < this.#end) return;
    if (this.#length === 0) this.#end = hour;
    this.#reserve(Math.min(HOURS, this.#length + (hour - this.#end) + 1));
    const size = this.#means.length;
    for (let gap = Math.max(this.#end, hour - size); gap < hour; gap++) this.#means[gap % size] = Number.NaN;
    this.#means[hour % size] = mean;
    this.#length = Math.min(size, this.#length + (hour - this.#end) + 1);
    this.#end = hour + 1;
  }

  #reserve(hours: number): void {
    const size = this.#means.length;
    if (hours <= size) return;
    const grown = new Float32Array(Math.min(HOURS, Math.max(hours, 2 * size))).fill(Number.NaN);
    for (let hour = this.#end - this.#length; hour < this.#end; hour++) {
      grown[hour % grown.length] = this.#means[hour % size]!;
    }
    this.#means = grown;
  }
}
