// round_robin: smooth weighted round robin as nginx has it: every region gains its weight, the one that
// is ahead is chosen and pays the total. Regions of unequal weight come interleaved, not in runs.

import { NO_REGION, type RegionIndex, regionIndex } from '../../core/ids.ts';
import type { Policy } from './policy.ts';
import { effectiveWeight } from './weighted-random.ts';

export const roundRobin: Policy = (input) => {
  const { view, route, cursors, snapshot } = input;
  let credit = cursors.get(route.index);
  if (credit === undefined) {
    credit = new Float64Array(snapshot.regions.length);
    cursors.set(route.index, credit);
  }
  let total = 0;
  let best: RegionIndex = NO_REGION;
  for (const region of view.usable) {
    const weight = effectiveWeight(input, region);
    total += weight;
    credit[region]! += weight;
    if (best === NO_REGION || credit[region]! > credit[best]!) best = regionIndex(region);
  }
  if (best !== NO_REGION) credit[best]! -= total;
  return best;
};
