// consistent_hash: the owner in the shard table, healthy or not. The table makes the choice the same on
// every proxy; what its owner cannot take is the fallbacks' affair (decide.ts).

import { ownerNow } from '../ownership.ts';
import type { EligibleSet } from '../snapshot.ts';
import type { Policy } from './policy.ts';

/** Shard of a hash in a set's table. */
export function shardOf(set: EligibleSet, hashHi: number): number {
  return hashHi >>> set.shardShift;
}

/** Owner of the request's key at this moment. */
export const consistentHash: Policy = (input) =>
  ownerNow(input.set, shardOf(input.set, input.hash.hi), input);
