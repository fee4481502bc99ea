// GeoJSON alert feeds (weather services publish CAP alerts so): features with properties onset, expires and
// severity, and a geometry that is compared with the regions' locations. Pure.

import { z } from 'zod';
import type { Location } from '../../core/model.ts';
import type { ExternalEvent } from './external-event.ts';
import type { FeedReading, FeedWindow } from './icalendar.ts';

export interface PlacedRegion {
  readonly id: string;
  readonly location: Location | undefined;
}

// Words of CAP 1.2, section 3.2.2.
const SEVERITIES: Readonly<Record<string, number>> = { extreme: 1, severe: 0.75, moderate: 0.5, minor: 0.25 };
const UNKNOWN_SEVERITY = 0.25;
// A point stands for a place of about this size.
const POINT_KM = 100;
const MAX_FEATURES = 5000;
const MAX_POSITIONS = 20_000;

const feature = z.object({
  id: z.union([z.string(), z.number()]).optional(),
  properties: z.object({
    id: z.string().optional(),
    onset: z.iso.datetime({ offset: true }),
    expires: z.iso.datetime({ offset: true }),
    severity: z.union([z.string(), z.number()]).optional(),
    event: z.string().optional(),
    headline: z.string().nullish(),
  }),
  geometry: z.object({ type: z.string(), coordinates: z.unknown() }).nullable(),
});
const collection = z.object({ type: z.literal('FeatureCollection'), features: z.array(z.unknown()) });

export function readAlerts(
  text: string,
  window: Omit<FeedWindow, 'regions'>,
  regions: readonly PlacedRegion[],
): FeedReading {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return { ok: false, problem: 'not JSON' };
  }
  const parsed = collection.safeParse(json);
  if (!parsed.success) return { ok: false, problem: 'no GeoJSON FeatureCollection' };
  const { features } = parsed.data;
  const events: ExternalEvent[] = [];
  let skipped = Math.max(0, features.length - MAX_FEATURES);
  for (const [i, raw] of features.slice(0, MAX_FEATURES).entries()) {
    const event = toEvent(raw, i, window.kind, regions);
    if (event === undefined) skipped += 1;
    else if (event.regions.length > 0 && event.end > window.from && event.start < window.to) {
      events.push(event);
    }
  }
  return { ok: true, events, skipped };
}

function toEvent(
  raw: unknown,
  position: number,
  kind: ExternalEvent['kind'],
  regions: readonly PlacedRegion[],
): ExternalEvent | undefined {
  const parsed = feature.safeParse(raw);
  if (!parsed.success) return undefined;
  const { properties, geometry } = parsed.data;
  const start = Date.parse(properties.onset);
  const end = Date.parse(properties.expires);
  if (end <= start || geometry === null) return undefined;
  const covers = coverageOf(geometry.type, geometry.coordinates);
  if (covers === undefined) return undefined;
  return {
    id: String(parsed.data.id ?? properties.id ?? `${position}@${start}`).slice(0, 256),
    kind,
    regions: regions.filter(({ location }) => location !== undefined && covers(location)).map(({ id }) => id),
    start,
    end,
    title: (properties.event ?? properties.headline ?? '').slice(0, 256),
    severity: severityOf(properties.severity),
    loadFactor: undefined,
  };
}

function severityOf(given: string | number | undefined): number {
  if (typeof given === 'number') return Math.min(1, Math.max(0, given));
  return SEVERITIES[given?.toLowerCase() ?? ''] ?? UNKNOWN_SEVERITY;
}

const position = z.tuple([z.number(), z.number()]).rest(z.number());
const polygon = z.array(z.array(position));
type Polygon = z.output<typeof polygon>;

function coverageOf(type: string, coordinates: unknown): ((at: Location) => boolean) | undefined {
  if (type === 'Point') {
    const point = position.safeParse(coordinates);
    if (!point.success) return undefined;
    const centre = { lon: point.data[0], lat: point.data[1] };
    return (at) => distanceKm(at, centre) <= POINT_KM;
  }
  const shape = z.array(polygon).safeParse(type === 'Polygon' ? [coordinates] : coordinates);
  if ((type !== 'Polygon' && type !== 'MultiPolygon') || !shape.success) return undefined;
  const size = shape.data.flat().reduce((sum, ring) => sum + ring.length, 0);
  if (size > MAX_POSITIONS) return undefined;
  return (at) => shape.data.some((one) => isInside(one, at));
}

/** Even-odd rule over all rings: a hole's ring turns the answer back. */
function isInside(rings: Polygon, { lat, lon }: Location): boolean {
  let inside = false;
  for (const ring of rings) {
    for (let i = 0, j = ring.length - 1; i < ring.length; j = i++) {
      const [x1, y1] = ring[i]!;
      const [x2, y2] = ring[j]!;
      if (y1 > lat !== y2 > lat && lon < ((x2 - x1) * (lat - y1)) / (y2 - y1) + x1) inside = !inside;
    }
  }
  return inside;
}

const EARTH_KM = 6371;

/** Haversine. */
function distanceKm(a: Location, b: Location): number {
  const rad = Math.PI / 180;
  const sin = (degrees: number): number => Math.sin((degrees * rad) / 2) ** 2;
  const h = sin(b.lat - a.lat) + Math.cos(a.lat * rad) * Math.cos(b.lat * rad) * sin(b.lon - a.lon);
  return 2 * EARTH_KM * Math.asin(Math.min(1, Math.sqrt(h)));
}
