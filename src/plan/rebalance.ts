// Tables by measured load instead of by count. Two movements, kept apart because they answer to different
// people: what a change of weights demands (risk, health, an operator: counted, not limited) and what balance
// asks for (limited by the churn budget, best imbalance removed per key space moved first; every shard is the
// same key space, so that is the shard whose load fits the gap best). Pure and deterministic.

import type { PreferenceOrders } from '../routing/ring.ts';
import { NO_OWNER } from '../routing/shard-table.ts';

/** Positions are those of the table's regions (PreferenceOrders). */
export interface LoadInput {
  readonly orders: PreferenceOrders;
  readonly weights: readonly number[];
  /** Requests/s per shard, as measured. */
  readonly loads: Float64Array;
  /** Owners before; NO_OWNER where there was none. */
  readonly previous: Uint16Array;
}

/**
 * A shard without traffic is not free to move or to keep: its keys may come back. Every shard counts as
 * having this share of the mean on top of what was measured.
 */
const STANDING_SHARE = 0.05;

/** Load of each shard as the algorithms count it. */
export function countedLoads(loads: Float64Array): Float64Array {
  const total = loads.reduce((sum, load) => sum + load, 0);
  const standing = total === 0 ? 1 : (STANDING_SHARE * total) / loads.length;
  return loads.map((load) => load + standing);
}

export function targetLoads(weights: readonly number[], counted: Float64Array): Float64Array {
  const total = counted.reduce((sum, load) => sum + load, 0);
  const weight = weights.reduce((sum, one) => sum + one, 0);
  return Float64Array.from(weights, (one) => (weight === 0 ? 0 : (total * one) / weight));
}

export function regionLoads(owners: Uint16Array, counted: Float64Array, regionCount: number): Float64Array {
  const sums = new Float64Array(regionCount);
  owners.forEach((owner, shard) => {
    if (owner < regionCount) sums[owner]! += counted[shard]!;
  });
  return sums;
}

/**
 * Owners that follow new weights: regions in `donors` give load until they are within one shard of their
 * target, shards without a serving owner get one; nothing else moves. Moved load is at most what the
 * donors were above their targets plus one shard per region.
 * @param donors positions whose weight was lowered.
 */
export function assignByLoad(input: LoadInput, donors: ReadonlySet<number>): Uint16Array {
  const { orders, weights } = input;
  const { shardCount, regionCount, regions } = orders;
  const counted = countedLoads(input.loads);
  const targets = targetLoads(weights, counted);
  const owners = input.previous.map((owner) =>
    owner < regionCount && weights[owner]! > 0 ? owner : NO_OWNER,
  );
  const loads = regionLoads(owners, counted, regionCount);
  const isLeaving = (shard: number): boolean => {
    const owner = owners[shard]!;
    if (owner === NO_OWNER) return true;
    return donors.has(owner) && loads[owner]! - counted[shard]! / 2 > targets[owner]!;
  };
  for (let rank = 0; rank < regionCount; rank++) {
    for (let shard = 0; shard < shardCount; shard++) {
      if (!isLeaving(shard)) continue;
      const receiver = regions[shard * regionCount + rank]!;
      const load = counted[shard]!;
      const fits = weights[receiver]! > 0 && loads[receiver]! + load / 2 <= targets[receiver]!;
      if (fits) move(owners, loads, counted, shard, receiver);
    }
  }
  placeRest(owners, loads, counted, targets, weights);
  return owners;
}

/** Shards that fitted nowhere exactly go where the most room is left. */
function placeRest(
  owners: Uint16Array,
  loads: Float64Array,
  counted: Float64Array,
  targets: Float64Array,
  weights: readonly number[],
): void {
  for (let shard = 0; shard < owners.length; shard++) {
    if (owners[shard] !== NO_OWNER) continue;
    let best = -1;
    for (let region = 0; region < weights.length; region++) {
      if (weights[region] === 0) continue;
      if (best === -1 || targets[region]! - loads[region]! > targets[best]! - loads[best]!) best = region;
    }
    if (best !== -1) move(owners, loads, counted, shard, best);
  }
}

function move(
  owners: Uint16Array,
  loads: Float64Array,
  counted: Float64Array,
  shard: number,
  to: number,
): void {
  const from = owners[shard]!;
  if (from !== NO_OWNER) loads[from]! -= counted[shard]!;
  loads[to]! += counted[shard]!;
  owners[shard] = to;
}

export interface BalanceRules {
  /** Shards that may move, at most. */
  readonly budget: number;
  /** Imbalance below which nothing is done: (load - target) / target of the worst region. */
  readonly tolerance: number;
}

/** Act above 10 % imbalance (Dicer's middle setting): measured load wavers by about that anyway. */
export const BALANCE_TOLERANCE = 0.1;

/**
 * Moves single shards from regions above their target to regions below, while that helps and the budget
 * lasts.
 */
export function balance(input: LoadInput, rules: BalanceRules): Uint16Array {
  const { orders, weights } = input;
  const counted = countedLoads(input.loads);
  const targets = targetLoads(weights, counted);
  const owners = Uint16Array.from(input.previous);
  const loads = regionLoads(owners, counted, orders.regionCount);
  for (let moved = 0; moved < rules.budget; moved++) {
    const worst = worstRegion(loads, targets, rules.tolerance);
    if (worst === -1) break;
    const step = bestStep(worst, { owners, loads, counted, targets, weights });
    if (step === undefined) break;
    move(owners, loads, counted, step.shard, step.to);
  }
  return owners;
}

function worstRegion(loads: Float64Array, targets: Float64Array, tolerance: number): number {
  let worst = -1;
  let most = 0;
  for (let region = 0; region < loads.length; region++) {
    const over = loads[region]! - targets[region]!;
    if (over > tolerance * targets[region]! && over > most) {
      worst = region;
      most = over;
    }
  }
  return worst;
}

interface Balance {
  readonly owners: Uint16Array;
  readonly loads: Float64Array;
  readonly counted: Float64Array;
  readonly targets: Float64Array;
  readonly weights: readonly number[];
}

/** The shard of `from` and the region for it that lower the summed distance from the targets most. */
function bestStep(from: number, state: Balance): { shard: number; to: number } | undefined {
  const { owners, loads, counted, targets, weights } = state;
  let to = -1;
  for (let region = 0; region < weights.length; region++) {
    if (weights[region] === 0) continue;
    if (to === -1 || targets[region]! - loads[region]! > targets[to]! - loads[to]!) to = region;
  }
  if (to === -1 || to === from) return undefined;
  const over = loads[from]! - targets[from]!;
  const room = targets[to]! - loads[to]!;
  let best = -1;
  let bestGain = 0;
  for (let shard = 0; shard < owners.length; shard++) {
    if (owners[shard] !== from) continue;
    const load = counted[shard]!;
    const gain = over - Math.abs(over - load) + (Math.abs(room) - Math.abs(room - load));
    if (gain > bestGain) {
      best = shard;
      bestGain = gain;
    }
  }
  return best === -1 ? undefined : { shard: best, to };
}

export interface Lend {
  readonly shard: number;
  /** Position of the region that serves the share. */
  readonly to: number;
  /** 0..1 of the shard's keys. */
  readonly share: number;
}

// One shard that is half of what its region should carry cannot be balanced by moving it: it would be half of
// the next region's load as well.
const HOT_SHARE = 0.5;
// More than half of a shard elsewhere is a move, not a loan.
const MOST_LENT = 0.5;

/** Shards too hot to move whole, with the share that should be served elsewhere for a while. */
export function lendHotShards(input: LoadInput): Lend[] {
  const { orders, weights, previous: owners } = input;
  const counted = countedLoads(input.loads);
  const targets = targetLoads(weights, counted);
  const loads = regionLoads(owners, counted, orders.regionCount);
  const lends: Lend[] = [];
  for (let shard = 0; shard < owners.length; shard++) {
    const owner = owners[shard]!;
    if (owner >= orders.regionCount) continue;
    const over = loads[owner]! - targets[owner]!;
    const isHot = counted[shard]! > HOT_SHARE * targets[owner]! && over > BALANCE_TOLERANCE * targets[owner]!;
    if (!isHot) continue;
    const to = roomiest(loads, targets, weights, owner);
    if (to === -1) continue;
    const share = Math.min(MOST_LENT, over / counted[shard]!);
    lends.push({ shard, to, share: Math.round(share * 100) / 100 });
    loads[owner]! -= share * counted[shard]!;
    loads[to]! += share * counted[shard]!;
  }
  return lends;
}

function roomiest(
  loads: Float64Array,
  targets: Float64Array,
  weights: readonly number[],
  except: number,
): number {
  let best = -1;
  for (let region = 0; region < weights.length; region++) {
    if (region === except || weights[region] === 0 || loads[region]! >= targets[region]!) continue;
    if (best === -1 || targets[region]! - loads[region]! > targets[best]! - loads[best]!) best = region;
  }
  return best;
}
