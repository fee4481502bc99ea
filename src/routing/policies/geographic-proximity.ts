// geographic_proximity: the nearest region, measured from the client where a trusted peer says where it
// is, else from this proxy; the next one once a region runs at its target utilisation. When all are that
// full, the nearest takes it: distance is then the only difference left. What a region gives up by its
// weight and its health spills from there (decide.ts): distance alone would send it everything until its
// weight is 0.

import { kilometresBetween } from '../../core/distance.ts';
import { NO_REGION, type RegionIndex, regionIndex } from '../../core/ids.ts';
import type { Location } from '../../core/model.ts';
import { mayStandIn, type SetView } from '../eligibility.ts';
import type { Region, Snapshot } from '../snapshot.ts';
import type { Policy } from './policy.ts';

export const geographicProximity: Policy = ({ snapshot, view, loads, clientLocation }) => {
  // NaN (capacity unknown) is not full.
  const isFull = (region: RegionIndex): boolean =>
    loads.utilisation(region) >= snapshot.settings.targetUtilisation;
  const nearest = nearestUsable(snapshot, view, clientLocation, isFull);
  return nearest === NO_REGION ? nearestUsable(snapshot, view, clientLocation, isNever) : nearest;
};

const isNever = (): boolean => false;

/**
 * Nearest region that may be chosen and that `isPassed` does not pass over. From a client's own place it
 * is looked for afresh: a sorted order would be thrown away after one look.
 */
export function nearestUsable(
  { regions, distanceOrder }: Snapshot,
  view: SetView,
  from: Location | undefined,
  isPassed: (region: RegionIndex) => boolean,
): RegionIndex {
  if (from === undefined) {
    for (const candidate of distanceOrder) {
      const region = regionIndex(candidate);
      if (mayStandIn(view, region) && !isPassed(region)) return region;
    }
    return NO_REGION;
  }
  let best: RegionIndex = NO_REGION;
  let shortest = Number.POSITIVE_INFINITY;
  for (const candidate of view.usable) {
    const region = regionIndex(candidate);
    if (isPassed(region) || !mayStandIn(view, region)) continue;
    const distance = distanceTo(regions[region]!, from);
    if (best !== NO_REGION && distance >= shortest) continue;
    best = region;
    shortest = distance;
  }
  return best;
}

/** Kilometres; Infinity where the region's location is not known. */
function distanceTo(region: Region, from: Location): number {
  return region.location === undefined ? Number.POSITIVE_INFINITY : kilometresBetween(from, region.location);
}

/** Region indices by distance from `from`; those without a location last, in their given order. */
export function distanceOrder(regions: readonly Region[], from: Location): Uint16Array {
  const distances = regions.map((region) => distanceTo(region, from));
  return Uint16Array.from(regions.keys()).sort((a, b) => {
    const difference = distances[a]! - distances[b]!;
    return Number.isNaN(difference) || difference === 0 ? a - b : difference;
  });
}

/** `lat,lon` in degrees; undefined when it is anything else. */
export function parseLocation(text: string): Location | undefined {
  const match = /^\s*(-?\d{1,3}(?:\.\d+)?)\s*,\s*(-?\d{1,3}(?:\.\d+)?)\s*$/.exec(text);
  if (match === null) return undefined;
  const lat = Number(match[1]);
  const lon = Number(match[2]);
  return Math.abs(lat) <= 90 && Math.abs(lon) <= 180 ? { lat, lon } : undefined;
}
