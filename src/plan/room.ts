// How much is to be carried, and how full a region may become by it: for a failure that is only foreseen, and for
// one that is certain. Pure.

import type { ProjectionRules } from './capacity.ts';
import type { PlannerInput, PlannerRegion, PlannerState } from './planner-types.ts';
import type { RegionWeights } from './weights.ts';

// A forecast follows each row that was measured, and each of them counts some requests more or less by chance:
// weights that followed them would send a failing region a third of its keys in one round and none in the next.
const MEDIANS = 5;

/** Forecast medians of the last rounds, the present one last. */
export function nextMedians(before: readonly number[], { medianDemand }: PlannerInput): readonly number[] {
  return medianDemand === undefined ? before : [...before, medianDemand].slice(-MEDIANS);
}

/**
 * How far a region may be filled by what another shall lose.
 *
 * Too much load, or a failure that may well not come: demand is the one that may come, the limit is the target. A likely
 * failure: the demand that is expected, or want of knowledge about demand would keep in a failing region what has room
 * elsewhere. A failure that is there or is announced: up to what the guards allow a destination as well, its requests are
 * better off in a full region. What has been moved stays until half of what is then left is taken, and until the region
 * has come back.
 */
export function roomFor(
  {
    medians,
    weights,
    actedFailure,
    trust,
  }: Pick<PlannerState, 'medians' | 'weights' | 'actedFailure' | 'trust'>,
  { regions, rules, demand }: PlannerInput,
  weighed: readonly RegionWeights[],
): Pick<ProjectionRules, 'demand' | 'targetUtilisation'> {
  const isDemoted = (i: number): boolean => weighed[i]!.health < weighed[i]!.base;
  const isCertain = regions.some(({ assessment }, i) => assessment?.confidence === 1 && isDemoted(i));
  const isEndangered = ({ id }: PlannerRegion): boolean =>
    (actedFailure.get(id)?.risk ?? 0) >= rules.thresholds.high || (trust.get(id)?.share ?? 1) < 1;
  const isLikely = regions.some((region, i) => isEndangered(region) && isDemoted(i));
  if (!isCertain && !isLikely) return { demand, targetUtilisation: rules.targetUtilisation };
  const expected = middleOf(medians) ?? demand;
  const weightOf = ({ id, baseWeight }: PlannerRegion): number => weights.get(id) ?? baseWeight;
  const sum = regions.reduce((total, region) => total + weightOf(region), 0);
  const filled = regions.map((region, i) =>
    isDemoted(i) || region.capacity === undefined || sum === 0
      ? 0
      : (expected * weightOf(region)) / sum / region.capacity,
  );
  const limit = isCertain
    ? Math.max(rules.targetUtilisation, rules.guards.utilisation)
    : rules.targetUtilisation;
  const kept = Math.min((1 + limit) / 2, Math.max(...filled));
  return { demand: expected, targetUtilisation: Math.max(limit, kept) };
}

function middleOf(values: readonly number[]): number | undefined {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
}
