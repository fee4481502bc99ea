// One planning round on one screen: risk is damped, becomes weights, is checked against capacity, becomes
// tables, becomes shifts, becomes a plan. A pure function of the state before and what is known now; the
// engine calls it at every evaluation, the simulator in virtual time.

import { type ActedRisk, actOnRisk, NO_RISK } from './acted-risk.ts';
import { assemblePlan } from './assemble-plan.ts';
import { type Projection, projectCapacity } from './capacity.ts';
import { failoverOrder } from './failover-order.ts';
import {
  type Breach,
  breachOf,
  distrust,
  type GuardVerdict,
  isWorse,
  judgeShift,
  type RegionSignals,
} from './guardrails.ts';
import type {
  OwnWeights,
  PlannedTable,
  PlannerInput,
  PlannerRegion,
  PlannerResult,
  PlannerState,
  WeightRecord,
} from './planner-types.ts';
import { nextMedians, roomFor } from './room.ts';
import { destinationsOf, holdShift, resumeShift, revertShift, sourcesOf } from './shift.ts';
import { FULL_TRUST, nextTrust, type Trust } from './slow-return.ts';
import { stepTables } from './step-tables.ts';
import { probeShare, type RegionWeights, type RiskThresholds, weighRegions } from './weights.ts';
import {
  baseWeightOf,
  heldWeights,
  inForce,
  ownBefore,
  putBack,
  restricted,
  type Say,
  thresholdsAsked,
} from './weights-in-force.ts';

export function newPlannerState(incarnation: string): PlannerState {
  return {
    incarnation,
    generation: 0,
    plan: undefined,
    acted: new Map(),
    actedFailure: new Map(),
    actedIllness: new Map(),
    trust: new Map(),
    medians: [],
    regionIds: [],
    tables: new Map(),
    weights: new Map(),
    held: new Map(),
    atRisk: new Set(),
    own: new Map(),
    guard: { breachedSince: undefined },
    baseline: new Map(),
    weightsBefore: new Map(),
    suppressedUntil: 0,
    past: [],
    churned: [],
  };
}

/**
 * Weights of an earlier plan put in force again; the tables follow by ramps as for any other change. Whoever
 * rolls back freezes too, or the next round would undo it.
 * @param generation of the plan to go back to; the one before the present weights where none is given.
 * @returns undefined when no such plan is remembered.
 */
export function rollBack(state: PlannerState, generation?: number): PlannerState | undefined {
  const earlier = state.past.filter((past) => past.generation !== state.past.at(-1)?.generation);
  const target =
    generation === undefined ? earlier.at(-1) : state.past.findLast((past) => past.generation === generation);
  if (target === undefined) return undefined;
  // Shifts under way are left to end: a key that has crossed returns on the next ramp.
  const own = [...state.own].map(
    ([name, before]) =>
      [name, { ...before, ...putBack(target.own.get(name) ?? target.weights, state) }] as const,
  );
  return { ...state, ...putBack(target.weights, state), own: new Map(own), suppressedUntil: 0 };
}

export function planRound(before: PlannerState, input: PlannerInput): PlannerResult {
  const notes: string[] = [];
  const acted = damp(before.acted, input, (region) => region.assessment?.risk ?? 0);
  const actedFailure = damp(
    before.actedFailure,
    input,
    (region) => region.assessment?.failureProbability ?? 0,
  );
  const actedIllness = damp(before.actedIllness, input, (region) => 1 - region.healthFactor);
  const trust = trustIn(input, before.trust, actedFailure);
  const medians = nextMedians(before.medians, input);
  const seen = { ...before, acted, actedFailure, actedIllness, trust, medians };
  const damped = { ...seen, own: ownBefore(seen, input) };

  const wish = wishFor(damped, input, input.rules.thresholds);
  // First the guards: a shift that is taken back takes its weights with it.
  const guarded = guardShifts(damped, input, notes);
  const say = sayOf(guarded, input, notes);
  const by = { before: guarded, seen: guarded, input, say };
  const desired = inForce(wish.wanted, by);
  const own = ownWeights(guarded, input, say);
  const stepped = stepTables(
    guarded,
    { weights: desired, atRisk: restricted(input.rules.thresholds.critical, by), own: own.weights },
    input,
  );
  const held = heldWeights(desired, by);
  const { projection } = wish;
  const assembled = assemblePlan({ ...stepped.state, weights: desired, held }, input, {
    failoverOrder: orderOf(input, damped),
    riskWeights: new Map(wish.weighed.map(({ id, risk }) => [id, risk])),
  });
  return {
    ...assembled,
    weights: records(input, wish.weighed, projection, desired, damped),
    demotedForSome: own.demoted,
    moves: stepped.moves,
    notes,
  };
}

interface Wish {
  readonly weighed: readonly RegionWeights[];
  readonly projection: readonly Projection[];
  readonly wanted: ReadonlyMap<string, number>;
}

/**
 * What risk, health and capacity ask for by these thresholds. The projection takes the whole demand as if all of it
 * went by them: where no survivor is too full under any of several sets of weights, none is under their mixture.
 */
function wishFor(state: PlannerState, input: PlannerInput, thresholds: RiskThresholds): Wish {
  const { maxDemoted } = input.rules;
  const weighed = weighRegions(weighable(input, state), { thresholds, maxDemoted });
  const projection = projectCapacity(loaded(input, weighed), {
    ...roomFor(state, input, weighed),
    failoverOrder: orderOf(input, state),
  });
  return { weighed, projection, wanted: wantedWeights(input, weighed, projection) };
}

/** The weights of tables whose routes have thresholds of their own, and whom these have demoted. */
function ownWeights(
  state: PlannerState,
  input: PlannerInput,
  say: Say,
): { readonly weights: Map<string, OwnWeights>; readonly demoted: ReadonlySet<string> } {
  const weights = new Map<string, OwnWeights>();
  const demoted = new Set<string>();
  for (const [name, thresholds] of thresholdsAsked(input)) {
    const before = state.own.get(name)!;
    const by = { before, seen: state, input, say };
    const { weighed, wanted } = wishFor(state, input, thresholds);
    const desired = inForce(wanted, by);
    const atRisk = restricted(thresholds.critical, by);
    weights.set(name, { ...before, weights: desired, held: heldWeights(desired, by), atRisk });
    for (const { id, base, risk } of weighed) {
      if (risk < base - LEAST_DEMOTION && desired.get(id)! < base - LEAST_DEMOTION) demoted.add(id);
    }
  }
  return { weights, demoted };
}

// Weights are sums of decimals: closer than this they are equal.
const LEAST_DEMOTION = 1e-9;

function damp(
  before: ReadonlyMap<string, ActedRisk>,
  { regions, rules, now }: PlannerInput,
  measured: (region: PlannerRegion) => number,
): Map<string, ActedRisk> {
  return new Map(
    regions.map((region) => [
      region.id,
      actOnRisk(before.get(region.id) ?? NO_RISK, measured(region), now, rules),
    ]),
  );
}

function trustIn(
  { regions, rules, now }: PlannerInput,
  before: PlannerState['trust'],
  actedFailure: PlannerState['actedFailure'],
): Map<string, Trust> {
  return new Map(
    regions.map(({ id, isErring, healthFactor }) => {
      const isWhole = healthFactor === 1;
      const isLikely = actedFailure.get(id)!.risk >= rules.thresholds.high;
      const isFailing = isErring || (isLikely && !isWhole);
      const facts = { isFailing, isDown: healthFactor === 0, isWhole };
      return [id, nextTrust(before.get(id) ?? FULL_TRUST, facts, now, rules)];
    }),
  );
}

function weighable(input: PlannerInput, state: PlannerState) {
  return input.regions.map((region) => ({
    id: region.id,
    baseWeight: baseWeightOf(region),
    risk: isPredicting(input) ? state.acted.get(region.id)!.risk : 0,
    failure: isPredicting(input) ? state.actedFailure.get(region.id)!.risk : 0,
    trust: isPredicting(input) ? state.trust.get(region.id)!.share : 1,
    carries: carriedShare(region, input),
    probe: probeOf(region, input),
    confidence: region.assessment?.confidence ?? 0,
    healthFactor: 1 - state.actedIllness.get(region.id)!.risk,
    capacity: region.capacity,
  }));
}

/** Of what would come to a region by base weights, the share that it can carry; undefined where that is not known. */
function carriedShare(region: PlannerRegion, input: PlannerInput): number | undefined {
  const ordinary = input.demand * partOf(region, input);
  if (region.capacity === undefined || !(ordinary > 0)) return undefined;
  return Math.min(1, (input.rules.targetUtilisation * region.capacity) / ordinary);
}

function probeOf(region: PlannerRegion, input: PlannerInput): number {
  return probeShare({ part: partOf(region, input), demand: input.demand, shards: input.rules.shards });
}

/** Of a region's base weight in the sum of all, 0..1; NaN where no region has one. */
function partOf(region: PlannerRegion, { regions }: PlannerInput): number {
  return baseWeightOf(region) / regions.reduce((sum, other) => sum + baseWeightOf(other), 0);
}

/** Predictions change weights in auto mode, and in advisory mode once accepted. */
function isPredicting({ mode }: PlannerInput): boolean {
  return mode !== 'off';
}

function loaded(input: PlannerInput, weighed: readonly RegionWeights[]) {
  return input.regions.map((region, i) => ({
    id: region.id,
    baseWeight: baseWeightOf(region),
    weight: weighed[i]!.health,
    isUnavailable: region.healthFactor === 0 || baseWeightOf(region) === 0,
    capacity: region.capacity,
  }));
}

function orderOf(input: PlannerInput, state: PlannerState): string[] {
  return failoverOrder(
    input.regions.map((region) => ({
      id: region.id,
      canServe: region.admin === 'active' && region.healthFactor > 0,
      risk: state.acted.get(region.id)!.risk,
      headroom:
        region.capacity === undefined || region.assessment === undefined
          ? undefined
          : 1 - region.assessment.load.p90 / region.capacity,
      listed: region.listed,
    })),
  );
}

/** After the projection, with the probe share that a demoted region keeps. */
function wantedWeights(
  input: PlannerInput,
  weighed: readonly RegionWeights[],
  projection: readonly Projection[],
): Map<string, number> {
  const raised = input.regions.map((region, i) => {
    const base = baseWeightOf(region);
    const isDemoted = weighed[i]!.risk < base && weighed[i]!.risk > 0 && region.healthFactor > 0;
    const least = isDemoted ? base * probeOf(region, input) : 0;
    return { id: region.id, base, weight: Math.max(least, projection[i]!.weight) };
  });
  // Weights are relative: nobody stands above its base, so that a forecast raises none.
  const most = Math.max(1, ...raised.map(({ base, weight }) => (base > 0 ? weight / base : 1)));
  return new Map(raised.map(({ id, weight }) => [id, weight / most]));
}

/** What the mode, the operator and the engine's own record make of what is wanted. */
function sayOf(state: PlannerState, input: PlannerInput, notes: string[]): Say {
  // An operator's word comes before mode and doubt: what is frozen does not fall back to base weights either.
  if (input.frozen) return 'hold';
  switch (input.mode) {
    case 'off':
    case 'shadow':
      return 'neutral';
    case 'advisory':
      return input.accepted ? 'follow' : 'hold';
    case 'auto': {
      const doubt = distrust(input.score);
      if (doubt !== undefined) {
        notes.push(`acting like shadow mode: ${doubt}`);
        return 'neutral';
      }
      return input.now < state.suppressedUntil ? 'hold' : 'follow';
    }
  }
}

/** Holds, resumes or reverts the shifts under way by what their destinations show. */
function guardShifts(state: PlannerState, input: PlannerInput, notes: string[]): PlannerState {
  const breach = worstBreach(state, input);
  const { shiftPeriod } = input.rules;
  const patience = Math.max(shiftPeriod / 2, 2 * input.rules.evaluateEvery);
  const { state: guard, verdict } = judgeShift(state.guard, breach?.breach, input.now, patience);
  const tables = new Map(
    [...state.tables].map(([id, table]) => [id, { ...table, ...judged(table, verdict, input) }] as const),
  );
  if (verdict !== 'go')
    notes.push(`shift ${verdict === 'hold' ? 'held' : 'reverted'}: ${breach?.breach} in ${breach?.region}`);
  if (verdict !== 'revert') return { ...state, tables, guard };
  const suppressedUntil = input.now + 3 * Math.max(shiftPeriod, input.rules.dwell);
  const own = [...state.own].map(
    ([name, before]) => [name, { ...before, ...putBack(before.weightsBefore, state) }] as const,
  );
  const kept = { ...putBack(state.weightsBefore, state), own: new Map(own) };
  return { ...state, tables, guard, suppressedUntil, ...kept };
}

function judged(
  { shift }: PlannedTable,
  verdict: GuardVerdict,
  { now, rules }: PlannerInput,
): Partial<PlannedTable> {
  if (shift === undefined || shift.phase === 'revert') return {};
  switch (verdict) {
    case 'go':
      return { shift: resumeShift(shift, now, rules.shiftPeriod) };
    case 'hold':
      return { shift: holdShift(shift, now) };
    case 'revert':
      return { shift: revertShift(shift, now, rules.shiftPeriod), madeFor: undefined };
  }
}

function worstBreach(
  state: PlannerState,
  input: PlannerInput,
): { readonly breach: Breach; readonly region: string } | undefined {
  const signalsOf = (index: number): RegionSignals | undefined =>
    input.regions.find((region) => region.id === state.regionIds[index])?.signals;
  for (const table of state.tables.values()) {
    const sources = sourcesOf(table);
    for (const index of destinationsOf(table)) {
      const id = state.regionIds[index];
      const signals = signalsOf(index);
      const baseline = id === undefined ? undefined : state.baseline.get(id);
      if (id === undefined || signals === undefined || baseline === undefined) continue;
      const breach = breachOf(signals, baseline, input.rules.guards);
      // Keys that came from a place that is worse are better off where they are.
      if (breach !== undefined && ![...sources].some((source) => isWorse(signalsOf(source), signals)))
        return { breach, region: id };
    }
  }
  return undefined;
}

function records(
  input: PlannerInput,
  weighed: readonly RegionWeights[],
  projection: readonly Projection[],
  desired: ReadonlyMap<string, number>,
  state: PlannerState,
): WeightRecord[] {
  return input.regions.map((region, i) => ({
    id: region.id,
    base: weighed[i]!.base,
    risk: weighed[i]!.risk,
    health: weighed[i]!.health,
    projected: projection[i]!.weight,
    desired: desired.get(region.id)!,
    actedRisk: state.acted.get(region.id)!.risk,
    trust: state.trust.get(region.id)!.share,
    reason:
      region.admin === 'active' ? (projection[i]!.isHeldBack ? 'no_room' : weighed[i]!.reason) : region.admin,
  }));
}
