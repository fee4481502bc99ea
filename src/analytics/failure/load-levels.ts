// Where a load stands, in logarithms: smoothed levels, its noise from row to row and how far it wanders in
// a horizon. Against a capacity these become the columns from which overload is judged; they contain
// ratios only, so what was learnt at one capacity (or one site's size) holds at another.

// Smoothing times in horizons: a few rows, half a horizon, and two slower ones for bend and background.
const SPANS = [0.2, 0.5, 1.5, 6] as const;
const NOISE_SPAN = 4;
const WANDER_SPAN = 20;
// Mean absolute deviation to standard deviation of a normal.
const TO_SIGMA = 1.25;
// Smaller noise than this is rounding, and scores against it would explode.
const MIN_NOISE = 0.02;
const MAX_SCORE = 8;
const MAX_RATIO = 2;
// A load of zero has no logarithm: a row counts as at least this share of the slow level, whatever the unit.
const LEAST_SHARE = 0.02;
const MIN_LOAD = 1e-9;
const MAX_LOAD = 1e15;

/** Values that `writeState` stores of one moment. */
export const LEVEL_STATE_SIZE = 6;
/** Columns that `overloadColumns` writes. */
export const OVERLOAD_COLUMNS = 13;

export class LoadLevels {
  readonly #rates: readonly number[];
  readonly #noiseRate: number;
  readonly #wanderRate: number;
  readonly #levels = new Float64Array(SPANS.length);
  /** Level of half a horizon, one horizon ago and since: a ring. */
  readonly #before: Float64Array;
  #rows = 0;
  #seen = false;
  #noise = 0;
  #wander = 0;

  constructor(horizonRows: number) {
    this.#rates = SPANS.map((span) => 1 - Math.exp(-1 / Math.max(0.5, span * horizonRows)));
    this.#noiseRate = 1 - Math.exp(-1 / (NOISE_SPAN * horizonRows));
    this.#wanderRate = 1 - Math.exp(-1 / (WANDER_SPAN * horizonRows));
    this.#before = new Float64Array(horizonRows);
  }

  /** A load that is not finite leaves all levels as they are. */
  push(load: number): void {
    // Before the first request there is no level to fall from.
    const usable = Number.isFinite(load) && load <= MAX_LOAD && (load > MIN_LOAD || this.#seen);
    if (usable) this.#learn(Math.log(Math.max(load, MIN_LOAD)));
    const at = this.#rows % this.#before.length;
    const past = this.#rows < this.#before.length ? this.#levels[1]! : this.#before[at]!;
    if (this.#rows > 0) {
      this.#wander += this.#wanderRate * (Math.abs(this.#levels[1]! - past) - this.#wander);
    }
    this.#before[at] = this.#levels[1]!;
    this.#rows += 1;
  }

  /** Writes the present state, LEVEL_STATE_SIZE values. */
  writeState(out: Float32Array, offset: number): void {
    for (let i = 0; i < SPANS.length; i += 1) out[offset + i] = this.#levels[i]!;
    out[offset + 4] = Math.max(MIN_NOISE, TO_SIGMA * this.#noise);
    out[offset + 5] = this.#wander;
  }

  #learn(log: number): void {
    if (!this.#seen) this.#levels.fill(log);
    this.#seen = true;
    const floored = Math.max(log, this.#levels[SPANS.length - 1]! + Math.log(LEAST_SHARE));
    this.#noise += this.#noiseRate * (Math.abs(floored - this.#levels[1]!) - this.#noise);
    for (let i = 0; i < SPANS.length; i += 1) {
      this.#levels[i]! += this.#rates[i]! * (floored - this.#levels[i]!);
    }
  }
}

/** A moment seen against a capacity: the state, how many of the last rows exceeded it, whether the last did. */
export interface LoadMoment {
  readonly state: Float32Array;
  readonly stateOffset: number;
  readonly logCapacity: number;
  readonly exceeding: number;
  readonly exceedsNow: boolean;
}

/** Log of (level / capacity), where level is smoothed over half a horizon. */
export function logUtilisation({
  state,
  stateOffset,
  logCapacity,
}: Omit<LoadMoment, 'exceeding' | 'exceedsNow'>): number {
  return state[stateOffset + 1]! - logCapacity;
}

/** Writes the OVERLOAD_COLUMNS columns of a moment. */
export function writeOverloadColumns(out: Float64Array, offset: number, moment: LoadMoment): void {
  const { state, stateOffset, logCapacity } = moment;
  const ratio = (level: number): number => clamp(state[stateOffset + level]! - logCapacity, MAX_RATIO);
  const noise = state[stateOffset + 4]!;
  const reach = Math.max(MIN_NOISE, Math.hypot(state[stateOffset + 5]!, noise / 2));
  const fast = state[stateOffset]! - logCapacity;
  const level = state[stateOffset + 1]! - logCapacity;
  const bend = state[stateOffset + 1]! - state[stateOffset + 2]!;
  const score = clamp(level / reach, MAX_SCORE);
  out[offset] = 1;
  for (let i = 0; i < SPANS.length; i += 1) out[offset + 1 + i] = ratio(i);
  out[offset + 5] = score;
  out[offset + 6] = clamp(fast / reach, MAX_SCORE);
  // Two bends of the score: far below capacity the odds fall faster than near it.
  out[offset + 7] = Math.max(0, -1 - score);
  out[offset + 8] = Math.max(0, -3 - score);
  out[offset + 9] = moment.exceeding;
  out[offset + 10] = moment.exceedsNow ? 1 : 0;
  out[offset + 11] = Math.log(noise);
  out[offset + 12] = clamp((level + bend) / reach, MAX_SCORE);
}

function clamp(value: number, most: number): number {
  return Math.max(-most, Math.min(most, value));
}
