// From the weights that are wanted to those that shall be: what the mode, the operator and the engine's own record
// make of a wish, region by region. The same for the weights of all and for those that thresholds of some routes'
// own make. Pure.

import { type OwnThresholds, thresholdsName } from '../core/route-thresholds.ts';
import type { HeldWeight, OwnWeights, PlannerInput, PlannerRegion, PlannerState } from './planner-types.ts';

/** What becomes of a wish. */
export type Say = 'follow' | 'hold' | 'neutral';

/** What of a state is about regions and not about weights. */
type Seen = Pick<PlannerState, 'acted' | 'actedIllness'>;

export interface InForce {
  readonly before: OwnWeights;
  readonly seen: Seen;
  readonly input: PlannerInput;
  readonly say: Say;
}

// Weights that differ by less than this share are the same: following every tremor of the risk would keep
// keys on the move for nothing.
const DEADBAND = 0.02;

/** Base weight as an operator has left it. */
export const baseWeightOf = (region: PlannerRegion): number =>
  region.admin === 'active' ? (region.weightOverride ?? region.baseWeight) : 0;

/** Thresholds of some routes' own that the tables ask for, by their names. */
export function thresholdsAsked({ tables }: PlannerInput): Map<string, OwnThresholds> {
  const own = tables.flatMap(({ thresholds }) => thresholds ?? []);
  return new Map(own.map((thresholds) => [thresholdsName(thresholds), thresholds]));
}

/** Weights by thresholds of their own, as they were; new ones begin with those of all. */
export function ownBefore(state: PlannerState, input: PlannerInput): Map<string, OwnWeights> {
  const { weights, held, atRisk, weightsBefore } = state;
  const all = { weights, held, atRisk, weightsBefore };
  return new Map([...thresholdsAsked(input).keys()].map((name) => [name, state.own.get(name) ?? all]));
}

/** The weights that shall be: what is wanted, what was, or the base. */
export function inForce(
  wanted: ReadonlyMap<string, number>,
  { before: { weights, held }, seen, input, say }: InForce,
): Map<string, number> {
  const before = new Map(input.regions.map((region) => [region.id, weights.get(region.id) ?? -1]));
  switch (say) {
    case 'neutral':
      return settle(
        new Map(input.regions.map((region) => [region.id, availableWeight(region, seen)])),
        before,
      );
    case 'hold':
      return settle(keptWeights(held, seen, input), before);
    case 'follow':
      return settle(wanted, before);
  }
}

/** Regions too unsafe for critical requests; they follow the mode like weights do. */
export function restricted(critical: number, { before, seen, say }: InForce): ReadonlySet<string> {
  if (say === 'neutral') return new Set();
  if (say === 'hold') return before.atRisk;
  return new Set([...seen.acted].filter(([, { risk }]) => risk > critical).map(([id]) => id));
}

/** A region that can serve nothing comes back to the weight that it had. */
export function heldWeights(
  desired: ReadonlyMap<string, number>,
  { before, seen, input }: InForce,
): Map<string, HeldWeight> {
  return new Map(
    input.regions.map((region) => {
      const isOut = availableWeight(region, seen) === 0;
      const base = { weight: region.weightOverride ?? region.baseWeight, health: 1 };
      if (isOut) return [region.id, before.held.get(region.id) ?? base];
      return [region.id, { weight: desired.get(region.id)!, health: healthOf(region.id, seen) }];
    }),
  );
}

/** Weights of before, to be held from now on. */
export function putBack(
  weights: ReadonlyMap<string, number>,
  seen: Seen,
): Pick<PlannerState, 'weights' | 'held'> {
  const held = [...weights].map(([id, weight]) => [id, { weight, health: healthOf(id, seen) || 1 }] as const);
  return { weights, held: new Map(held) };
}

/** Base weight lowered by health and by the operator alone. */
function availableWeight(region: PlannerRegion, seen: Seen): number {
  return baseWeightOf(region) * (1 - seen.actedIllness.get(region.id)!.risk);
}

const healthOf = (id: string, { actedIllness }: Seen): number => 1 - (actedIllness.get(id)?.risk ?? 0);

/**
 * What is held, but nothing for a region that can serve nothing. Health changes held weights too, as it does
 * those of no engine at all, unless an operator froze them.
 */
function keptWeights(
  held: ReadonlyMap<string, HeldWeight>,
  seen: Seen,
  { regions, frozen }: PlannerInput,
): Map<string, number> {
  return new Map(
    regions.map((region) => {
      const weight = availableWeight(region, seen);
      const kept = held.get(region.id);
      if (kept === undefined || weight === 0) return [region.id, weight];
      return [region.id, frozen ? kept.weight : (kept.weight * healthOf(region.id, seen)) / kept.health];
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
