// Makes a plan from weights: quotas per eligible set, tables moved as little as the new quotas allow,
// owners encoded, digest put under it. Knows no risk: whoever weighs regions (weights.ts, an operator)
// comes before, whoever ramps (shift.ts) behind.

import { xxh64Text } from '../routing/hash.ts';
import type { PreferenceOrders } from '../routing/ring.ts';
import { assignShards, NO_OWNER, shardQuotas, toWeightUnits } from '../routing/shard-table.ts';
import { decodeOwners, encodeOwners, type Plan, type PlanTable, planDigest } from './plan.ts';

export interface RegionWeight {
  readonly id: string;
  readonly baseWeight: number;
  readonly weight: number;
  readonly capacity?: number | undefined;
}

/** One distinct set of eligible regions. */
export interface TableRequest {
  /** Sorted. */
  readonly regionIds: readonly string[];
  /** Ring orders over exactly these. */
  readonly orders: PreferenceOrders;
}

export interface PlanInput {
  readonly mode: Plan['mode'];
  readonly regions: readonly RegionWeight[];
  /** Every region once, best substitute first. */
  readonly failoverOrder: readonly string[];
  readonly tables: readonly TableRequest[];
  readonly shards: number;
  /** The plan before this one, whose tables are moved; undefined = derive them. */
  readonly previous: Plan | undefined;
  readonly ttlSeconds: number;
}

export interface PlanStamp {
  readonly incarnation: string;
  readonly generation: number;
  /** RFC 3339. */
  readonly at: string;
}

/** A complete plan. Deterministic in `input`; `stamp` says only who and when. */
export function buildPlan(input: PlanInput, stamp: PlanStamp): Plan {
  const regions = [...input.regions].sort((a, b) => (a.id < b.id ? -1 : 1));
  const tables = input.tables.map((table) => buildTable(table, regions, input));
  const plan = {
    incarnation: stamp.incarnation,
    generation: stamp.generation,
    issuedAt: stamp.at,
    evaluatedAt: stamp.at,
    now: stamp.at,
    ttlSeconds: input.ttlSeconds,
    mode: input.mode,
    regions: regions.map(({ id, baseWeight, weight, capacity }) =>
      capacity === undefined ? { id, baseWeight, weight } : { id, baseWeight, weight, capacity },
    ),
    failoverOrder: [...input.failoverOrder],
    tables,
  };
  return { ...plan, digest: planDigest(plan) };
}

function buildTable(request: TableRequest, regions: readonly RegionWeight[], input: PlanInput): PlanTable {
  const { regionIds, orders } = request;
  const weights = regionIds.map((id) =>
    toWeightUnits(regions.find((region) => region.id === id)?.weight ?? 0),
  );
  const quotas = shardQuotas(weights, input.shards);
  const local = assignShards(orders, quotas, previousOwners(request, input));
  const globalIndex = regionIds.map((id) => regions.findIndex((region) => region.id === id));
  const owners = local.map((owner) => (owner === NO_OWNER ? NO_OWNER : globalIndex[owner]!));
  return {
    id: tableId(regionIds, regions.length),
    regions: [...regionIds],
    critical: false,
    shards: input.shards,
    encoding: 'u16le-base64',
    owners: encodeOwners(owners),
    lends: [],
    neutral: [],
  };
}

/** `all`, or the regions' names while they are short enough to read, or a hash of them. */
export function tableId(regionIds: readonly string[], regionCount: number): string {
  if (regionIds.length === regionCount) return 'all';
  const names = regionIds.join('+');
  if (names.length <= 64 && names !== 'all') return names;
  const { hi, lo } = xxh64Text(names);
  return `set-${hi.toString(16).padStart(8, '0')}${lo.toString(16).padStart(8, '0')}`;
}

/**
 * Owners in the plan before, as positions in the request's regions. Taken from the table of the same
 * regions, else from the one that shares most of them, so that a region added to a set or taken from it
 * moves its own shards only.
 */
function previousOwners(request: TableRequest, input: PlanInput): Uint16Array | undefined {
  const { previous } = input;
  const table = previous === undefined ? undefined : closestTable(previous, request.regionIds, input.shards);
  if (previous === undefined || table === undefined) return undefined;
  const position = new Map(request.regionIds.map((id, i) => [id, i]));
  const local = previous.regions.map((region) => position.get(region.id) ?? NO_OWNER);
  return decodeOwners(table.owners).map((owner) => (owner === NO_OWNER ? NO_OWNER : local[owner]!));
}

function closestTable(plan: Plan, regionIds: readonly string[], shards: number): PlanTable | undefined {
  let best: PlanTable | undefined;
  let bestShared = 0;
  for (const table of plan.tables) {
    if (table.shards !== shards || table.critical || table.thresholds !== undefined) continue;
    const shared = table.regions.filter((id) => regionIds.includes(id)).length;
    const isSmallerTie =
      best !== undefined && shared === bestShared && table.regions.length < best.regions.length;
    if (shared > bestShared || isSmallerTie) {
      best = table;
      bestShared = shared;
    }
  }
  return best;
}
