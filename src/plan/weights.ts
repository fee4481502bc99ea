// Risk and health -> the weight a region should have, before anybody asks whether the others can carry it
// (capacity.ts). A forecast only ever lowers a weight below its base; who may be lowered by forecasts at one
// time is bounded, because forecasts can be wrong together. Pure.

/** `low` <= `high` <= `evict`, each 0..1. */
export interface RiskThresholds {
  readonly low: number;
  readonly high: number;
  readonly evict: number;
}

/** What a region keeps between `high` and `evict`: enough to see whether it still works. */
const LEAST_MULTIPLIER = 0.1;
/** Share of its base that a demoted region keeps as probe at most, whatever capacity.ts takes away. */
export const PROBE_SHARE = 0.02;
/** Requests/s that are enough of a probe: each more is one more that is lost when the region does fail. */
const PROBE_RATE = 0.5;
/** Shards that a probe takes at least: of one alone the clients may be silent. */
const PROBE_SHARDS = 4;
/** An engine without outcomes claims no more than this: it demotes down to the probe share and evicts nobody. */
const UNPROVEN_CONFIDENCE = 0.5;

export interface ProbedRegion {
  /** Of its base weight in the sum of all, 0..1. */
  readonly part: number;
  /** Requests/s over all regions; 0 = not known. */
  readonly demand: number;
  readonly shards: number;
}

/**
 * Share of its base that a demoted region keeps, so that it is seen whether it still works: PROBE_RATE where it is the only
 * one that is demoted, for weights are relative.
 */
export function probeShare({ part, demand, shards }: ProbedRegion): number {
  if (!(demand > 0) || !(part > 0)) return PROBE_SHARE;
  const ofAll = Math.max(PROBE_RATE / demand, PROBE_SHARDS / shards);
  return Math.min(PROBE_SHARE, (ofAll * (1 - part)) / part);
}

/** 1 up to low, linear to 0.1 at high, 0.1 up to evict, then 0 (design, "Risk -> weight"). */
export function riskMultiplier(risk: number, { low, high, evict }: RiskThresholds): number {
  if (risk >= evict) return 0;
  if (risk >= high) return LEAST_MULTIPLIER;
  if (risk <= low) return 1;
  return 1 - ((risk - low) / (high - low)) * (1 - LEAST_MULTIPLIER);
}

export interface WeighedRegion {
  readonly id: string;
  readonly baseWeight: number;
  /** 0..1, acted upon (acted-risk.ts). */
  readonly risk: number;
  /** The part of it that is failure and not too much load, likewise. */
  readonly failure: number;
  /** 0..1: what it may have at most since it failed (slow-return.ts). */
  readonly trust: number;
  /** Share of its ordinary load that it can carry, 0..1; undefined = unknown. */
  readonly carries: number | undefined;
  /** Share of its base that it keeps when it is demoted (`probeShare`). */
  readonly probe: number;
  /** 0..1: how far the risk is proven. */
  readonly confidence: number;
  /** min(1, 1.4 x healthy / registered); 0 = no server can serve. */
  readonly healthFactor: number;
  /** Requests/s; undefined = unknown. */
  readonly capacity: number | undefined;
}

export interface RegionWeights {
  readonly id: string;
  readonly base: number;
  /** After risk. */
  readonly risk: number;
  /** After risk and health. */
  readonly health: number;
  /** Why the weight is below its base, or why a demotion was not made. */
  readonly reason:
    | 'at_risk'
    | 'evicted'
    | 'returning'
    | 'unhealthy'
    | 'max_demoted'
    | 'last_region'
    | undefined;
}

export interface WeightRules {
  readonly thresholds: RiskThresholds;
  /** Share of capacity that forecasts alone may demote at once; one region if that is more. */
  readonly maxDemoted: number;
}

export function weighRegions(regions: readonly WeighedRegion[], rules: WeightRules): RegionWeights[] {
  const spared = spareFromDemotion(regions, rules);
  return regions.map((region) => {
    const kept = spared.get(region.id);
    const multiplier = kept === undefined ? multiplierOf(region, rules.thresholds) : 1;
    const risk = region.baseWeight * multiplier;
    return {
      id: region.id,
      base: region.baseWeight,
      risk,
      health: risk * region.healthFactor,
      reason: kept ?? reasonOf(region, multiplier),
    };
  });
}

/**
 * Too much load is no reason to take all of it away: what a region can carry stays, or the others drown by what it was
 * spared. Only that it may fail as well takes more.
 */
function multiplierOf(region: WeighedRegion, thresholds: RiskThresholds): number {
  const carried = Math.max(riskMultiplier(region.risk, thresholds), region.carries ?? 0);
  const multiplier = Math.min(riskMultiplier(region.failure, thresholds), carried, region.trust);
  return multiplier === 0 && region.confidence <= UNPROVEN_CONFIDENCE ? region.probe : multiplier;
}

function reasonOf(region: WeighedRegion, multiplier: number): RegionWeights['reason'] {
  if (region.healthFactor < 1) return 'unhealthy';
  if (multiplier === 0) return 'evicted';
  if (multiplier === 1) return undefined;
  return multiplier < region.trust ? 'at_risk' : 'returning';
}

/** Regions that the bounds keep at their base although their risk would lower them. */
function spareFromDemotion(
  regions: readonly WeighedRegion[],
  { thresholds, maxDemoted }: WeightRules,
): Map<string, 'max_demoted' | 'last_region'> {
  const failing = ({ failure, trust }: WeighedRegion): number =>
    Math.min(riskMultiplier(failure, thresholds), trust);
  const spared = new Map<string, 'max_demoted' | 'last_region'>();
  const serving = regions.filter((region) => region.baseWeight > 0 && region.healthFactor > 0);
  const total = serving.reduce((sum, region) => sum + sizeOf(region, serving), 0);
  // Who may fail before who has too much to do, or a busy survivor would be spared instead of the region that it stands
  // in for; then the most endangered; equal ones by id, so that every engine chooses the same.
  const endangered = serving
    .filter((region) => multiplierOf(region, thresholds) < 1)
    .sort((a, b) => failing(a) - failing(b) || b.risk - a.risk || (a.id < b.id ? -1 : 1));
  let demoted = 0;
  endangered.forEach((region, i) => {
    const share = total === 0 ? 0 : sizeOf(region, serving) / total;
    if (i + 1 === serving.length) spared.set(region.id, 'last_region');
    else if (i > 0 && demoted + share > maxDemoted) spared.set(region.id, 'max_demoted');
    else demoted += share;
  });
  return spared;
}

/** Capacity where all of them state one; else base weight: a mixture compares nothing. */
function sizeOf(region: WeighedRegion, all: readonly WeighedRegion[]): number {
  return all.every((other) => other.capacity !== undefined) ? region.capacity! : region.baseWeight;
}
