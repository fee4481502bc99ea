// What the engine and the configuration say -> one planning round's input. Reads; decides nothing.

import type { Engine } from '../analytics/engine.ts';
import type { EntityWatch } from '../analytics/entity-watch.ts';
import { regionCapacity } from '../analytics/region-capacity.ts';
import type { Config } from '../config/schema.ts';
import type { DemotedRegion } from '../plan/demotion-ledger.ts';
import type { EngineScore, RegionSignals } from '../plan/guardrails.ts';
import type { PlannerRegion, PlannerRules, RiskAssessment, WeightRecord } from '../plan/planner-types.ts';
import { healthFactor } from '../routing/eligibility.ts';

export interface RegionFacts {
  /** 0..1; undefined = nobody says. */
  healthyShare(region: string): number | undefined;
}

export function plannerRegions(engine: Engine, config: Config, facts: RegionFacts): PlannerRegion[] {
  const watches = new Map(regionWatches(engine).map((watch) => [watch.entity.id, watch]));
  return config.regions
    .map((region, listed): PlannerRegion => {
      const watch = watches.get(region.id);
      const share = facts.healthyShare(region.id) ?? 1;
      const capacity = remainingCapacity(region.capacity, watch, share);
      return {
        id: region.id,
        baseWeight: region.weight,
        // What operators say at run time is in the configuration by now (control-desk.ts).
        admin: 'active',
        weightOverride: undefined,
        healthFactor: healthFactor(share, 1),
        capacity,
        assessment: watch === undefined ? undefined : assessmentOf(watch),
        ...failureOf(watch),
        signals: watch === undefined ? undefined : signalsOf(watch, engine.settings.stepMs, capacity),
        listed,
      };
    })
    .sort((a, b) => (a.id < b.id ? -1 : 1));
}

export const regionWatches = (engine: Engine): EntityWatch[] =>
  [...engine.watches()].filter(({ entity }) => entity.kind === 'region');

/** A configured capacity is of all servers; others are of those that are there. */
function remainingCapacity(
  configured: number | undefined,
  watch: EntityWatch | undefined,
  healthyShare: number,
): number | undefined {
  const known = watch === undefined ? undefined : regionCapacity(watch, configured);
  if (known === undefined) return configured;
  return known.source === 'configured' ? known.value * healthyShare : known.value;
}

function failureOf(watch: EntityWatch | undefined): Pick<PlannerRegion, 'isFailing' | 'isErring'> {
  const isFailing = watch?.outcome.since.failure !== undefined;
  return { isFailing, isErring: isFailing && watch.outcome.erredAt === watch.row?.at };
}

function assessmentOf({ risk, load, row }: EntityWatch): RiskAssessment | undefined {
  if (risk === undefined) return undefined;
  const rps = row?.values.get('rps') ?? 0;
  return {
    risk: risk.risk,
    failureProbability: risk.failureProbability,
    load: load === undefined ? { p50: rps, p90: rps } : { p50: load.p50, p90: load.p90 },
    confidence: risk.confidence,
    anomaly: risk.anomaly,
    reasons: risk.reasons,
  };
}

function signalsOf(
  { row }: EntityWatch,
  stepMs: number,
  capacity: number | undefined,
): RegionSignals | undefined {
  if (row === undefined) return undefined;
  const rps = row.values.get('rps');
  if (rps === undefined) return undefined;
  return {
    errorShare: row.values.get('error_rate') ?? 0,
    p99: row.values.get('latency_ms.p99') ?? row.values.get('latency_ms.mean') ?? 0,
    utilisation: capacity === undefined || capacity === 0 ? undefined : rps / capacity,
    requests: (rps * stepMs) / 1000,
  };
}

// Owners that carry state get this long to hear of a move before its first key: a webhook and its answer.
const NOTICE_MS = 1000;

export function plannerRules({ pae, sharding }: Config): PlannerRules {
  const { thresholds } = pae;
  return {
    thresholds,
    hysteresis: thresholds.hysteresis,
    dwell: thresholds.dwell,
    maxDemoted: pae.maxDemoted,
    targetUtilisation: pae.targetUtilisation,
    shiftPeriod: sharding.shiftPeriod,
    evaluateEvery: pae.evaluateEvery,
    notice: sharding.notify === '' ? 0 : NOTICE_MS,
    guards: sharding.guards,
    churn: sharding.churn,
    shards: sharding.shards,
    ttlSeconds: pae.planTtl / 1000,
  };
}

// Standard deviations from the median to the 90th percentile of a normal distribution.
const P90_DEVIATIONS = 1.2816;

/** Requests/s over all regions that are to be reckoned with. */
export function expectedDemand(engine: Engine): number {
  const outlook = engine.demandOutlook();
  if (outlook !== undefined) {
    const { p50, p90, confidence } = outlook;
    // Requests come by chance: a row of a second counts some more and some less of the same demand (Poisson, whose
    // variance is its mean), which queues even out and nobody need keep room for.
    const chance = p50 / (engine.settings.stepMs / 1000);
    const width = Math.sqrt(Math.max(0, ((p90 - p50) / P90_DEVIATIONS) ** 2 - chance));
    // An interval that is wide for want of knowledge must not keep a region from being evacuated.
    return p50 + confidence * P90_DEVIATIONS * width;
  }
  return regionWatches(engine).reduce((sum, { outlook: own }) => sum + (own?.p90 ?? 0), 0);
}

/** The engine's skill over all regions, weighed by how much was scored; undefined before five events anywhere. */
export function pooledSkill(engine: Engine): number | undefined {
  let sum = 0;
  let n = 0;
  for (const { scores } of regionWatches(engine)) {
    const { skill, scored } = scores.failure.figures();
    if (skill === undefined) continue;
    sum += skill * scored;
    n += scored;
  }
  return n === 0 ? undefined : sum / n;
}

export const scoreOf = (engine: Engine, falseShifts: Omit<EngineScore, 'brierSkill'>): EngineScore => ({
  brierSkill: pooledSkill(engine),
  ...falseShifts,
});

// An anomaly above this in a demoted region is the trouble that was predicted, seen on its probe share.
const TROUBLE_ANOMALY = 0.5;

/** Regions in which trouble shows. What they would carry unmoved counts, not what is left to them. */
export function troubledRegions(engine: Engine, regions: readonly PlannerRegion[]): Set<string> {
  const demand = engine.demandOutlook()?.p50 ?? 0;
  const base = regions.reduce((sum, region) => sum + region.baseWeight, 0) || 1;
  const byId = new Map(regions.map((region) => [region.id, region]));
  const troubled = regionWatches(engine).filter((watch) => {
    const { failure, overload } = watch.outcome.since;
    const region = byId.get(watch.entity.id);
    const unmoved = region === undefined ? 0 : (demand * region.baseWeight) / base;
    const isTooMuch = region?.capacity !== undefined && unmoved > region.capacity;
    const isIll = (watch.risk?.anomaly ?? 0) >= TROUBLE_ANOMALY;
    return failure !== undefined || overload !== undefined || isTooMuch || isIll;
  });
  return new Set(troubled.map(({ entity }) => entity.id));
}

/** Regions whose weight in force is lower because of what was predicted. */
export function demotedRegions(weights: readonly WeightRecord[]): WeightRecord[] {
  return weights.filter(({ base, risk, desired }) => risk < base - 1e-9 && desired < base - 1e-9);
}

/**
 * Of those, the ones that nobody has announced or sees failing, and that do not come back from a failure: forecasts, to be
 * judged by what shows.
 */
export function demotedByForecast(
  weights: readonly WeightRecord[],
  regions: readonly PlannerRegion[],
  troubled: ReadonlySet<string>,
): DemotedRegion[] {
  const certain = new Set(
    regions.filter(({ assessment }) => assessment?.confidence === 1).map(({ id }) => id),
  );
  return demotedRegions(weights)
    .filter(({ id, trust }) => !certain.has(id) && trust === 1)
    .map(({ id }) => ({ id, isInTrouble: troubled.has(id) }));
}
