// Distance between places on the earth.

import type { Location } from './model.ts';

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
