// What each metric did at the same time on the days before: extremes per five-minute slot over a week. A
// failure that comes with a nightly job shows the job's trace on earlier nights too, long before anyone
// called it a failure; so one confirmed incident can be recognised as the first of a series.

import { pack, packNumbers, type StateReader, UnreadableState } from '../state-reader.ts';

const SLOT_MS = 300_000;
const DAY_MS = 86_400_000;
const SLOTS_PER_DAY = DAY_MS / SLOT_MS;
// Eight days: seven earlier occurrences of a daily job. Two values of 4 bytes per slot and metric, 18 KB when all of
// them have been lived; a young memory has room for the days that it knows.
const MEMORY_DAYS = 8;
const SLOTS = MEMORY_DAYS * SLOTS_PER_DAY;
// A trace is a metric's value that at most this share of all slots reach.
const RARE_SHARE = 0.015;
// Of the way from the usual to the extreme value: an occurrence that reaches this far is the same trace.
const SAME_REACH = 0.6;
// Metrics of the trace that must show it again.
const SAME_METRICS = 0.6;
// Below a day and a half there is no second day to compare with.
const MIN_SLOTS = 1.5 * SLOTS_PER_DAY;

/** How often the trace of one moment stood at the same time of earlier days. */
export interface TraceRecurrence {
  readonly matches: number;
  readonly misses: number;
  /** Share of all remembered moments that show the trace: what chance alone would match. */
  readonly chance: number;
}

export class SlotMemory {
  readonly #columns: number;
  #highs: Float32Array;
  #lows: Float32Array;
  /** Slots that there is room for: SLOTS at most, then a ring. */
  #room = SLOTS_PER_DAY;
  /** 1 where something was failing. */
  readonly #failing = new Uint8Array(SLOTS);
  #firstSlot = -1;
  #slot = -1;

  /** @param columns metrics a row has; memory is 18 KB for each. */
  constructor(columns: number) {
    this.#columns = columns;
    this.#highs = new Float32Array(this.#room * columns).fill(Number.NaN);
    this.#lows = new Float32Array(this.#room * columns).fill(Number.NaN);
  }

  push(atMs: number, values: ArrayLike<number>, failing: boolean): void {
    const slot = Math.floor(atMs / SLOT_MS);
    if (slot < this.#slot) return;
    if (this.#firstSlot === -1) this.#firstSlot = slot;
    this.#makeRoom(slot);
    // A gap leaves unknown slots, at most one round of the ring.
    const since = Math.max(this.#slot + 1, this.#firstSlot, slot - this.#room + 1);
    for (let gap = since; gap <= slot; gap += 1) {
      const start = this.#startOf(gap);
      this.#highs.fill(Number.NaN, start, start + this.#columns);
      this.#lows.fill(Number.NaN, start, start + this.#columns);
      this.#failing[gap % SLOTS] = 0;
    }
    if (failing) this.#failing[slot % SLOTS] = 1;
    this.#slot = slot;
    const start = this.#startOf(slot);
    for (let column = 0; column < this.#columns; column += 1) {
      const value = values[column]!;
      if (!Number.isFinite(value)) continue;
      const at = start + column;
      if (!(this.#highs[at]! >= value)) this.#highs[at] = value;
      if (!(this.#lows[at]! <= value)) this.#lows[at] = value;
    }
  }

  /** The same memory of other columns. @param from per new column the old one, -1 = none. */
  reshaped(from: readonly number[]): SlotMemory {
    const other = new SlotMemory(from.length);
    other.#room = this.#room;
    other.#firstSlot = this.#firstSlot;
    other.#slot = this.#slot;
    other.#failing.set(this.#failing);
    other.#highs = this.#moved(this.#highs, from);
    other.#lows = this.#moved(this.#lows, from);
    return other;
  }

  #moved(values: Float32Array, from: readonly number[]): Float32Array {
    const moved = new Float32Array(this.#room * from.length).fill(Number.NaN);
    for (let slot = 0; slot < this.#room; slot += 1) {
      from.forEach((old, column) => {
        if (old !== -1) moved[slot * from.length + column] = values[slot * this.#columns + old]!;
      });
    }
    return moved;
  }

  state(): object {
    return {
      numbers: packNumbers([this.#firstSlot, this.#slot]),
      highs: pack(this.#highs),
      lows: pack(this.#lows),
      failing: pack(this.#failing),
    };
  }

  restore(state: StateReader): void {
    const [firstSlot, slot] = state.numbers('numbers', 2);
    // As much room as it had, which grows with the days that were lived.
    const highs = state.floatsUpTo('highs', SLOTS * this.#columns);
    const lows = state.floats('lows', highs.length);
    const room = this.#columns === 0 ? this.#room : highs.length / this.#columns;
    if (room < SLOTS_PER_DAY || room % SLOTS_PER_DAY !== 0) {
      throw new UnreadableState(`a memory has room for whole days of slots, given ${room} slots`);
    }
    this.#failing.set(state.bytes('failing', SLOTS));
    this.#room = room;
    this.#highs = highs;
    this.#lows = lows;
    this.#firstSlot = firstSlot!;
    this.#slot = slot!;
  }

  /** Highest value of the same span on earlier days that went well; undefined when there was none. */
  usualHigh(atMs: number, spanMs: number, column: number): number | undefined {
    const slot = Math.floor(atMs / SLOT_MS);
    const width = Math.min(SLOTS_PER_DAY / 2, Math.ceil(spanMs / SLOT_MS));
    const oldest = Math.max(this.#firstSlot, this.#slot - SLOTS + 1);
    let highest: number | undefined;
    for (let day = slot - SLOTS_PER_DAY; day >= oldest; day -= SLOTS_PER_DAY) {
      for (let at = day; at <= day + width; at += 1) {
        const value = this.#highs[this.#startOf(at) + column]!;
        if (this.#failing[at % SLOTS] === 0 && value > (highest ?? Number.NEGATIVE_INFINITY)) highest = value;
      }
    }
    return highest;
  }

  /** Rows of a slot; counted from the first one on, so that a young memory fills from its beginning. */
  #startOf(slot: number): number {
    return ((slot - this.#firstSlot) % this.#room) * this.#columns;
  }

  #makeRoom(slot: number): void {
    const wanted = Math.min(SLOTS, slot - this.#firstSlot + 1);
    if (wanted <= this.#room) return;
    this.#room = Math.min(SLOTS, Math.ceil(wanted / SLOTS_PER_DAY) * SLOTS_PER_DAY);
    this.#highs = grown(this.#highs, this.#room * this.#columns);
    this.#lows = grown(this.#lows, this.#room * this.#columns);
  }

  /** Looks for the trace of `atMs` (and the five minutes behind it) on the days before it. */
  recurrenceOf(atMs: number): TraceRecurrence | undefined {
    const slot = Math.floor(atMs / SLOT_MS);
    const oldest = Math.max(this.#firstSlot, this.#slot - SLOTS + 1);
    if (slot - oldest < MIN_SLOTS || slot > this.#slot) return undefined;
    const tests = this.#traceOf(slot, oldest);
    if (tests.length === 0) return undefined;
    const show = (at: number): boolean => {
      const shown = tests.filter((test) => test.values(at) >= test.reach).length;
      return shown >= SAME_METRICS * tests.length;
    };
    let [matches, misses] = [0, 0];
    for (let day = slot - SLOTS_PER_DAY; day - 1 >= oldest; day -= SLOTS_PER_DAY) {
      if (show(day)) matches += 1;
      else misses += 1;
    }
    let [shown, seen] = [0.5, 1];
    for (let at = oldest + 1; at < slot - 2; at += 3) {
      seen += 1;
      if (show(at)) shown += 1;
    }
    return { matches, misses, chance: shown / seen };
  }

  #traceOf(slot: number, oldest: number): { reach: number; values: (slot: number) => number }[] {
    const tests: { reach: number; values: (slot: number) => number }[] = [];
    for (let column = 0; column < this.#columns; column += 1) {
      for (const side of [1, -1] as const) {
        const table = side === 1 ? this.#highs : this.#lows;
        // The highest of the slot and its neighbours: jobs do not start on the second.
        const values = (at: number): number => {
          let best = Number.NEGATIVE_INFINITY;
          for (let near = at - 1; near <= at + 1; near += 1) {
            const value = side * table[this.#startOf(near) + column]!;
            if (near >= oldest && near <= this.#slot && value > best) best = value;
          }
          return best;
        };
        const all = Float64Array.from({ length: slot - 2 - oldest }, (_, i) => {
          return side * table[this.#startOf(oldest + i) + column]!;
        }).filter((value) => !Number.isNaN(value));
        all.sort();
        const peak = values(slot);
        const usual = all[all.length >> 1];
        if (usual === undefined || !(peak > usual)) continue;
        const reach = usual + SAME_REACH * (peak - usual);
        let reached = 0;
        for (let i = all.length - 1; i >= 0 && all[i]! >= reach; i -= 1) reached += 1;
        if (reached <= RARE_SHARE * all.length) tests.push({ reach, values });
      }
    }
    return tests;
  }
}

function grown(values: Float32Array, length: number): Float32Array {
  const larger = new Float32Array(length).fill(Number.NaN);
  larger.set(values);
  return larger;
}
