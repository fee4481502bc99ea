// The recent past of one series, shared by all its models: the last values without holes, and a slowly moving
// profile of each season (what is usual at this time of the day). First stop of a value on the forecasting walk.

import { pack, packNumbers, type StateReader, UnreadableState } from '../state-reader.ts';

/** Beyond this a value is a broken counter or a forged report, not load: it is treated as missing. */
export const ABSURD_VALUE = 1e15;

/** Weight of the newest season in its profile: high forgets holidays soon, low keeps the noise of single days out. */
const PROFILE_GAIN = 0.15;
/** Neighbours that smooth a profile on each side, as a share of the season: half an hour of a day. */
const SMOOTHED_SHARE = 1 / 48;

interface Profile {
  readonly season: number;
  /** Steps on each side that are averaged when the profile is read. */
  readonly reach: number;
  readonly slots: Float32Array;
  /** Slot of the newest value. */
  at: number;
}

/** Ring of the last values, oldest overwritten. One writer: the forecaster that owns it. */
export class SeriesWindow {
  readonly capacity: number;
  readonly seasons: readonly number[];
  readonly #values: Float64Array;
  readonly #profiles: readonly Profile[];
  #steps: number;
  #count = 0;
  #next = 0;
  #missing = 0;
  #level = 0;
  #isNegative = false;

  /** `capacity` values are kept; `seasons` in steps; `steps` that the series lived before the first value pushed. */
  constructor(capacity: number, seasons: readonly number[], steps = 0) {
    this.#steps = steps;
    this.capacity = capacity;
    this.seasons = seasons;
    this.#values = new Float64Array(capacity);
    this.#profiles = seasons.map((season) => ({
      season,
      reach: Math.floor(season * SMOOTHED_SHARE),
      slots: new Float32Array(season).fill(Number.NaN),
      at: season - 1,
    }));
  }

  /** Steps that the series has lived, missing ones too. */
  get steps(): number {
    return this.#steps;
  }

  /** Values held, at most `capacity`. */
  get length(): number {
    return this.#count;
  }

  /** Steps since the last value that was really there; 0 when the newest one is. */
  get missing(): number {
    return this.#missing;
  }

  /** Typical absolute value, a slow moving average; 0 before the first value. */
  get level(): number {
    return this.#level;
  }

  /** True once a value below zero was seen: then forecasts may be negative too. */
  get isNegative(): boolean {
    return this.#isNegative;
  }

  /** Takes the next step; a value that is not finite or absurd is missing and repeats the last. */
  push(value: number): void {
    const isThere = Number.isFinite(value) && Math.abs(value) <= ABSURD_VALUE;
    const kept = isThere ? value : this.#count === 0 ? 0 : this.at(0);
    this.#missing = isThere ? 0 : this.#missing + 1;
    this.#steps += 1;
    this.#values[this.#next] = kept;
    this.#next = (this.#next + 1) % this.capacity;
    if (this.#count < this.capacity) this.#count += 1;
    for (const profile of this.#profiles) moveProfile(profile, isThere ? kept : Number.NaN);
    if (!isThere) return;
    if (kept < 0) this.#isNegative = true;
    const gain = Math.max(1 / this.#count, 0.001);
    this.#level += gain * (Math.abs(kept) - this.#level);
  }

  state(): object {
    const scalars = [this.#steps, this.#missing, this.#level, this.#isNegative ? 1 : 0];
    return {
      numbers: packNumbers(scalars),
      values: pack(this.history()),
      profiles: this.#profiles.map(({ slots, at }) => ({ at: packNumbers([at]), slots: pack(slots) })),
    };
  }

  /** Takes the state of a window of the same capacity and seasons. */
  restore(state: StateReader): void {
    const [steps = 0, missing = 0, level = 0, isNegative] = state.numbers('numbers', 4);
    const values = state.numbersUpTo('values', this.capacity);
    const profiles = state.list('profiles', this.#profiles.length);
    if (profiles.length !== this.#profiles.length) throw new UnreadableState('a season is not there');
    this.#profiles.forEach((profile, i) => {
      profile.slots.set(profiles[i]!.floats('slots', profile.season));
      profile.at = Math.max(0, Math.min(profile.season - 1, profiles[i]!.numbers('at', 1)[0]!));
    });
    this.#values.set(values);
    this.#count = values.length;
    this.#next = values.length % this.capacity;
    this.#steps = steps;
    this.#missing = missing;
    this.#level = level;
    this.#isNegative = isNegative === 1;
  }

  /** Value `lag` steps before the newest; the oldest one beyond the start, 0 when empty. */
  at(lag: number): number {
    if (this.#count === 0) return 0;
    const back = lag < this.#count ? lag : this.#count - 1;
    let index = this.#next - 1 - back;
    if (index < 0) index += this.capacity;
    return this.#values[index]!;
  }

  /** All values held, oldest first. */
  history(): Float64Array {
    const out = new Float64Array(this.#count);
    for (let i = 0; i < out.length; i++) out[i] = this.at(out.length - 1 - i);
    return out;
  }

  /**
   * Usual value at `ahead` steps from the newest (negative: before it), averaged with `extra` more neighbours to
   * the past than the profile's own; NaN until a whole season was seen there.
   */
  usual(season: number, ahead: number, extra = 0): number {
    const profile = this.#profiles[season]!;
    const { slots, reach } = profile;
    const width = Math.min(2 * reach + 1 + extra, slots.length);
    let slot = (profile.at + ahead + reach) % slots.length;
    if (slot < 0) slot += slots.length;
    let sum = 0;
    for (let i = 0; i < width; i++) {
      sum += slots[slot]!;
      slot = slot === 0 ? slots.length - 1 : slot - 1;
    }
    return sum / width;
  }
}

function moveProfile(profile: Profile, value: number): void {
  const { slots } = profile;
  profile.at = profile.at + 1 === slots.length ? 0 : profile.at + 1;
  if (Number.isNaN(value)) return;
  const before = slots[profile.at]!;
  slots[profile.at] = Number.isNaN(before) ? value : before + PROFILE_GAIN * (value - before);
}
