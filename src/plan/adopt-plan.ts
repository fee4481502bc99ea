// The state of a planner that takes over from another one, of which it has the last plan and nothing else:
// nothing moves because of it. Pure.

import { thresholdsName } from '../core/route-thresholds.ts';
import { type ActedRisk, NO_RISK } from './acted-risk.ts';
import { decodeOwners, type Plan, type PlanTable } from './plan.ts';
import { newPlannerState } from './planner.ts';
import type { OwnWeights, PlannerState } from './planner-types.ts';

/** Carries on the plan of an earlier engine, under a new incarnation. */
export function adoptPlan(incarnation: string, plan: Plan): PlannerState {
  const { regions } = plan;
  const acted = (risk: number): ActedRisk => ({ ...NO_RISK, risk });
  return {
    ...newPlannerState(incarnation),
    plan,
    // An engine that has only just begun says nothing yet; the dwell gives it time to.
    acted: new Map(regions.map(({ id, actedRisk }) => [id, acted(actedRisk ?? 0)])),
    // Plans do not tell the parts of a risk apart; taken for the worse one.
    actedFailure: new Map(regions.map(({ id, actedRisk }) => [id, acted(actedRisk ?? 0)])),
    actedIllness: new Map(regions.map(({ id, healthFactor }) => [id, acted(1 - (healthFactor ?? 1))])),
    ...adoptWeights(plan, undefined),
    own: ownWeights(plan),
  };
}

/** What thresholds of some routes' own had made of the weights. */
function ownWeights(plan: Plan): Map<string, OwnWeights> {
  const own = plan.tables.flatMap(({ thresholds }) => thresholds ?? []);
  return new Map(own.map((thresholds) => [thresholdsName(thresholds), adoptWeights(plan, thresholds)]));
}

/** Weights in force by some thresholds; by those of all where none are given. */
function adoptWeights(plan: Plan, thresholds: PlanTable['thresholds']): OwnWeights {
  const name = thresholdsName(thresholds);
  const tables = plan.tables.filter((table) => thresholdsName(table.thresholds) === name);
  const said = new Map(
    thresholds === undefined
      ? []
      : tables.filter(({ critical }) => !critical).flatMap(({ weights = {} }) => Object.entries(weights)),
  );
  const regions = plan.regions.map((region) => ({ ...region, weight: said.get(region.id) ?? region.weight }));
  const healthy = regions.filter(({ weight }) => weight > 0);
  return {
    weights: new Map(regions.map(({ id, weight }) => [id, weight])),
    held: new Map(healthy.map(({ id, weight, healthFactor }) => [id, { weight, health: healthFactor || 1 }])),
    weightsBefore: weightsBefore({ regions, tables }),
    atRisk: avoided({ regions, tables }),
  };
}

type PlanPart = Pick<Plan, 'regions' | 'tables'>;

/** Regions that get nothing of the critical requests although they have a weight. */
function avoided({ regions, tables }: PlanPart): Set<string> {
  const avoided = tables
    .filter(({ critical }) => critical)
    .map((table) => {
      const owners = new Set(decodeOwners(table.owners));
      return regions.filter(
        ({ id, weight }, i) => weight > 0 && table.regions.includes(id) && !owners.has(i),
      );
    });
  return new Set(avoided.flat().map(({ id }) => id));
}

/** What a ramp that goes on was begun from, as far as the owners before it show; empty where there is none. */
function weightsBefore({ regions, tables }: PlanPart): Map<string, number> {
  const table = tables.find(({ critical, shift }) => !critical && shift !== undefined);
  if (table?.shift === undefined) return new Map();
  const owners = ownersBefore(table, table.shift);
  const counts = regions.map((_, i) => owners.filter((owner) => owner === i).length);
  const most = Math.max(
    ...regions.map(({ baseWeight }, i) => (baseWeight > 0 ? counts[i]! / baseWeight : 0)),
  );
  if (most === 0) return new Map();
  return new Map(
    regions.map(({ id, weight }, i) => [id, table.regions.includes(id) ? counts[i]! / most : weight]),
  );
}

function ownersBefore(table: PlanTable, shift: NonNullable<PlanTable['shift']>): Uint16Array {
  const owners = decodeOwners(table.owners);
  for (const [shard, before] of shift.moving) owners[shard] = before;
  return owners;
}
