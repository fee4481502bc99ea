// Desired weights -> owners of shards, and shifts towards them: the part of a planning round that touches
// tables. Every eligible set has its own table; critical ones leave out what is at risk. Pure.

import { thresholdsName } from '../core/route-thresholds.ts';
import { xxh64Text } from '../routing/hash.ts';
import { assignShards, countMoved, NO_OWNER, shardQuotas, toWeightUnits } from '../routing/shard-table.ts';
import { tableId } from './build-plan.ts';
import { decodeOwners, type PlanTable } from './plan.ts';
import type {
  MoveReason,
  OwnWeights,
  PlannedTable,
  PlannerInput,
  PlannerState,
  PlannerTable,
} from './planner-types.ts';
import { assignByLoad, BALANCE_TOLERANCE, balance, type LoadInput, lendHotShards } from './rebalance.ts';
import { settleShift, stepShift } from './shift.ts';

/** Weights that shall be, and regions that critical requests avoid. */
export interface Desired {
  readonly weights: ReadonlyMap<string, number>;
  readonly atRisk: ReadonlySet<string>;
  /** The same by thresholds of some routes' own. */
  readonly own: ReadonlyMap<string, OwnWeights>;
}

export interface Stepped {
  readonly state: PlannerState;
  readonly moves: Partial<Record<MoveReason, number>>;
}

const HOUR_MS = 3_600_000;
// A loan is renewed at every round while it is needed and ends by itself when nobody renews it.
const LEND_ROUNDS = 10;
// Shares that differ by less are the same loan.
const LEND_STEP = 0.05;

export function stepTables(before: PlannerState, desired: Desired, input: PlannerInput): Stepped {
  const regionIds = input.regions.map((region) => region.id);
  const moves: Partial<Record<MoveReason, number>> = {};
  const tables = new Map<string, PlannedTable>();
  let churned = before.churned.filter(([at]) => input.now - at < HOUR_MS);
  const bases = new Map(before.plan?.regions.map(({ id, baseWeight }) => [id, baseWeight]));
  for (const request of input.tables) {
    const id = planTableId(request, regionIds.length);
    const last = currentTable(request, before, regionIds);
    // Settled first: what is wished is measured against the owners that a revert has given back.
    const current = { ...last, ...settleShift(last, input.now) };
    count(moves, 'revert', countMoved(last.owners, current.owners));
    const budget = churnBudget(churned, input);
    const { weights, atRisk } = desired.own.get(thresholdsName(request.thresholds)) ?? desired;
    const own = tableWeights(request, weights, atRisk);
    const wanted = wantedOwners(request, current, own, { input, budget, bases });
    const stepped = stepShift(current, wanted.owners, input.now, {
      period: wanted.isFirst ? 0 : input.rules.shiftPeriod,
      pace: Math.min(1, input.rules.evaluateEvery / Math.max(1, input.rules.shiftPeriod)),
      notice: input.rules.notice,
      idOf: (moving, owners) => shiftId(id, moving, owners),
      unavailable: unavailableRegions(input),
      failing: new Set([...regionIds.keys()].filter((i) => input.regions[i]!.isFailing)),
      evicted: new Set([...regionIds.keys()].filter((i) => weights.get(regionIds[i]!) === 0)),
    });
    const moved = wanted.isFirst ? 0 : countMoved(current.owners, stepped.owners);
    count(moves, wanted.reason, moved);
    if (moved > 0 && wanted.reason === 'balance')
      churned = [...churned, [input.now, moved / request.orders.shardCount]];
    // A wish that has to wait for the shift under way is wished again in the next round.
    const isFulfilled = countMoved(wanted.owners, stepped.owners) === 0;
    tables.set(id, {
      ...stepped,
      weights: own,
      madeFor: isFulfilled ? own : current.madeFor,
      lends: lendsOf(request, { ...current, owners: stepped.owners }, own, input),
    });
  }
  const isShifting = [...tables.values()].some((table) => table.shift !== undefined);
  return {
    state: {
      ...before,
      regionIds,
      tables,
      churned,
      atRisk: desired.atRisk,
      ...beforeShift(before, desired, input, isShifting),
    },
    moves,
  };
}

function count(moves: Partial<Record<MoveReason, number>>, reason: MoveReason, shards: number): void {
  if (shards > 0) moves[reason] = (moves[reason] ?? 0) + shards;
}

/** Name of a table in the plan; critical ones stand beside the ordinary one of their set. */
export function planTableId(request: PlannerTable, regionCount: number): string {
  const own = request.thresholds === undefined ? '' : `@${thresholdsName(request.thresholds)}`;
  return `${tableId(request.regionIds, regionCount)}${own}${request.critical ? '!critical' : ''}`;
}

/** The names under which a table is looked for: one for new thresholds goes on from that of all. */
function formerIds(request: PlannerTable, regionCount: number): string[] {
  const id = planTableId(request, regionCount);
  if (request.thresholds === undefined) return [id];
  const ofAll = { ...request, thresholds: undefined };
  return [id, planTableId(ofAll, regionCount), planTableId({ ...ofAll, critical: false }, regionCount)];
}

/**
 * Two engines that make the same moves must place every key alike on the ramp, and the id is what seeds that.
 * It is in the digest, too.
 */
function shiftId(table: string, moving: ReadonlyMap<number, number>, owners: Uint16Array): string {
  const moves = [...moving].map(([shard, from]) => `${shard}:${from}>${owners[shard]}`);
  const { hi, lo } = xxh64Text(`${table} ${moves.join(' ')}`);
  return hi.toString(16).padStart(8, '0') + lo.toString(16).padStart(8, '0');
}

/** The table so far, in today's region indices; from the plan on disk after a restart; else empty. */
function currentTable(
  request: PlannerTable,
  before: PlannerState,
  regionIds: readonly string[],
): PlannedTable {
  const unmoved = { shift: undefined, madeFor: undefined, lends: [], weights: new Map() };
  const ids = formerIds(request, regionIds.length);
  const known = ids.map((id) => before.tables.get(id)).find((table) => table !== undefined);
  const isSame =
    before.regionIds.length === regionIds.length && before.regionIds.every((r, i) => r === regionIds[i]);
  if (known !== undefined && known.owners.length === request.orders.shardCount) {
    if (isSame) return known;
    return {
      ...unmoved,
      madeFor: known.madeFor,
      owners: translate(known.owners, before.regionIds, regionIds),
    };
  }
  const kept = ids
    .map((id) => before.plan?.tables.find((table) => table.id === id))
    .find((table) => table?.shards === request.orders.shardCount);
  if (kept !== undefined) {
    const former = before.plan!.regions.map((region) => region.id);
    const madeFor = new Map(before.plan!.regions.map(({ id, weight }) => [id, kept.weights?.[id] ?? weight]));
    const owners = translate(decodeOwners(kept.owners), former, regionIds);
    return { ...unmoved, madeFor, owners, shift: keptShift(kept, former.join() === regionIds.join()) };
  }
  const owners = new Uint16Array(request.orders.shardCount).fill(NO_OWNER);
  return { ...unmoved, owners };
}

/** A ramp that an earlier engine began goes on; with other regions its owners mean nothing, and it is over. */
function keptShift({ shift }: PlanTable, hasSameRegions: boolean): PlannedTable['shift'] {
  if (shift === undefined || !hasSameRegions) return undefined;
  const progress = shift.progress.map(([at, value]) => [Date.parse(at), value] as const);
  const last = progress.at(-1)![1];
  const phase = last === 1 ? 'ramp' : last === 0 ? 'revert' : 'hold';
  return { id: shift.id, moving: new Map(shift.moving), progress, phase, since: progress[0]![0] };
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
  /** Base weights of the plan before. */
  readonly bases: ReadonlyMap<string, number>;
}

function wantedOwners(
  request: PlannerTable,
  current: PlannedTable,
  weights: ReadonlyMap<string, number>,
  { input, budget, bases }: WantedContext,
): Wanted {
  const { regionIds, orders, loads } = request;
  const own = [...weights.values()];
  const global = regionIds.map((id) => input.regions.findIndex((region) => region.id === id));
  const local = localOwners(current.owners, global);
  const isFirst = local.every((owner) => owner === NO_OWNER);
  const lowered = loweredRegions(weights, current.madeFor);
  const isChanged =
    lowered.size > 0 ||
    isRaised(weights, current.madeFor) ||
    local.some((owner) => owner === NO_OWNER || own[owner] === 0);
  let owners = local;
  let reason = reasonFor(regionIds, input, bases);
  if (isFirst || (isChanged && loads === undefined)) {
    const quotas = shardQuotas(own.map(toWeightUnits), orders.shardCount);
    owners = assignShards(orders, quotas, isFirst ? undefined : local);
  } else if (loads !== undefined) {
    const load: LoadInput = { orders, weights: own, loads, previous: local };
    if (isChanged) owners = assignByLoad(load, lowered.size > 0 ? lowered : allRegions(regionIds));
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

/** Weights of a table's regions, in their order; in a critical one what is at risk gets nothing, unless all are. */
function tableWeights(
  request: PlannerTable,
  weights: ReadonlyMap<string, number>,
  atRisk: ReadonlySet<string>,
): Map<string, number> {
  const own = new Map(request.regionIds.map((id) => [id, weights.get(id) ?? 0]));
  if (!request.critical) return own;
  const stable = new Map([...own].map(([id, weight]) => [id, atRisk.has(id) ? 0 : weight]));
  return [...stable.values()].some((weight) => weight > 0) ? stable : own;
}

/** Positions of the regions whose share is lower than the one that the table was made for. */
function loweredRegions(
  weights: ReadonlyMap<string, number>,
  madeFor: ReadonlyMap<string, number> | undefined,
): Set<number> {
  if (madeFor === undefined) return new Set();
  const ids = [...weights.keys()];
  const [shares, before] = [sharesOf(ids, weights), sharesOf(ids, madeFor)];
  return new Set([...ids.keys()].filter((i) => shares[i]! < before[i]! - LEAST_CHANGE));
}

function isRaised(
  weights: ReadonlyMap<string, number>,
  madeFor: ReadonlyMap<string, number> | undefined,
): boolean {
  if (madeFor === undefined) return true;
  const ids = [...weights.keys()];
  const [shares, before] = [sharesOf(ids, weights), sharesOf(ids, madeFor)];
  return shares.some((share, i) => share > before[i]! + LEAST_CHANGE);
}

// Shares are sums of decimals: below this they are equal.
const LEAST_CHANGE = 1e-9;

function sharesOf(ids: readonly string[], weights: ReadonlyMap<string, number>): number[] {
  const own = ids.map((id) => weights.get(id) ?? 0);
  const total = own.reduce((sum, weight) => sum + weight, 0);
  return own.map((weight) => (total === 0 ? 0 : weight / total));
}

function reasonFor(
  regionIds: readonly string[],
  input: PlannerInput,
  former: ReadonlyMap<string, number>,
): MoveReason {
  const own = input.regions.filter((region) => regionIds.includes(region.id));
  const isHuman = own.some(
    ({ id, admin, weightOverride, baseWeight }) =>
      admin !== 'active' || (weightOverride ?? baseWeight) !== (former.get(id) ?? baseWeight),
  );
  if (isHuman) return 'human';
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
  table: PlannedTable,
  weights: ReadonlyMap<string, number>,
  input: PlannerInput,
): PlannedTable['lends'] {
  if (request.loads === undefined || input.frozen || input.mode !== 'auto') return [];
  const global = request.regionIds.map((id) => input.regions.findIndex((region) => region.id === id));
  const term = LEND_ROUNDS * input.rules.evaluateEvery;
  return lendHotShards({
    orders: request.orders,
    weights: [...weights.values()],
    loads: request.loads,
    previous: localOwners(table.owners, global),
  }).map((local) => {
    const lend = { ...local, to: global[local.to]!, until: input.now + term };
    return table.lends.find((known) => isAsGood(known, lend, term)) ?? lend;
  });
}

/** A loan that still runs for half its term at about the same share: a new one would be a plan for nothing. */
function isAsGood(known: PlannedTable['lends'][number], lend: typeof known, term: number): boolean {
  const isSame = known.shard === lend.shard && known.to === lend.to;
  return isSame && Math.abs(known.share - lend.share) <= LEND_STEP && lend.until - known.until < term / 2;
}

/** How things were before a shift, kept while one is under way: what its guards compare with and go back to. */
function beforeShift(
  before: PlannerState,
  desired: Desired,
  input: PlannerInput,
  isShifting: boolean,
): Pick<PlannerState, 'baseline' | 'weightsBefore' | 'own'> {
  const { baseline, weightsBefore } = before;
  const wasShifting = [...before.tables.values()].some((table) => table.shift !== undefined);
  if (isShifting && wasShifting) return { baseline, weightsBefore, own: desired.own };
  const signals = input.regions.flatMap((region) =>
    region.signals === undefined ? [] : [[region.id, region.signals] as const],
  );
  // A ramp taken over from an earlier engine: what it began from is not what is in force.
  const isAdopted = isShifting && before.tables.size === 0 && before.weightsBefore.size > 0;
  const from = (weights: Pick<OwnWeights, 'weights' | 'weightsBefore'>): ReadonlyMap<string, number> =>
    isAdopted ? weights.weightsBefore : weights.weights;
  const own = [...desired.own].map(
    ([name, now]) => [name, { ...now, weightsBefore: from(before.own.get(name) ?? now) }] as const,
  );
  return { baseline: new Map(signals), weightsBefore: from(before), own: new Map(own) };
}
