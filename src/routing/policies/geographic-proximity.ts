// geographic_proximity: the nearest region, measured from the client where a trusted peer says where it
// is, else from this proxy; the next one once a region runs at its target utilisation. When all are that
// full, the nearest takes it: distance is then the only difference left.

import { NO_REGION, type RegionIndex, regionIndex } from '../../core/ids.ts';
import type { Location } from '../../core/model.ts';
import type { Region } from '../snapshot.ts';
import type { Policy } from './policy.ts';

export const geographicProximity: Policy = ({ snapshot, view, loads, clientLocation }) => {
  const order =
    clientLocation === undefined ? snapshot.distanceOrder : distanceOrder(snapshot.regions, clientLocation);
  let nearest: RegionIndex = NO_REGION;
  for (const candidate of order) {
    const region = regionIndex(candidate);
    if (view.keeps[region]! === 0) continue;
    if (nearest === NO_REGION) nearest = region;
    // NaN (capacity unknown) is not full.
    if (!(loads.utilisation(region) >= snapshot.settings.targetUtilisation)) return region;
  }
  return nearest;
};

/** Region indices by distance from `from`; those without a location last, in their given order. */
export function distanceOrder(regions: readonly Region[], from: Location): Uint16Array {
  const distances = regions.map((region) =>
    region.location === undefined ? Number.POSITIVE_INFINITY : kilometresBetween(from, region.location),
  );
  return Uint16Array.from(regions.keys()).sort((a, b) => {
    const difference = distances[a]! - distances[b]!;
    return Number.isNaN(difference) || difference === 0 ? a - b : difference;
  });
}

const EARTH_RADIUS_KM = 6371;

/** Great-circle distance by the haversine formula. */
export function kilometresBetween(a: Location, b: Location): number {
  const radians = Math.PI / 180;
  const dLat = (b.lat - a.lat) * radians;
  const dLon = (b.lon - a.lon) * radians;
  const h =
    Math.sin(dLat / 2) ** 2 + Math.cos(a.lat * radians) * Math.cos(b.lat * radians) * Math.sin(dLon / 2) ** 2;
  return 2 * EARTH_RADIUS_KM * Math.asin(Math.min(1, Math.sqrt(h)));
}

/** `lat,lon` in degrees; undefined when it is anything else. */
export function parseLocation(text: string): Location | undefined {
  const match = /^\s*(-?\d{1,3}(?:\.\d+)?)\s*,\s*(-?\d{1,3}(?:\.\d+)?)\s*$/.exec(text);
  if (match === null) return undefined;
  const lat = Number(match[1]);
  const lon = Number(match[2]);
  return Math.abs(lat) <= 90 && Math.abs(lon) <= 180 ? { lat, lon } : undefined;
}
