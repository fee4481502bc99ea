// weighted_random: the table for a request with a key, so that the key stays where it is; for one without,
// a draw in proportion to effective weights.

import { NO_REGION, type RegionIndex, regionIndex } from '../../core/ids.ts';
import { heldShards, progressOf } from '../ownership.ts';
import { consistentHash } from './consistent-hash.ts';
import type { PickInput, Policy } from './policy.ts';

export const weightedRandom: Policy = (input) => (input.isKeyed ? consistentHash(input) : draw(input));

/**
 * Weight as it counts now: the plan's, or what a shift has made of it so far; home to the base when the plan
 * is stale; lowered by what part of the region is healthy.
 */
export function effectiveWeight({ snapshot, set, view, now, neutrality }: PickInput, region: number): number {
  const { baseWeight } = snapshot.regions[region]!;
  const { shift } = set.movement;
  const planned =
    shift === null ? set.drawWeights[region]! : heldShards(set.holdings, region, progressOf(shift, now));
  if (neutrality === 0) return planned * view.keeps[region]!;
  return (planned * (1 - neutrality) + baseWeight * neutrality) * view.keeps[region]!;
}

function draw(input: PickInput): RegionIndex {
  const { usable } = input.view;
  let total = 0;
  for (const region of usable) total += effectiveWeight(input, region);
  let at = input.random.next() * total;
  for (const region of usable) {
    at -= effectiveWeight(input, region);
    if (at < 0) return regionIndex(region);
  }
  // Rounding can leave the last sliver of the interval to nobody.
  return usable.length === 0 ? NO_REGION : regionIndex(usable[usable.length - 1]!);
}
