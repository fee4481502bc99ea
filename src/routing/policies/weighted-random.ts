// weighted_random: the table for a request with a key, so that the key stays where it is; for one without,
// a draw in proportion to effective weights.

import { NO_REGION, type RegionIndex, regionIndex } from '../../core/ids.ts';
import { ownerOf } from './consistent-hash.ts';
import type { PickInput, Policy } from './policy.ts';

export const weightedRandom: Policy = (input) =>
  input.isKeyed ? ownerOf(input.route.set, input.hash.hi) : draw(input);

/** Weight as it counts now: the plan's, lowered by what part of the region is healthy. */
export function effectiveWeight(input: PickInput, region: number): number {
  return input.snapshot.regions[region]!.weight * input.view.keeps[region]!;
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
