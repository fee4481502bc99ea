// One planning round on one screen: risk is damped, becomes weights, is checked against capacity, becomes
// tables, becomes shifts, becomes a plan. A pure function of the state before and what is known now; the
// engine calls it at every evaluation, the simulator in virtual time.

import { type ActedRisk, actOnRisk, NO_RISK } from './acted-risk.ts';
import { assemblePlan } from './assemble-plan.ts';
import { type Projection, projectCapacity } from './capacity.ts';
import { failoverOrder } from './failover-order.ts';
import { type Breach, breachOf, distrust, judgeShift } from './guardrails.ts';
import type {
  PlannerInput,
  PlannerRegion,
  PlannerResult,
  PlannerState,
  WeightRecord,
} from './planner-types.ts';
import { destinationsOf, holdShift, resumeShift, revertShift } from './shift.ts';
import { stepTables } from './step-tables.ts';
import { PROBE_SHARE, type RegionWeights, weighRegions } from './weights.ts';

export function newPlannerState(incarnation: string): PlannerState {
  return {
    incarnation,
    generation: 0,
    plan: undefined,
    acted: new Map(),
    actedIllness: new Map(),
    regionIds: [],
    tables: new Map(),
    weights: new Map(),
    guard: { breachedSince: undefined },
    baseline: new Map(),
    suppressedUntil: 0,
    churned: [],
    shiftCount: 0,
  };
}

export function planRound(before: PlannerState, input: PlannerInput): PlannerResult {
  const notes: string[] = [];
  const acted = damp(before.acted, input, (region) => region.assessment?.risk ?? 0);
  const actedIllness = damp(before.actedIllness, input, (region) => 1 - region.healthFactor);
  const damped = { ...before, acted, actedIllness };

  const weighed = weighRegions(weighable(input, damped), input.rules);
  const projection = projectCapacity(loaded(input, weighed), {
    demand: input.demand,
    targetUtilisation: input.rules.targetUtilisation,
    failoverOrder: orderOf(input, damped),
  });
  const wanted = wantedWeights(input, weighed, projection);
  const desired = inForce(wanted, damped, input, notes);

  const guarded = guardShifts(damped, input, notes);
  const stepped = stepTables(guarded, desired, input);
  const assembled = assemblePlan({ ...stepped.state, weights: desired }, input, {
    failoverOrder: orderOf(input, damped),
    projection,
  });
  return {
    ...assembled,
    weights: records(input, weighed, projection, desired, damped),
    moves: stepped.moves,
    notes,
  };
}

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

const baseWeightOf = (region: PlannerRegion): number =>
  region.admin === 'active' ? (region.weightOverride ?? region.baseWeight) : 0;

function weighable(input: PlannerInput, state: PlannerState) {
  return input.regions.map((region) => ({
    id: region.id,
    baseWeight: baseWeightOf(region),
    risk: isPredicting(input) ? state.acted.get(region.id)!.risk : 0,
    healthFactor: 1 - state.actedIllness.get(region.id)!.risk,
    capacity: region.capacity,
  }));
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
  return new Map(
    input.regions.map((region, i) => {
      const base = baseWeightOf(region);
      const isDemoted = weighed[i]!.risk < base && weighed[i]!.risk > 0 && region.healthFactor > 0;
      const least = isDemoted ? base * PROBE_SHARE : 0;
      // The projection may fill a survivor above its base share of the rest, never a weight above its base
      // times what the others gave up; a forecast alone raises nobody.
      return [region.id, Math.max(least, projection[i]!.weight)] as const;
    }),
  );
}

// Weights that differ by less than this share are the same: following every tremor of the risk would keep
// keys on the move for nothing.
const DEADBAND = 0.02;

/** The mode's say: what is wanted, what was, or the base. */
function inForce(
  wanted: ReadonlyMap<string, number>,
  state: PlannerState,
  input: PlannerInput,
  notes: string[],
): Map<string, number> {
  const neutral = new Map(input.regions.map((region) => [region.id, availableWeight(region, state)]));
  const before = new Map(input.regions.map((region) => [region.id, state.weights.get(region.id) ?? -1]));
  if (input.mode === 'off' || input.mode === 'shadow') return settle(neutral, before);
  const doubt = input.mode === 'auto' ? distrust(input.score) : undefined;
  if (doubt !== undefined) {
    notes.push(`acting like shadow mode: ${doubt}`);
    return settle(neutral, before);
  }
  if (input.mode === 'advisory' && !input.accepted) return settle(keepOrNeutral(before, neutral), before);
  const isHeld = input.frozen || input.now < state.suppressedUntil;
  return settle(isHeld ? keepOrNeutral(before, neutral) : wanted, before);
}

/** Base weight lowered by health and by the operator alone. */
function availableWeight(region: PlannerRegion, state: PlannerState): number {
  return baseWeightOf(region) * (1 - state.actedIllness.get(region.id)!.risk);
}

/** Weights in force, but nothing for a region that can serve nothing. */
function keepOrNeutral(
  before: ReadonlyMap<string, number>,
  neutral: ReadonlyMap<string, number>,
): Map<string, number> {
  return new Map(
    [...neutral].map(([id, weight]) => {
      const kept = before.get(id)!;
      return [id, kept === -1 || weight === 0 ? weight : kept] as const;
    }),
  );
}

function settle(next: ReadonlyMap<string, number>, before: ReadonlyMap<string, number>): Map<string, number> {
  const total = (weights: ReadonlyMap<string, number>): number =>
    [...weights.values()].reduce((sum, weight) => sum + Math.max(0, weight), 0);
  const nextTotal = total(next) || 1;
  const beforeTotal = total(before) || 1;
  const isSmall = [...next].every(([id, weight]) => {
    const kept = before.get(id)!;
    if (kept === -1 || (weight === 0) !== (kept === 0)) return false;
    return Math.abs(weight / nextTotal - kept / beforeTotal) < DEADBAND;
  });
  return new Map(isSmall ? before : next);
}

/** Holds, resumes or reverts the shifts under way by what their destinations show. */
function guardShifts(state: PlannerState, input: PlannerInput, notes: string[]): PlannerState {
  const destinations = new Set([...state.tables.values()].flatMap((table) => [...destinationsOf(table)]));
  if (destinations.size === 0) return { ...state, guard: { breachedSince: undefined } };
  const breach = worstBreach(state, input, destinations);
  const { shiftPeriod } = input.rules;
  const patience = Math.max(shiftPeriod / 2, 2 * input.rules.evaluateEvery);
  const { state: guard, verdict } = judgeShift(state.guard, breach?.breach, input.now, patience);
  let suppressedUntil = state.suppressedUntil;
  const tables = new Map(
    [...state.tables].map(([id, table]) => {
      const { shift } = table;
      if (shift === undefined || shift.phase === 'revert') return [id, table] as const;
      if (verdict === 'go')
        return [id, { ...table, shift: resumeShift(shift, input.now, shiftPeriod) }] as const;
      if (verdict === 'hold') return [id, { ...table, shift: holdShift(shift, input.now) }] as const;
      suppressedUntil = input.now + 3 * Math.max(shiftPeriod, input.rules.dwell);
      return [id, { ...table, shift: revertShift(shift, input.now, shiftPeriod) }] as const;
    }),
  );
  if (verdict !== 'go')
    notes.push(`shift ${verdict === 'hold' ? 'held' : 'reverted'}: ${breach?.breach} in ${breach?.region}`);
  return { ...state, tables, guard, suppressedUntil };
}

function worstBreach(
  state: PlannerState,
  input: PlannerInput,
  destinations: ReadonlySet<number>,
): { breach: Breach; region: string } | undefined {
  for (const index of destinations) {
    const id = state.regionIds[index];
    const signals = input.regions.find((region) => region.id === id)?.signals;
    const baseline = id === undefined ? undefined : state.baseline.get(id);
    if (id === undefined || signals === undefined || baseline === undefined) continue;
    const breach = breachOf(signals, baseline, input.rules.guards);
    if (breach !== undefined) return { breach, region: id };
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
    reason:
      region.admin === 'active' ? (projection[i]!.isHeldBack ? 'no_room' : weighed[i]!.reason) : region.admin,
  }));
}
