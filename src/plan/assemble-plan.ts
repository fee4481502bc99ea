// The outcome of a planning round as the document that proxies pull (contract, "Plan"). A round that changes
// nothing publishes nothing: the generation grows with the content, not with the clock. Pure.

import { assignShards, NO_OWNER, shardQuotas, toWeightUnits } from '../routing/shard-table.ts';
import { encodeOwners, type Plan, type PlanTable, planDigest } from './plan.ts';
import type { PlannedTable, PlannerInput, PlannerState, PlannerTable } from './planner-types.ts';
import { planTableId } from './step-tables.ts';

export interface AssembleFacts {
  readonly failoverOrder: readonly string[];
  /** By region: base weight after what is predicted. */
  readonly riskWeights: ReadonlyMap<string, number>;
}

export function assemblePlan(
  state: PlannerState,
  input: PlannerInput,
  facts: AssembleFacts,
): { readonly state: PlannerState; readonly plan: Plan; readonly isNew: boolean } {
  const at = new Date(input.now).toISOString();
  const content = {
    ttlSeconds: input.rules.ttlSeconds,
    mode: input.mode,
    regions: input.regions.map((region) => planRegion(region, state, facts)),
    failoverOrder: [...facts.failoverOrder],
    tables: input.tables.map((request) => planTable(request, state, input)),
  };
  const before = state.plan;
  // The plan of an engine before this one is published anew even where nothing changed: it has to be ours.
  const isNew =
    before === undefined ||
    before.incarnation !== state.incarnation ||
    fingerprint(before) !== fingerprint(content);
  const generation = isNew ? state.generation + 1 : state.generation;
  const stamped = {
    incarnation: state.incarnation,
    generation,
    issuedAt: isNew ? at : before.issuedAt,
    evaluatedAt: at,
    now: at,
    ...content,
  };
  const plan: Plan = { ...stamped, digest: planDigest(stamped) };
  const past = isNew ? remember(state, generation, input.now) : state.past;
  return { state: { ...state, generation, plan, past }, plan, isNew };
}

// A few hours of changes: what an operator may want back.
const MAX_PAST = 50;

/** Weights join the past when they differ from the last that did. */
function remember(state: PlannerState, generation: number, at: number): PlannerState['past'] {
  const last = state.past.at(-1);
  const { weights } = state;
  const own = new Map([...state.own].map(([name, of]) => [name, of.weights]));
  const isSame =
    last !== undefined &&
    areSame(last.weights, weights) &&
    last.own.size === own.size &&
    [...own].every(([name, of]) => areSame(last.own.get(name) ?? new Map(), of));
  return isSame ? state.past : [...state.past, { generation, at, weights, own }].slice(-MAX_PAST);
}

function areSame(a: ReadonlyMap<string, number>, b: ReadonlyMap<string, number>): boolean {
  return a.size === b.size && [...b].every(([id, weight]) => a.get(id) === weight);
}

/**
 * What proxies act upon. Risk, load and reasons are told with the plan but are no part of it: their every
 * tremor would be a new generation.
 */
function fingerprint(
  plan: Pick<Plan, 'regions' | 'failoverOrder' | 'tables' | 'mode' | 'ttlSeconds'>,
): string {
  const regions = plan.regions.map(({ id, baseWeight, weight, healthFactor }) => [
    id,
    baseWeight,
    weight,
    healthFactor,
  ]);
  return JSON.stringify([regions, plan.failoverOrder, plan.tables, plan.mode, plan.ttlSeconds]);
}

function planRegion(
  region: PlannerInput['regions'][number],
  state: PlannerState,
  { riskWeights }: AssembleFacts,
): Plan['regions'][number] {
  const { assessment } = region;
  const weight = Math.round((state.weights.get(region.id) ?? 0) * 1e6) / 1e6;
  return {
    id: region.id,
    baseWeight: region.weightOverride ?? region.baseWeight,
    weight,
    // What of the weight is health's doing: a proxy that sees the same illness must not count it twice.
    healthFactor: Math.round((1 - (state.actedIllness.get(region.id)?.risk ?? 0)) * 1e6) / 1e6,
    riskWeight: Math.round((riskWeights.get(region.id) ?? 0) * 1e6) / 1e6,
    actedRisk: state.acted.get(region.id)?.risk ?? 0,
    ...(region.admin === 'active' ? {} : { admin: region.admin }),
    ...(region.capacity === undefined ? {} : { capacity: region.capacity }),
    ...(assessment === undefined
      ? {}
      : {
          risk: assessment.risk,
          failureProbability: assessment.failureProbability,
          load: assessment.load,
          confidence: assessment.confidence,
          anomaly: assessment.anomaly,
          reasons: [...assessment.reasons],
        }),
  };
}

function planTable(request: PlannerTable, state: PlannerState, input: PlannerInput): PlanTable {
  const id = planTableId(request, input.regions.length);
  const table = state.tables.get(id)!;
  const { shift } = table;
  return {
    id,
    regions: [...request.regionIds],
    critical: request.critical,
    ...(request.thresholds !== undefined && { thresholds: { ...request.thresholds } }),
    ...weightsApart(table, state),
    shards: request.orders.shardCount,
    encoding: 'u16le-base64',
    owners: encodeOwners(table.owners),
    ...(shift === undefined
      ? {}
      : {
          shift: {
            id: shift.id,
            moving: [...shift.moving].map(([shard, before]): [number, number] => [shard, before]),
            progress: shift.progress.map(([at, value]): [string, number] => [
              new Date(at).toISOString(),
              value,
            ]),
          },
        }),
    lends: table.lends.map((lend) => ({ ...lend, until: new Date(lend.until).toISOString() })),
    neutral: neutralOwners(request, table, input),
  };
}

/** Weights of a table, where they are not those of the plan's regions. */
function weightsApart({ weights }: PlannedTable, state: PlannerState): Pick<PlanTable, 'weights'> {
  const isApart = [...weights].some(([id, weight]) => weight !== (state.weights.get(id) ?? 0));
  if (!isApart) return {};
  return {
    weights: Object.fromEntries([...weights].map(([id, weight]) => [id, Math.round(weight * 1e6) / 1e6])),
  };
}

/** Shards that would be elsewhere by base weights alone: where they go if the engine is gone for good. */
function neutralOwners(request: PlannerTable, table: PlannedTable, input: PlannerInput): [number, number][] {
  const { orders, regionIds } = request;
  const global = regionIds.map((id) => input.regions.findIndex((region) => region.id === id));
  const position = new Map(global.map((index, i) => [index, i]));
  const local = table.owners.map((owner) => position.get(owner) ?? NO_OWNER);
  const weights = global.map((index) => {
    const region = input.regions[index]!;
    return region.admin === 'active' ? (region.weightOverride ?? region.baseWeight) : 0;
  });
  const neutral = assignShards(orders, shardQuotas(weights.map(toWeightUnits), orders.shardCount), local);
  const pairs: [number, number][] = [];
  neutral.forEach((owner, shard) => {
    if (owner !== local[shard] && owner !== NO_OWNER) pairs.push([shard, global[owner]!]);
  });
  return pairs;
}
