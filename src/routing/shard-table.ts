// The shard table: shard -> owner. Derived once from the ring's orders, afterwards only *moved*: a change
// of weights moves the surplus shards and no other, so that its cost is bounded by the change itself
// (design, "Core algorithms"). Pure and integer throughout: the same inputs give the same table on every
// machine.

import type { PreferenceOrders } from './ring.ts';

/** Owner of a shard that nobody has been given: when the table was made, all weights were zero. */
export const NO_OWNER = 0xffff;

/** Weights enter as integer millionths, so that comparisons are exact on every machine. */
export const WEIGHT_SCALE = 1_000_000;

/**
 * How many shards each region gets, by Webster's (Sainte-Lague's) method: seats go to the largest
 * weight / (2 x seats + 1). A divisor method, because with largest remainders the removal of one region
 * can take a shard from a survivor. Ties go to the lower index, which is the lower region id.
 * @param weights millionths, >= 0; a region with 0 gets none. At most 1e9 each.
 * @returns shards per region; their sum is `shardCount`, or 0 when every weight is 0.
 */
export function shardQuotas(weights: readonly number[], shardCount: number): Uint32Array {
  const quotas = new Uint32Array(weights.length);
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  if (total === 0) return quotas;
  let given = 0;
  weights.forEach((weight, region) => {
    quotas[region] = Math.round((weight / total) * shardCount);
    given += quotas[region]!;
  });
  // Rounding the exact shares is Webster's result for one divisor; what is missing or too much goes by
  // the same priorities, so the outcome is Webster's for the full number.
  for (; given < shardCount; given++) quotas[nextToGain(weights, quotas)]! += 1;
  for (; given > shardCount; given--) quotas[nextToLose(weights, quotas)]! -= 1;
  settle(weights, quotas);
  return quotas;
}

function nextToGain(weights: readonly number[], quotas: Uint32Array): number {
  let best = -1;
  for (let region = 0; region < weights.length; region++) {
    if (weights[region] === 0) continue;
    // w / (2q + 1) compared by cross-multiplication: exact below 2^53.
    const isBetter =
      best === -1 || weights[region]! * (2 * quotas[best]! + 1) > weights[best]! * (2 * quotas[region]! + 1);
    if (isBetter) best = region;
  }
  return best;
}

function nextToLose(weights: readonly number[], quotas: Uint32Array): number {
  let worst = -1;
  for (let region = 0; region < weights.length; region++) {
    if (quotas[region] === 0) continue;
    // The last seat of a region was won with w / (2q - 1); the smallest such goes first, ties from the end.
    const isWorse =
      worst === -1 ||
      weights[region]! * (2 * quotas[worst]! - 1) <= weights[worst]! * (2 * quotas[region]! - 1);
    if (isWorse) worst = region;
  }
  return worst;
}

/** Exchanges single seats until no gain beats a loss: repairs what floating-point rounding began wrongly. */
function settle(weights: readonly number[], quotas: Uint32Array): void {
  for (;;) {
    const gain = nextToGain(weights, quotas);
    const lose = nextToLose(weights, quotas);
    const wins = weights[gain]! * (2 * quotas[lose]! - 1) > weights[lose]! * (2 * quotas[gain]! + 1);
    if (gain === lose || !wins) return;
    quotas[gain]! += 1;
    quotas[lose]! -= 1;
  }
}

/** A region's weight as the table sees it. */
export function toWeightUnits(weight: number): number {
  return Math.round(weight * WEIGHT_SCALE);
}

/**
 * Owners for `quotas`, moving as few shards of `previous` as these quotas allow: shards without a valid
 * owner and the surplus of regions over their quota go to regions below theirs, each to the one that
 * its order prefers. Without `previous` every shard is free, and the result depends on the orders alone.
 * Where every quota is 0, shards stay where they are: their regions get nothing all the same (eligibility),
 * and no key has moved when weights come back.
 * @param previous owners before, NO_OWNER where there was none; indices into the same regions.
 */
export function assignShards(
  orders: PreferenceOrders,
  quotas: Uint32Array,
  previous?: Uint16Array,
): Uint16Array {
  const { shardCount, regionCount, regions } = orders;
  const owners = new Uint16Array(shardCount).fill(NO_OWNER);
  if (previous !== undefined) owners.set(previous);
  const free = Int32Array.from(quotas);
  for (let shard = 0; shard < shardCount; shard++) {
    const owner = owners[shard]!;
    if (owner >= regionCount) owners[shard] = NO_OWNER;
    else free[owner]! -= 1;
  }
  // Rank by rank, so that a shard's first choice is served before another's second one.
  for (let rank = 0; rank < regionCount; rank++) {
    let open = 0;
    for (let shard = 0; shard < shardCount; shard++) {
      const owner = owners[shard]!;
      if (owner !== NO_OWNER && free[owner]! >= 0) continue;
      open += 1;
      const receiver = regions[shard * regionCount + rank]!;
      if (free[receiver]! <= 0) continue;
      free[receiver]! -= 1;
      if (owner !== NO_OWNER) free[owner]! += 1;
      owners[shard] = receiver;
    }
    if (open === 0) break;
  }
  return owners;
}

/** Shards whose owner differs between two tables of equal length. */
export function countMoved(before: Uint16Array, after: Uint16Array): number {
  let moved = 0;
  for (let shard = 0; shard < after.length; shard++) if (before[shard] !== after[shard]) moved += 1;
  return moved;
}
