// What was measured, in rings of fixed step: second stop of the metric walk. Samples gather in the slots that
// are still open; closing a slot gives the one row that all models see, live and in a backtest alike, and
// what comes for a slot after its row was seen is late. Bounded in entities, columns and slots; no clock. What
// strangers may name without end (servers, routes, metrics of their own) cannot take the room of what is counted:
// regions, shard groups and the core metrics of the engine.

import { type Entity, isAdditive, isCoreMetric, type Sample } from './ingest/sample.ts';

/** Everything measured about one entity in one slot. */
export interface Row {
  readonly entity: Entity;
  /** Number of the slot: wall clock / step. */
  readonly slot: number;
  /** End of the slot, wall clock, milliseconds. */
  readonly at: number;
  /** A metric that was not measured is not in it. */
  readonly values: ReadonlyMap<string, number>;
}

export interface StoreLimits {
  /** Milliseconds of one slot. */
  readonly stepMs: number;
  /** Slots that are kept in memory. */
  readonly slots: number;
  /** Servers and routes; regions and shard groups are few by themselves. */
  readonly maxEntities: number;
  /** Metrics over all servers and routes, and metrics without a meaning to the engine; of these half at most. */
  readonly maxColumns: number;
}

export type Verdict = 'taken' | 'duplicate' | 'late' | 'future' | 'no_room';

interface Gathered {
  sum: number;
  n: number;
  /** When it was measured, the last few times: what is told again is no second measurement. */
  readonly times: number[];
}

interface Column {
  readonly values: Float32Array;
  /** Slot of the newest value. */
  lastSlot: number;
}

/** Metric -> source -> what was gathered. */
type OpenSlot = Map<string, Map<string, Gathered>>;

interface Track {
  readonly entity: Entity;
  /** The lowest slot that still takes samples. */
  nextSlot: number;
  readonly open: Map<number, OpenSlot>;
  readonly columns: Map<string, Column>;
  /** Columns of metrics that are no core metrics. */
  strange: number;
  /** Slot after the last closed one; columns hold [end - slots, end). */
  end: number;
  lastSampleAt: number;
}

// An agent's clock may be ahead of ours by this much.
const MOST_AHEAD_MS = 60_000;
// Slots of one entity that gather at a time: the present one, the one before and what clocks ahead bring.
const MAX_OPEN = 300;
const MAX_SOURCES = 64;
const MAX_TIMES = 32;
// Metrics of its own that one entity may bring: as many as a scraped page does.
const MAX_STRANGE = 48;
// An absence longer than this many slots is not filled with empty rows: the models would only see nothing.
const LONGEST_GAP = 240;

export class SeriesStore {
  readonly limits: StoreLimits;
  readonly #tracks = new Map<string, Track>();
  #columns = 0;
  /** Those that count against the limits. */
  #strangers = 0;
  #crowd = 0;
  #strange = 0;

  constructor(limits: StoreLimits) {
    this.limits = limits;
  }

  get columnCount(): number {
    return this.#columns;
  }

  /** @param now wall milliseconds, to know what is of the future. */
  add(sample: Sample, now: number): Verdict {
    const { stepMs, maxEntities } = this.limits;
    if (sample.at > now + MOST_AHEAD_MS) return 'future';
    const slot = Math.floor(sample.at / stepMs);
    let track = this.#tracks.get(sample.entity.key);
    if (track === undefined) {
      if (this.#strangers >= maxEntities && !isCounted(sample.entity)) return 'no_room';
      track = this.#newTrack(sample.entity, slot);
    }
    if (slot < track.nextSlot) return 'late';
    if (track.open.size >= MAX_OPEN && !track.open.has(slot)) return 'no_room';
    const column = this.#columnOf(track, sample.metric);
    if (column === undefined) return 'no_room';
    column.lastSlot = Math.max(column.lastSlot, slot);
    return gather(openAt(track, slot), sample, track);
  }

  /**
   * Rows of all slots that ended before `slot`, in the order of time.
   * @param isHeld keys of entities that are left as they are.
   */
  close(slot: number, isHeld: (key: string) => boolean): Row[] {
    const rows: Row[] = [];
    for (const key of this.#tracks.keys()) if (!isHeld(key)) rows.push(...this.closeOf(key, slot));
    return rows.sort((a, b) => a.slot - b.slot);
  }

  /** The same of one entity. */
  closeOf(key: string, slot: number): Row[] {
    const track = this.#tracks.get(key);
    if (track === undefined) return [];
    const rows: Row[] = [];
    if (slot - track.nextSlot > LONGEST_GAP) {
      const first = Math.min(slot, ...track.open.keys());
      track.nextSlot = Math.max(track.nextSlot, Math.min(first, slot));
    }
    while (track.nextSlot < slot) {
      rows.push(this.#closeSlot(track, track.nextSlot));
      track.nextSlot += 1;
      if (track.open.size === 0 && slot - track.nextSlot > LONGEST_GAP) track.nextSlot = slot;
    }
    return rows;
  }

  /**
   * The wall clock went back: what was measured under the wrong time stays, but samples are taken again from
   * `slot` on instead of being late until the clock has caught up.
   */
  rewind(slot: number): void {
    for (const track of this.#tracks.values()) {
      if (track.nextSlot <= slot) continue;
      track.nextSlot = slot;
      for (const open of track.open.keys()) if (open > slot + MAX_OPEN) track.open.delete(open);
    }
  }

  /** A row that was closed by an earlier process; in ascending time, before any sample of its entity. */
  adopt(row: Row): void {
    let track = this.#tracks.get(row.entity.key);
    if (track === undefined) {
      if (this.#strangers >= this.limits.maxEntities && !isCounted(row.entity)) return;
      track = this.#newTrack(row.entity, row.slot);
    }
    if (row.slot < track.end) return;
    for (const [metric, value] of row.values) {
      const column = this.#columnOf(track, metric);
      if (column === undefined) continue;
      column.lastSlot = row.slot;
      gather(openAt(track, row.slot), { metric, value, at: row.at - 1 }, track);
    }
    this.#closeSlot(track, row.slot);
    track.nextSlot = row.slot + 1;
  }

  /** The last `count` closed values, oldest first; NaN where nothing was measured. */
  recent(key: string, metric: string, count: number): Float64Array {
    const values = new Float64Array(count).fill(Number.NaN);
    const track = this.#tracks.get(key);
    const column = track?.columns.get(metric)?.values;
    if (track === undefined || column === undefined) return values;
    for (let i = 0; i < Math.min(count, this.limits.slots); i++) {
      values[count - 1 - i] = column[mod(track.end - 1 - i, this.limits.slots)]!;
    }
    return values;
  }

  /**
   * Forgets entities that were silent since `before`, and metrics of which the ring holds nothing any more: servers
   * come and go, and so do names. @returns keys of the entities.
   */
  forget(before: number): string[] {
    const gone: string[] = [];
    for (const track of this.#tracks.values()) {
      const { entity, columns, end } = track;
      const isGone = track.lastSampleAt < before;
      for (const [metric, { lastSlot }] of columns) {
        if (isGone || lastSlot < end - this.limits.slots) this.#dropColumn(track, metric);
      }
      if (!isGone) continue;
      this.#tracks.delete(entity.key);
      if (!isCounted(entity)) this.#strangers -= 1;
      gone.push(entity.key);
    }
    return gone;
  }

  #newTrack(entity: Entity, slot: number): Track {
    const track: Track = {
      entity,
      nextSlot: slot,
      open: new Map(),
      columns: new Map(),
      strange: 0,
      end: slot,
      lastSampleAt: 0,
    };
    this.#tracks.set(entity.key, track);
    if (!isCounted(entity)) this.#strangers += 1;
    return track;
  }

  #columnOf(track: Track, metric: string): Column | undefined {
    const known = track.columns.get(metric);
    if (known !== undefined) return known;
    const isCore = isCoreMetric(metric);
    if (!this.#hasRoom(track, isCore)) return undefined;
    this.#countColumn(track, isCore, 1);
    const column = {
      values: new Float32Array(this.limits.slots).fill(Number.NaN),
      lastSlot: Number.NEGATIVE_INFINITY,
    };
    track.columns.set(metric, column);
    return column;
  }

  #hasRoom(track: Track, isCore: boolean): boolean {
    const { maxColumns } = this.limits;
    if (isCore) return isCounted(track.entity) || this.#crowd < maxColumns;
    return track.strange < MAX_STRANGE && this.#strange < maxColumns / 2 && this.#crowd < maxColumns;
  }

  #dropColumn(track: Track, metric: string): void {
    track.columns.delete(metric);
    this.#countColumn(track, isCoreMetric(metric), -1);
  }

  #countColumn(track: Track, isCore: boolean, by: 1 | -1): void {
    this.#columns += by;
    if (!isCore) {
      this.#strange += by;
      track.strange += by;
    }
    if (!isCore || !isCounted(track.entity)) this.#crowd += by;
  }

  #closeSlot(track: Track, slot: number): Row {
    const { slots, stepMs } = this.limits;
    const values = new Map<string, number>();
    for (const [metric, sources] of track.open.get(slot) ?? []) values.set(metric, settle(metric, sources));
    track.open.delete(slot);
    // Slots that were passed over hold what was there a ring's length ago: they count as not measured.
    const skipped = Math.min(slots, Math.max(0, slot - track.end));
    for (const [metric, { values: column }] of track.columns) {
      for (let i = 1; i <= skipped; i++) column[mod(slot - i, slots)] = Number.NaN;
      column[mod(slot, slots)] = values.get(metric) ?? Number.NaN;
    }
    track.end = slot + 1;
    return { entity: track.entity, slot, at: (slot + 1) * stepMs, values };
  }
}

/** Regions are configured and shard groups are 64; servers and routes are what somebody says. */
const isCounted = ({ kind }: Entity): boolean => kind === 'region' || kind === 'group';

function openAt(track: Track, slot: number): OpenSlot {
  let open = track.open.get(slot);
  if (open === undefined) {
    open = new Map();
    track.open.set(slot, open);
  }
  return open;
}

type Gathering = Pick<Sample, 'metric' | 'at' | 'value'> & { readonly source?: string };

function gather(open: OpenSlot, { metric, source = '', at, value }: Gathering, track: Track): Verdict {
  let sources = open.get(metric);
  if (sources === undefined) {
    sources = new Map();
    open.set(metric, sources);
  }
  const gathered = sources.get(source);
  if (gathered === undefined) {
    if (sources.size >= MAX_SOURCES) return 'no_room';
    sources.set(source, { sum: value, n: 1, times: [at] });
  } else {
    if (gathered.times.includes(at)) return 'duplicate';
    gathered.sum += value;
    gathered.n += 1;
    if (gathered.times.length >= MAX_TIMES) gathered.times.shift();
    gathered.times.push(at);
  }
  track.lastSampleAt = Math.max(track.lastSampleAt, at);
  return 'taken';
}

function settle(metric: string, sources: ReadonlyMap<string, Gathered>): number {
  let total = 0;
  let n = 0;
  for (const { sum, n: count } of sources.values()) {
    total += isAdditive(metric) ? sum / count : sum;
    n += count;
  }
  return isAdditive(metric) ? total : total / n;
}

const mod = (n: number, by: number): number => ((n % by) + by) % by;
