// least_loaded: the region with the lowest (in flight + 1) / (weight x capacity). Capacity is the
// configured one where every candidate has one; else the summed weight of its servers, because a mixture
// of requests/s and server weights compares nothing.

import { NO_REGION, type RegionIndex, regionIndex } from '../../core/ids.ts';
import type { Policy } from './policy.ts';
import { effectiveWeight } from './weighted-random.ts';

export const leastLoaded: Policy = (input) => {
  const { view, snapshot, loads } = input;
  const byCapacity = view.usable.every((region) => snapshot.regions[region]!.capacity !== undefined);
  let best: RegionIndex = NO_REGION;
  let lowest = Number.POSITIVE_INFINITY;
  for (const candidate of view.usable) {
    const region = regionIndex(candidate);
    const { capacity, serverWeight } = snapshot.regions[region]!;
    const room = effectiveWeight(input, region) * (byCapacity ? capacity! : serverWeight);
    const load = (loads.inFlight(region) + 1) / room;
    if (load < lowest) {
      lowest = load;
      best = region;
    }
  }
  return best;
};
