// From the owners that are to the owners that shall be, key by key over time. A shift is a set of moving
// shards and a progress that is a known function of time, so that every proxy places every key alike without
// talking. A key crosses once; it returns only when a revert is published. Pure.

/** Milliseconds of the wall clock and progress 0..1, ascending in time; linear between the points. */
export type Progress = readonly (readonly [number, number])[];

export interface Shift {
  readonly id: string;
  /** Shard -> owner before, as region indices. */
  readonly moving: ReadonlyMap<number, number>;
  readonly progress: Progress;
  readonly phase: 'ramp' | 'hold' | 'revert';
  /** When the present phase began, milliseconds. */
  readonly since: number;
}

/** Owners that shall be, and what is still on its way there. Region indices. */
export interface TableState {
  readonly owners: Uint16Array;
  readonly shift: Shift | undefined;
}

export function progressAt(progress: Progress, now: number): number {
  const first = progress[0]!;
  if (now <= first[0]) return first[1];
  for (let i = 1; i < progress.length; i++) {
    const [at, value] = progress[i]!;
    if (now >= at) continue;
    const [before, from] = progress[i - 1]!;
    return from + ((value - from) * (now - before)) / (at - before);
  }
  return progress[progress.length - 1]![1];
}

/** Nothing changes any more: the last point is reached. */
export function isSettled(shift: Shift, now: number): boolean {
  return now >= shift.progress[shift.progress.length - 1]![0] && shift.phase !== 'hold';
}

export interface ShiftRules {
  /** Milliseconds from 0 to 1. */
  readonly period: number;
  /** Share of a ramp that passes between two rounds, 0..1. */
  readonly pace: number;
  /** Milliseconds that owners are told before the first key moves. */
  readonly notice: number;
  /** Name of the shift that makes these moves: the same on every engine that makes them. */
  readonly idOf: (moving: ReadonlyMap<number, number>, owners: Uint16Array) => string;
  /** Regions that can serve nothing: what they own or are about to get moves at once. */
  readonly unavailable: ReadonlySet<number>;
  /** Regions whose requests fail: what shall leave them leaves at once. */
  readonly failing: ReadonlySet<number>;
  /** Regions that must not get what is on its way to them any more. */
  readonly evicted: ReadonlySet<number>;
}

/**
 * One step: ends a shift whose time is over, gives shards of unavailable regions away at once, and starts a
 * shift towards `wanted` when none is under way. Other wishes wait: a shard has one ramp at a time. But danger grows in
 * steps, and the first, small one must not make the large one wait: what is left of a shift is done at once where the
 * next ramp would move as much in a round.
 */
export function stepShift(
  table: TableState,
  wanted: Uint16Array,
  now: number,
  rules: ShiftRules,
): TableState {
  const rescued = rescue(settleShift(table, now), wanted, rules);
  const moving = new Map<number, number>();
  wanted.forEach((owner, shard) => {
    if (owner !== rescued.owners[shard]) moving.set(shard, rescued.owners[shard]!);
  });
  if (moving.size === 0 || leftOf(rescued.shift, now) > moving.size * rules.pace) return rescued;
  if (rules.period === 0) return { owners: wanted, shift: undefined };
  const begin = now + rules.notice;
  const progress: Progress = [
    [begin, 0],
    [begin + rules.period, 1],
  ];
  return {
    owners: wanted,
    shift: { id: rules.idOf(moving, wanted), moving, progress, phase: 'ramp', since: now },
  };
}

/** Shards' worth of keys that a ramp has still to move; endless for one that is held or taken back. */
function leftOf(shift: Shift | undefined, now: number): number {
  if (shift === undefined) return 0;
  if (shift.phase !== 'ramp') return Number.POSITIVE_INFINITY;
  return (1 - progressAt(shift.progress, now)) * shift.moving.size;
}

/** Ends a shift whose time is over; one that was taken back leaves the owners that were before it. */
export function settleShift(table: TableState, now: number): TableState {
  const { shift } = table;
  if (shift === undefined || !isSettled(shift, now)) return table;
  if (shift.phase !== 'revert') return { owners: table.owners, shift: undefined };
  const owners = Uint16Array.from(table.owners);
  for (const [shard, before] of shift.moving) owners[shard] = before;
  return { owners, shift: undefined };
}

/** A real failure bypasses the ramp (design, "Shift"). */
function rescue(
  table: TableState,
  wanted: Uint16Array,
  { unavailable, failing, evicted }: Pick<ShiftRules, 'unavailable' | 'failing' | 'evicted'>,
): TableState {
  if (unavailable.size === 0 && failing.size === 0 && evicted.size === 0) return table;
  const owners = Uint16Array.from(table.owners);
  const moving = new Map(table.shift?.moving);
  let isChanged = false;
  for (let shard = 0; shard < owners.length; shard++) {
    const before = moving.get(shard);
    const isUnwanted = owners[shard] !== wanted[shard];
    const isBarred = before !== undefined && evicted.has(owners[shard]!) && isUnwanted;
    const isLeft = isUnwanted
      ? failing.has(owners[shard]!)
      : before !== undefined && failing.has(before) && !failing.has(owners[shard]!);
    const isLost = unavailable.has(owners[shard]!) || (before !== undefined && unavailable.has(before));
    if (!isLost && !isLeft && !isBarred) continue;
    isChanged = true;
    moving.delete(shard);
    // The side of the move that is still there, if the wish is gone as well.
    owners[shard] = unavailable.has(wanted[shard]!)
      ? survivorOf(owners[shard]!, before, unavailable)
      : wanted[shard]!;
  }
  if (!isChanged) return table;
  const shift = table.shift === undefined || moving.size === 0 ? undefined : { ...table.shift, moving };
  return { owners, shift };
}

function survivorOf(owner: number, before: number | undefined, unavailable: ReadonlySet<number>): number {
  return before !== undefined && !unavailable.has(before) ? before : owner;
}

/** Stops a ramp where it is. */
export function holdShift(shift: Shift, now: number): Shift {
  if (shift.phase !== 'ramp') return shift;
  const at = progressAt(shift.progress, now);
  return { ...shift, phase: 'hold', since: now, progress: [[now, at]] };
}

/** Goes on where it was held, at the ramp's own speed. */
export function resumeShift(shift: Shift, now: number, period: number): Shift {
  if (shift.phase !== 'hold') return shift;
  const at = progressAt(shift.progress, now);
  const progress: Progress = [
    [now, at],
    [laterBy(now, (1 - at) * period), 1],
  ];
  return { ...shift, phase: 'ramp', since: now, progress };
}

/** Points are published in whole milliseconds; two that fell on the same one would be refused. */
const laterBy = (now: number, ms: number): number => now + Math.ceil(ms);

/** Takes everything back at twice the speed. */
export function revertShift(shift: Shift, now: number, period: number): Shift {
  if (shift.phase === 'revert') return shift;
  const at = progressAt(shift.progress, now);
  const progress: Progress = [
    [now, at],
    [laterBy(now, (at * period) / 2), 0],
  ];
  return { ...shift, phase: 'revert', since: now, progress };
}

/** Regions that receive keys in a shift, as region indices. */
export function destinationsOf(table: TableState): Set<number> {
  const regions = new Set<number>();
  for (const shard of table.shift?.moving.keys() ?? []) regions.add(table.owners[shard]!);
  return regions;
}

/** Regions that give keys away in a shift, as region indices. */
export function sourcesOf(table: TableState): Set<number> {
  return new Set(table.shift?.moving.values());
}
