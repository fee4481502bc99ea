// What of the desired weights is true by now: a shift moves keys over time, and until it has ended the regions
// serve something between (design, decision 5). For people and metrics; requests go by the table itself.

import { isOfAll } from '../routing/build-snapshot.ts';
import { countHoldings, heldShards, progressOf } from '../routing/ownership.ts';
import type { Published } from './routing-publisher.ts';

/** By region of the plan. @param now monotonic milliseconds. */
export function effectiveWeights({ plan, input }: Published, now: number): number[] {
  const weights = plan.regions.map((region) => region.weight);
  // Routes with thresholds of their own have other weights; these are those of all.
  const tables = Object.entries(input.tables).flatMap(([key, table]) => (isOfAll(key) ? [table] : []));
  if (tables.every(({ movement }) => movement.shift === null)) return weights;
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const shares = weights.map(() => 0);
  for (const { owners, movement } of tables) {
    const holdings = countHoldings(owners, movement.shift, weights.length);
    const progress = movement.shift === null ? 1 : progressOf(movement.shift, now);
    shares.forEach((_, region) => {
      shares[region]! += heldShards(holdings, region, progress) / owners.length / tables.length;
    });
  }
  return shares.map((share) => Math.round(share * total * 1e6) / 1e6);
}

/** 0..1, the mean over the tables that are on the move; 1 when none is. */
export function shiftProgress({ input }: Published, now: number): number {
  const shifts = Object.values(input.tables).flatMap(({ movement }) => movement.shift ?? []);
  if (shifts.length === 0) return 1;
  return shifts.reduce((sum, shift) => sum + progressOf(shift, now), 0) / shifts.length;
}
