// Desired weights -> owners of shards, and shifts towards them: the part of a planning round that touches
// tables. Every eligible set has its own table; critical ones leave out what is at risk. Pure.

import { assignShards, countMoved, NO_OWNER, shardQuotas, toWeightUnits } from '../routing/shard-table.ts';
import { tableId } from './build-plan.ts';
import { decodeOwners } from './plan.ts';
import type { MoveReason, PlannedTable, PlannerInput, PlannerState, PlannerTable } from './planner-types.ts';
import { assignByLoad, BALANCE_TOLERANCE, balance, type LoadInput, lendHotShards } from './rebalance.ts';
import { stepShift } from './shift.ts';

export interface Stepped {
  readonly state: PlannerState;
  readonly moves: Partial<Record<MoveReason, number>>;
}

const HOUR_MS = 3_600_000;
// A loan is renewed at every round while it is needed and ends by itself when nobody renews it.
const LEND_ROUNDS = 10;

export function stepTables(
  before: PlannerState,
  weights: ReadonlyMap<string, number>,
  input: PlannerInput,
): Stepped {
  const regionIds = input.regions.map((region) => region.id);
  const moves: Partial<Record<MoveReason, number>> = {};
  const tables = new Map<string, PlannedTable>();
  let { shiftCount } = before;
  let churned = before.churned.filter(([at]) => input.now - at < HOUR_MS);
  for (const request of input.tables) {
    const id = planTableId(request, regionIds.length);
    const current = currentTable(id, request, before, regionIds);
    const budget = churnBudget(churned, input);
    const wanted = wantedOwners(request, current, weights, { input, budget, previous: before.weights });
    const stepped = stepShift(current, wanted.owners, input.now, {
      period: wanted.isFirst ? 0 : input.rules.shiftPeriod,
      newId: () => String(++shiftCount),
      unavailable: unavailableRegions(input),
    });
    const moved = wanted.isFirst ? 0 : countMoved(current.owners, stepped.owners);
    if (moved > 0) moves[wanted.reason] = (moves[wanted.reason] ?? 0) + moved;
    if (moved > 0 && wanted.reason === 'balance')
      churned = [...churned, [input.now, moved / request.orders.shardCount]];
    tables.set(id, { ...stepped, lends: lendsOf(request, stepped.owners, weights, input) });
  }
  const isShifting = [...tables.values()].some((table) => table.shift !== undefined);
  return {
    state: {
      ...before,
      regionIds,
      tables,
      churned,
      shiftCount,
      baseline: baselineFor(before, input, isShifting),
    },
    moves,
  };
}

/** Name of a table in the plan; critical ones stand beside the ordinary one of their set. */
export function planTableId(request: PlannerTable, regionCount: number): string {
  return `${tableId(request.regionIds, regionCount)}${request.critical ? '!critical' : ''}`;
}

/** The table so far, in today's region indices; from the plan on disk after a restart; else empty. */
function currentTable(
  id: string,
  request: PlannerTable,
  before: PlannerState,
  regionIds: readonly string[],
): PlannedTable {
  const known = before.tables.get(id);
  const isSame =
    before.regionIds.length === regionIds.length && before.regionIds.every((r, i) => r === regionIds[i]);
  if (known !== undefined && known.owners.length === request.orders.shardCount) {
    if (isSame) return known;
    return { owners: translate(known.owners, before.regionIds, regionIds), shift: undefined, lends: [] };
  }
  const kept = before.plan?.tables.find(
    (table) => table.id === id && table.shards === request.orders.shardCount,
  );
  if (kept !== undefined) {
    const ids = before.plan!.regions.map((region) => region.id);
    return { owners: translate(decodeOwners(kept.owners), ids, regionIds), shift: undefined, lends: [] };
  }
  const owners = new Uint16Array(request.orders.shardCount).fill(NO_OWNER);
  return { owners, shift: undefined, lends: [] };
}

function translate(owners: Uint16Array, from: readonly string[], to: readonly string[]): Uint16Array {
  const position = from.map((id) => {
    const at = to.indexOf(id);
    return at === -1 ? NO_OWNER : at;
  });
  return owners.map((owner) => position[owner] ?? NO_OWNER);
}

interface Wanted {
  readonly owners: Uint16Array;
  readonly reason: MoveReason;
  /** There was no table: nothing moves, everything is placed. */
  readonly isFirst: boolean;
}

interface WantedContext {
  readonly input: PlannerInput;
  /** Shards that may move for balance. */
  readonly budget: number;
  readonly previous: ReadonlyMap<string, number>;
}

function wantedOwners(
  request: PlannerTable,
  current: PlannedTable,
  weights: ReadonlyMap<string, number>,
  { input, budget, previous }: WantedContext,
): Wanted {
  const { regionIds, orders, loads } = request;
  const own = tableWeights(request, weights, input);
  const global = regionIds.map((id) => input.regions.findIndex((region) => region.id === id));
  const local = localOwners(current.owners, global);
  const isFirst = local.every((owner) => owner === NO_OWNER);
  const lowered = loweredRegions(regionIds, weights, previous);
  const isChanged =
    isFirst || lowered.size > 0 || local.some((owner) => owner === NO_OWNER || own[owner] === 0);
  let owners = local;
  let reason = reasonFor(regionIds, input);
  if (loads === undefined || isFirst) {
    owners = assignShards(
      orders,
      shardQuotas(own.map(toWeightUnits), orders.shardCount),
      isFirst ? undefined : local,
    );
  } else {
    const load: LoadInput = { orders, weights: own, loads, previous: local };
    if (isChanged || raisedRegions(regionIds, weights, previous)) {
      owners = assignByLoad(load, lowered.size > 0 ? lowered : allRegions(regionIds));
    }
    if (current.shift === undefined && !input.frozen && countMoved(local, owners) === 0) {
      owners = balance({ ...load, previous: owners }, { budget, tolerance: BALANCE_TOLERANCE });
      if (countMoved(local, owners) > 0) reason = 'balance';
    }
  }
  return { owners: owners.map((owner) => (owner === NO_OWNER ? NO_OWNER : global[owner]!)), reason, isFirst };
}

const allRegions = (regionIds: readonly string[]): Set<number> => new Set(regionIds.keys());

function localOwners(owners: Uint16Array, global: readonly number[]): Uint16Array {
  const position = new Map(global.map((index, i) => [index, i]));
  return owners.map((owner) => position.get(owner) ?? NO_OWNER);
}

/** Weights of a table's regions; in a critical one what is at risk gets nothing, unless all are. */
function tableWeights(
  request: PlannerTable,
  weights: ReadonlyMap<string, number>,
  input: PlannerInput,
): number[] {
  const own = request.regionIds.map((id) => weights.get(id) ?? 0);
  if (!request.critical || input.mode !== 'auto') return own;
  const stable = own.map((weight, i) => {
    const region = input.regions.find(({ id }) => id === request.regionIds[i]);
    return (region?.assessment?.risk ?? 0) > input.rules.thresholds.critical ? 0 : weight;
  });
  return stable.some((weight) => weight > 0) ? stable : own;
}

function loweredRegions(
  regionIds: readonly string[],
  weights: ReadonlyMap<string, number>,
  previous: ReadonlyMap<string, number>,
): Set<number> {
  const shares = sharesOf(regionIds, weights);
  const before = sharesOf(regionIds, previous);
  return new Set([...regionIds.keys()].filter((i) => shares[i]! < before[i]! - 1e-9));
}

function raisedRegions(
  regionIds: readonly string[],
  weights: ReadonlyMap<string, number>,
  previous: ReadonlyMap<string, number>,
): boolean {
  const shares = sharesOf(regionIds, weights);
  const before = sharesOf(regionIds, previous);
  return shares.some((share, i) => share > before[i]! + 1e-9);
}

function sharesOf(regionIds: readonly string[], weights: ReadonlyMap<string, number>): number[] {
  const own = regionIds.map((id) => weights.get(id) ?? 0);
  const total = own.reduce((sum, weight) => sum + weight, 0);
  return own.map((weight) => (total === 0 ? 0 : weight / total));
}

function reasonFor(regionIds: readonly string[], input: PlannerInput): MoveReason {
  const own = input.regions.filter((region) => regionIds.includes(region.id));
  if (own.some((region) => region.admin !== 'active' || region.weightOverride !== undefined)) return 'human';
  return own.some((region) => region.healthFactor < 1) ? 'health' : 'risk';
}

function unavailableRegions(input: PlannerInput): Set<number> {
  const indices = [...input.regions.keys()].filter((i) => input.regions[i]!.healthFactor === 0);
  // Where nobody can serve, moving helps nobody.
  return new Set(indices.length === input.regions.length ? [] : indices);
}

function churnBudget(churned: readonly (readonly [number, number])[], { rules }: PlannerInput): number {
  const used = churned.reduce((sum, [, share]) => sum + share, 0);
  return Math.floor(Math.max(0, Math.min(rules.churn.perRound, rules.churn.perHour - used)) * rules.shards);
}

function lendsOf(
  request: PlannerTable,
  owners: Uint16Array,
  weights: ReadonlyMap<string, number>,
  input: PlannerInput,
): PlannedTable['lends'] {
  if (request.loads === undefined || input.frozen || input.mode !== 'auto') return [];
  const global = request.regionIds.map((id) => input.regions.findIndex((region) => region.id === id));
  const until = input.now + LEND_ROUNDS * input.rules.evaluateEvery;
  return lendHotShards({
    orders: request.orders,
    weights: tableWeights(request, weights, input),
    loads: request.loads,
    previous: localOwners(owners, global),
  }).map((lend) => ({ ...lend, to: global[lend.to]!, until }));
}

/** Signals from before a shift, kept while one is under way: the destination's own normal state. */
function baselineFor(
  before: PlannerState,
  input: PlannerInput,
  isShifting: boolean,
): PlannerState['baseline'] {
  const wasShifting = [...before.tables.values()].some((table) => table.shift !== undefined);
  if (isShifting && wasShifting) return before.baseline;
  return new Map(
    input.regions.flatMap((region) =>
      region.signals === undefined ? [] : [[region.id, region.signals] as const],
    ),
  );
}
