// least_loaded: the region with the lowest (in flight + 1) / (weight x capacity). Capacity is the
// configured one where every candidate has one; else the summed weight of its servers, because a mixture
// of requests/s and server weights compares nothing.

import { NO_REGION, type RegionIndex, regionIndex } from '../../core/ids.ts';
import type { Region } from '../snapshot.ts';
import type { Policy } from './policy.ts';
import { effectiveWeight } from './weighted-random.ts';

export const leastLoaded: Policy = (input) => {
  const { view, snapshot, loads } = input;
  const capacityOf = view.usable.every((region) => snapshot.regions[region]!.capacity !== undefined)
    ? (region: Region) => region.capacity!
    : serverWeight;
  let best: RegionIndex = NO_REGION;
  let lowest = Number.POSITIVE_INFINITY;
  for (const candidate of view.usable) {
    const region = regionIndex(candidate);
    const room = effectiveWeight(input, region) * capacityOf(snapshot.regions[region]!);
    const load = (loads.inFlight(region) + 1) / room;
    if (load < lowest) {
      lowest = load;
      best = region;
    }
  }
  return best;
};

function serverWeight(region: Region): number {
  let sum = 0;
  for (const server of region.servers) sum += server.weight;
  return sum;
}
