// Who owns a key now. The table names an owner for every shard; a shift, a loan or a plan that has gone
// stale decides key by key within a shard, by further hashes of the same key, so that every proxy decides
// alike and a key changes sides once (contract, "Shift"; design, decisions 5 and 6). Pure: time is an argument.

import { NO_REGION, type RegionIndex, regionIndex } from '../core/ids.ts';
import type { Random } from '../core/random.ts';
import { fractionOf, newU64, type U64, xxh64Text } from './hash.ts';
import type { KeyBytes } from './key-bytes.ts';
import { NO_OWNER } from './shard-table.ts';
import type { EligibleSet } from './snapshot.ts';

/** Marks a shard that is not on the move. */
export const NOT_MOVING = 0xfffe;

export interface SetShift {
  /** XXH64 of the shift's id: seed of the hash that places keys on the ramp. */
  readonly seed: Readonly<U64>;
  /** By shard: owner before, or NOT_MOVING. */
  readonly from: Uint16Array;
  /** Monotonic milliseconds and share of keys that have crossed; ascending, linear between. */
  readonly progress: readonly (readonly [number, number])[];
}

export interface SetLend {
  readonly shard: number;
  readonly to: RegionIndex;
  /** 0..1 of the shard's keys. */
  readonly share: number;
  /** Monotonic milliseconds. */
  readonly until: number;
}

/** What a table says beside the owners; empty most of the time. */
export interface Movement {
  readonly shift: SetShift | null;
  readonly lends: ReadonlyMap<number, SetLend>;
  /** Shard -> owner by base weights, where that is another one. */
  readonly neutral: ReadonlyMap<number, RegionIndex>;
}

/** The moment and the key that an owner is asked for. */
export interface KeyAtTime {
  readonly key: KeyBytes;
  /** false: the key was drawn, and so is its place on a ramp. */
  readonly isKeyed: boolean;
  readonly random: Random;
  /** Monotonic milliseconds. */
  readonly now: number;
  /** 0 while the plan is fresh; rises to 1 over one ttl after it has gone stale. */
  readonly neutrality: number;
}

/** Share of the keys of moving shards that are on the new side. */
export function progressOf(shift: SetShift, now: number): number {
  const { progress } = shift;
  const last = progress.length - 1;
  if (now >= progress[last]![0]) return progress[last]![1];
  if (now <= progress[0]![0]) return progress[0]![1];
  let i = 1;
  while (now >= progress[i]![0]) i += 1;
  const [before, from] = progress[i - 1]!;
  const [after, to] = progress[i]!;
  return from + ((to - from) * (now - before)) / (after - before);
}

const LEND_SEED: Readonly<U64> = Object.freeze(xxh64Text('lend'));
const NEUTRAL_SEED: Readonly<U64> = Object.freeze(xxh64Text('neutral'));
const scratch = newU64();

/** Region that serves a key of `shard`; NO_REGION when nobody may own it. */
export function ownerNow(
  set: Pick<EligibleSet, 'owners' | 'movement'>,
  shard: number,
  at: KeyAtTime,
): RegionIndex {
  const { shift, lends, neutral } = set.movement;
  let owner = set.owners[shard]!;
  if (shift !== null) {
    const before = shift.from[shard]!;
    if (before !== NOT_MOVING && place(at, shift.seed) >= progressOf(shift, at.now)) owner = before;
  }
  if (lends.size > 0) {
    const lend = lends.get(shard);
    if (lend !== undefined && at.now < lend.until && place(at, LEND_SEED) < lend.share) owner = lend.to;
  }
  if (at.neutrality > 0) {
    const home = neutral.get(shard);
    if (home !== undefined && place(at, NEUTRAL_SEED) < at.neutrality) owner = home;
  }
  return owner === NO_OWNER ? NO_REGION : regionIndex(owner);
}

function place(at: KeyAtTime, seed: Readonly<U64>): number {
  return at.isKeyed ? fractionOf(at.key.hash(seed, scratch)) : at.random.next();
}

/** Whether a shard is between two owners. */
export function isMoving(set: EligibleSet, shard: number): boolean {
  const { shift } = set.movement;
  return shift !== null && shift.from[shard] !== NOT_MOVING;
}

/** Per region: shards that stay with it, come to it and leave it in the shift of a set. */
export interface Holdings {
  readonly staying: Float64Array;
  readonly coming: Float64Array;
  readonly leaving: Float64Array;
}

export function countHoldings(owners: Uint16Array, shift: SetShift | null, regionCount: number): Holdings {
  const staying = new Float64Array(regionCount);
  const coming = new Float64Array(regionCount);
  const leaving = new Float64Array(regionCount);
  owners.forEach((owner, shard) => {
    const before = shift?.from[shard] ?? NOT_MOVING;
    if (before === NOT_MOVING) {
      if (owner < regionCount) staying[owner]! += 1;
      return;
    }
    if (owner < regionCount) coming[owner]! += 1;
    if (before < regionCount) leaving[before]! += 1;
  });
  return { staying, coming, leaving };
}

/** Share of a set's shards that a region serves at `progress`, in shards. */
export function heldShards(holdings: Holdings, region: number, progress: number): number {
  return (
    holdings.staying[region]! +
    progress * holdings.coming[region]! +
    (1 - progress) * holdings.leaving[region]!
  );
}
