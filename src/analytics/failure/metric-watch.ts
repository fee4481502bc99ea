// One metric as the failure models see it: its usual level and spread (slow, robust), its present level
// (fast), its trend, and how long it has leaned to one side (CUSUM, Page 1954). All spans are in horizons,
// so that a horizon of twenty seconds in a rehearsal and one of half an hour behave alike.

import { TREND_NUMBERS, Trend, type TrendState } from '../trend.ts';

// A few rows of smoothing inside a horizon; slower hides the onset, faster shows noise.
const FAST_SPAN = 1 / 8;
// Two lines: a steady one, and one that sees a leak of two horizons while there is time left.
const TREND_SPANS = [0.6, 0.25] as const;
// Long against what creeps: the usual must not run after the failure.
const SLOW_SPAN = 48;
// A row can move the usual level by at most this many spreads: an outage does not become the usual.
const MAX_STEP_SPREADS = 3;
// Larger scores carry no more meaning and would rule the trees' bins.
const MAX_SCORE = 30;
// CUSUM ignores leanings below this many spreads.
const CUSUM_SLACK = 1;
const MAX_CUSUM = 200;
// A magnitude above this is a broken counter, and squares of it would overflow.
const MAX_MAGNITUDE = 1e15;
// Rows before scores are believed: the first spread is a guess.
const WARM_ROWS = 20;

const OWN_NUMBERS = 8;
/** Numbers that a watch is kept as. */
export const WATCH_NUMBERS = OWN_NUMBERS + TREND_SPANS.length * TREND_NUMBERS;

export class MetricWatch {
  readonly #trends = TREND_SPANS.map((span) => new Trend(span));
  #rows = 0;
  #time = Number.NaN;
  #fast = 0;
  #slow = 0;
  #spread = 0;
  #above = 0;
  #below = 0;
  #value = Number.NaN;

  /** @param time in horizons, ascending. Values that are not finite or absurd are left out. */
  push(time: number, value: number): void {
    const usable = Number.isFinite(value) && Math.abs(value) <= MAX_MAGNITUDE;
    this.#value = usable ? value : Number.NaN;
    if (!usable) return;
    const elapsed = Number.isNaN(this.#time) ? 0 : Math.max(0, time - this.#time);
    this.#time = time;
    this.#rows += 1;
    for (const trend of this.#trends) trend.push(time, value);
    if (this.#rows === 1) {
      this.#fast = value;
      this.#slow = value;
      return;
    }
    this.#fast += (1 - Math.exp(-elapsed / FAST_SPAN)) * (value - this.#fast);
    // Running mean first, then forgetting: the start is not weighted for ever.
    const share = Math.max(1 / this.#rows, 1 - Math.exp(-elapsed / SLOW_SPAN));
    const limit = this.#rows < WARM_ROWS ? Number.POSITIVE_INFINITY : MAX_STEP_SPREADS * this.spread;
    const step = Math.max(-limit, Math.min(limit, value - this.#slow));
    this.#slow += share * step;
    this.#spread += share * (Math.abs(step) - this.#spread);
    const score = this.score;
    this.#above = Math.min(MAX_CUSUM, Math.max(0, this.#above + score - CUSUM_SLACK));
    this.#below = Math.min(MAX_CUSUM, Math.max(0, this.#below - score - CUSUM_SLACK));
  }

  get warm(): boolean {
    return this.#rows >= WARM_ROWS;
  }

  /** The last value, NaN when it was unusable. */
  get value(): number {
    return this.#value;
  }

  get usual(): number {
    return this.#slow;
  }

  /** Mean absolute deviation, never 0: a constant metric that moves at all has moved by much, not by infinity. */
  get spread(): number {
    return Math.max(this.#spread, 1e-3 * Math.abs(this.#slow), 1e-9);
  }

  /** Last value against the usual, in spreads, -30..30; 0 while cold or unknown. */
  get score(): number {
    return this.#scoreOf(this.#value);
  }

  /** The same for the present (smoothed) level. */
  get levelScore(): number {
    return this.#scoreOf(this.#fast);
  }

  /** Present level, smoothed over an eighth of a horizon. */
  get level(): number {
    return this.#fast;
  }

  /** How long and how far it has leaned to one side, 0..200. */
  get lean(): number {
    return Math.max(this.#above, this.#below);
  }

  /** WATCH_NUMBERS of them, for `restore`. */
  numbers(): number[] {
    const levels = [this.#fast, this.#slow, this.#spread, this.#above, this.#below];
    const own = [this.#rows, this.#time, ...levels, this.#value];
    return [...own, ...this.#trends.flatMap((trend) => trend.numbers())];
  }

  restore(numbers: Float64Array): void {
    this.#rows = numbers[0]!;
    this.#time = numbers[1]!;
    this.#fast = numbers[2]!;
    this.#slow = numbers[3]!;
    this.#spread = numbers[4]!;
    this.#above = numbers[5]!;
    this.#below = numbers[6]!;
    this.#value = numbers[7]!;
    this.#trends.forEach((trend, i) => {
      trend.restore(numbers.subarray(OWN_NUMBERS + i * TREND_NUMBERS));
    });
  }

  /** The steady line. */
  trend(): TrendState | undefined {
    return this.#trends[0]!.state();
  }

  /** The steady line and the quick one, as far as they have points enough. */
  trends(): TrendState[] {
    return this.#trends.map((trend) => trend.state()).filter((state) => state !== undefined);
  }

  #scoreOf(value: number): number {
    if (!this.warm || Number.isNaN(value)) return 0;
    return Math.max(-MAX_SCORE, Math.min(MAX_SCORE, (value - this.#slow) / this.spread));
  }
}
