// consistent_hash: the owner in the shard table, healthy or not. The table makes the choice the same on
// every proxy; what its owner cannot take is the fallbacks' affair (decide.ts).

import { NO_REGION, type RegionIndex, regionIndex } from '../../core/ids.ts';
import { NO_OWNER } from '../shard-table.ts';
import type { EligibleSet } from '../snapshot.ts';
import type { Policy } from './policy.ts';

/** Shard of a hash in a set's table. */
export function shardOf(set: EligibleSet, hashHi: number): number {
  return hashHi >>> set.shardShift;
}

export function ownerOf(set: EligibleSet, hashHi: number): RegionIndex {
  const owner = set.owners[shardOf(set, hashHi)]!;
  return owner === NO_OWNER ? NO_REGION : regionIndex(owner);
}

export const consistentHash: Policy = ({ route, hash }) => ownerOf(route.set, hash.hi);
