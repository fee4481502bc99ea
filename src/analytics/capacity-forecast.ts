// Demand for each of the next 24 hours: per shard group and route, summed over what each region owns, and in all.
// What is fitted lies here until the next hour's fit; fitting is somebody else's (compose/capacity-trainer.ts).
// A region's own past is used only while nobody knows what it owns: it is a consequence of our shifts.

import type { EntityWatch } from './entity-watch.ts';
import { measuredCorrelation, sumForecasts } from './forecast/demand-sum.ts';
import { type Forecast, quantileOf } from './forecast/forecast-result.ts';
import { HOUR_MS } from './forecast/hourly-demand.ts';
import type { HourlyFit, HourlyRequest } from './forecast/hourly-fit.ts';
import { slowMethods, type TrainedMethod } from './forecast/method-sets.ts';
import type { EventCalendar } from './ingest/event-calendar.ts';
import { groupEntity, regionEntity, SHARD_GROUPS } from './ingest/sample.ts';

export interface CapacityPoint {
  /** Beginning of the hour, wall milliseconds. */
  readonly at: number;
  /** Mean requests/s of the hour: expected, and not passed with 90 % probability. */
  readonly p50: number;
  readonly p90: number;
}

export interface RegionCapacityPoint extends CapacityPoint {
  readonly region: string;
}

/** A slice of demand: `group/12`, `route/orders`. */
export interface DemandSlice {
  readonly key: string;
  readonly method: string;
  /** 0..1 */
  readonly confidence: number;
  readonly points: readonly CapacityPoint[];
}

export interface CapacityForecast {
  /** When it was asked for, wall milliseconds. */
  readonly madeAt: number;
  /** Of each region that is known anything of, hour by hour; at most 24 points a region. */
  readonly points: readonly RegionCapacityPoint[];
  /** By region, 0..1: 0 while nothing could be scored. */
  readonly confidence: Readonly<Record<string, number>>;
  /** All demand. */
  readonly total: DemandSlice | undefined;
  readonly groups: readonly DemandSlice[];
  readonly routes: readonly DemandSlice[];
}

/** What is known when it is asked for. */
export interface CapacityFacts {
  /** Wall milliseconds. */
  readonly now: number;
  readonly regions: readonly string[];
  /** Region -> 64 shares 0..1 of the shard groups; empty while not known. */
  readonly shares: ReadonlyMap<string, Float64Array>;
  readonly calendar: EventCalendar;
}

const HOURS_AHEAD = 24;
const TOTAL = 'total';
/** Slices of the most demand get the slow methods too: seconds each, and the rest is little. */
const SLOW_SLICES = 16;
const NEAR = 0.1;
/** Routes and regions that are fitted at all. */
const MOST_FITTED = 256;
/** Step at which the agreement of slices is measured: the middle of the day ahead. */
const MEASURED_STEP = 12;

export class CapacityForecaster {
  readonly #fits = new Map<string, HourlyFit>();
  readonly #methods: readonly TrainedMethod[];

  /** @param methods that are fitted beside the naive ones. */
  constructor(methods: readonly TrainedMethod[]) {
    this.#methods = methods;
  }

  /**
   * Slices that have no fit of the last full hour, those of the most demand first.
   * @param hour number of the present hour. @param most how many at a time.
   * @param isOwnershipKnown then regions are sums of groups, where any were measured.
   */
  due(
    watches: Iterable<EntityWatch>,
    hour: number,
    most: number,
    isOwnershipKnown: boolean,
  ): HourlyRequest[] {
    let requests: HourlyRequest[] = [];
    const groups: Float64Array[] = [];
    for (const { entity, hourly } of watches) {
      const values = hourly?.before(hour);
      if (values === undefined || values.length === 0) continue;
      if (entity.kind === 'group') groups.push(values);
      requests.push({ key: entity.key, values, origin: hour, methods: this.#methods });
    }
    if (groups.length > 0) {
      if (isOwnershipKnown) requests = requests.filter(({ key }) => !key.startsWith('region/'));
      requests.push({ key: TOTAL, values: sumOf(groups), origin: hour, methods: this.#methods });
    }
    const known = new Set(requests.map(({ key }) => key));
    for (const key of this.#fits.keys()) if (!known.has(key)) this.#fits.delete(key);
    const size = new Map(requests.map(({ key, values }) => [key, meanOf(values)]));
    return requests
      .sort((a, b) => size.get(b.key)! - size.get(a.key)!)
      .slice(0, MOST_FITTED)
      .map((request, rank) => (rank <= SLOW_SLICES ? request : withoutSlow(request)))
      .filter((request) => !isFitted(this.#fits.get(request.key), request))
      .slice(0, most);
  }

  adopt(fit: HourlyFit): void {
    this.#fits.set(fit.key, fit);
  }

  document({ now, regions, shares, calendar }: CapacityFacts): CapacityForecast {
    const hour = Math.floor(now / HOUR_MS);
    const of = (key: string): Forecast | undefined => comingHours(this.#fits.get(key), hour);
    const points: RegionCapacityPoint[] = [];
    const confidence: Record<string, number> = {};
    const correlation = this.#correlation(of);
    for (const region of regions) {
      const forecast = regionForecast(region, shares.get(region), of, correlation);
      if (forecast === undefined) continue;
      confidence[region] = forecast.confidence;
      for (const point of pointsOf(forecast, hour)) {
        const factor = calendar.factorAt(region, point.at, now);
        points.push({ region, at: point.at, p50: factor * point.p50, p90: factor * point.p90 });
      }
    }
    const slices = [...this.#fits.keys()].flatMap((key) => {
      const forecast = of(key);
      return forecast === undefined ? [] : [sliceOf(key, forecast, hour)];
    });
    return {
      madeAt: now,
      points,
      confidence,
      total: slices.find(({ key }) => key === TOTAL) ?? totalOf(regions, of, hour),
      groups: slices.filter(({ key }) => key.startsWith('group/')),
      routes: slices.filter(({ key }) => key.startsWith('route/')),
    };
  }

  /** How far the errors of slices agree, measured on their sum, which no shift changes. */
  #correlation(of: (key: string) => Forecast | undefined): number | undefined {
    const total = of(TOTAL);
    const parts = groupKeys().flatMap((key) => of(key) ?? []);
    return total === undefined || parts.length < 2
      ? undefined
      : measuredCorrelation(total, parts, MEASURED_STEP);
  }
}

/** Before the first full hour the present one moves on: then a fit is good while it is near it. */
function isFitted(fit: HourlyFit | undefined, { origin, values }: HourlyRequest): boolean {
  if (fit === undefined || fit.origin !== origin) return false;
  const said = fit.forecast.steps[0]?.mean ?? Number.NaN;
  return values.length > 1 || Math.abs(values[0]! - said) <= NEAR * values[0]!;
}

const groupKeys = (): string[] => Array.from({ length: SHARD_GROUPS }, (_, group) => groupEntity(group).key);

function regionForecast(
  region: string,
  shares: Float64Array | undefined,
  of: (key: string) => Forecast | undefined,
  correlation: number | undefined,
): Forecast | undefined {
  const parts = groupKeys().flatMap((key, group) => {
    const share = shares?.[group] ?? 0;
    const forecast = share > 0 ? of(key) : undefined;
    return forecast === undefined ? [] : [scaled(forecast, share)];
  });
  if (parts.length > 0) return sumForecasts(parts, correlation);
  // Without measured groups, or while nobody knows what it owns, its own past is all there is.
  return of(regionEntity(region).key);
}

/** Without shard groups the regions are all there is. */
function totalOf(
  regions: readonly string[],
  of: (key: string) => Forecast | undefined,
  hour: number,
): DemandSlice | undefined {
  const parts = regions.flatMap((region) => of(regionEntity(region).key) ?? []);
  return parts.length === 0 ? undefined : sliceOf(TOTAL, sumForecasts(parts), hour);
}

/** The steps of the 24 hours after the present one, as far as the fit reaches. */
function comingHours(fit: HourlyFit | undefined, hour: number): Forecast | undefined {
  if (fit === undefined) return undefined;
  const { steps, quantiles } = fit.forecast;
  const from = hour + 1 - fit.origin;
  if (from < 0 || from >= steps.length) return undefined;
  const levels = quantiles.length / steps.length;
  const to = Math.min(steps.length, from + HOURS_AHEAD);
  return {
    ...fit.forecast,
    steps: steps.slice(from, to),
    quantiles: quantiles.slice(from * levels, to * levels),
  };
}

function pointsOf(forecast: Forecast, hour: number): CapacityPoint[] {
  return forecast.steps.map(({ mean }, step) => ({
    at: (hour + 1 + step) * HOUR_MS,
    p50: Math.max(0, mean),
    p90: Math.max(0, mean, quantileOf(forecast, step, 0.9)),
  }));
}

function sliceOf(key: string, forecast: Forecast, hour: number): DemandSlice {
  const { method, confidence } = forecast;
  return { key, method, confidence, points: pointsOf(forecast, hour) };
}

function scaled(forecast: Forecast, share: number): Forecast {
  if (share === 1) return forecast;
  return {
    ...forecast,
    quantiles: forecast.quantiles.map((value) => share * value),
    steps: forecast.steps.map(({ mean, lower80, upper80, lower90, upper90 }) => ({
      mean: share * mean,
      lower80: share * lower80,
      upper80: share * upper80,
      lower90: share * lower90,
      upper90: share * upper90,
    })),
  };
}

/** Aligned at their ends; an hour counts where anything was measured. */
function sumOf(parts: readonly Float64Array[]): Float64Array {
  const sum = new Float64Array(Math.max(...parts.map(({ length }) => length))).fill(Number.NaN);
  for (const part of parts) {
    const offset = sum.length - part.length;
    part.forEach((value, i) => {
      if (Number.isNaN(value)) return;
      const before = sum[offset + i]!;
      sum[offset + i] = Number.isNaN(before) ? value : before + value;
    });
  }
  return sum;
}

function meanOf(values: Float64Array): number {
  const known = values.filter((value) => !Number.isNaN(value));
  return known.reduce((sum, value) => sum + value, 0) / Math.max(1, known.length);
}

function withoutSlow(request: HourlyRequest): HourlyRequest {
  const slow: readonly string[] = slowMethods(request.methods);
  return { ...request, methods: request.methods.filter((name) => !slow.includes(name)) };
}
