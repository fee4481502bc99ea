// What the engine keeps of one entity between ticks, and what a tick may ask of the engine around it.

import { ForecastScore, ProbabilityScore } from './accuracy.ts';
import { CapacityEstimate } from './capacity-estimate.ts';
import { Drift, PROBABILITIES } from './drift.ts';
import { HourlyDemand } from './forecast/hourly-demand.ts';
import type { EventsNear } from './ingest/event-calendar.ts';
import type { Entity } from './ingest/sample.ts';
import type { AnomalyReading, FailureReading, LoadOutlook, ModelSet } from './models.ts';
import { NO_OUTCOME, type OutcomeKind, type OutcomeState } from './outcome.ts';
import type { Risk, RiskReason } from './risk.ts';
import type { Row } from './series-store.ts';

/** What has got worse. */
export type DriftKind = OutcomeKind | 'demand';

export interface WatchScores {
  readonly failure: ProbabilityScore;
  readonly overload: ProbabilityScore;
  readonly demand: ForecastScore;
}

/** One per entity; only tick.ts and the engine write it. */
export interface EntityWatch {
  readonly entity: Entity;
  models: ModelSet;
  scores: WatchScores;
  capacity: CapacityEstimate;
  /** Of forecasts. */
  drift: Drift;
  /** Of probabilities. */
  drifts: Record<OutcomeKind, Drift>;
  outcome: OutcomeState;
  /** The last row taken. */
  row: Row | undefined;
  /** 0..1: how much of late rows held anything. */
  freshness: number;
  outlook: LoadOutlook | undefined;
  /** Demand by the hour; of servers there is none, what they get is of our own making. */
  readonly hourly: HourlyDemand | undefined;
  anomaly: AnomalyReading | undefined;
  failure: FailureReading | undefined;
  /** Regions only: the load to come and the risk. */
  load: LoadOutlook | undefined;
  over: { readonly p: number; readonly reasons: readonly RiskReason[]; readonly at: number } | undefined;
  risk: Risk | undefined;
  /** Wall milliseconds. */
  assessedAt: number | undefined;
  /** The failure that lasts began under announced maintenance: nobody learns or is judged by it. */
  isExcused: boolean;
  /** Traffic was moved because of what was predicted: outcomes are censored. */
  acted: boolean;
}

export function newWatch(entity: Entity, models: ModelSet): EntityWatch {
  return {
    entity,
    models,
    scores: {
      failure: new ProbabilityScore(),
      overload: new ProbabilityScore(),
      demand: new ForecastScore(),
    },
    capacity: new CapacityEstimate(),
    drift: new Drift(),
    drifts: { failure: new Drift(PROBABILITIES), overload: new Drift(PROBABILITIES) },
    outcome: NO_OUTCOME,
    row: undefined,
    freshness: 0,
    outlook: undefined,
    hourly: entity.kind === 'server' ? undefined : new HourlyDemand(),
    anomaly: undefined,
    failure: undefined,
    load: undefined,
    over: undefined,
    risk: undefined,
    assessedAt: undefined,
    isExcused: false,
    acted: false,
  };
}

export interface RegionWatch {
  readonly watch: EntityWatch;
  readonly servers: readonly EntityWatch[];
}

export interface WorldSettings {
  readonly stepMs: number;
  readonly horizonMs: number;
  readonly horizonSteps: number;
  /** Configured requests/s by region. */
  readonly capacities: ReadonlyMap<string, number>;
}

export interface World {
  readonly settings: WorldSettings;
  /** End of the slot that is ticked, wall milliseconds. */
  readonly now: number;
  /** Events of a region that are under way now, or begin within the horizon. */
  eventsNear(region: string): EventsNear;
  watchOf(entity: Entity): EntityWatch;
  regions(): Iterable<RegionWatch>;
  /** Load to come of a region as it owns demand now. */
  loadOf(region: string): LoadOutlook | undefined;
  /** Load that would come to it if nothing had been moved; undefined where ownership is not known. */
  unmovedLoadOf(region: string): LoadOutlook | undefined;
  /** Runs `work`; a model that throws costs its entity the models, not the engine its life. */
  guard(watch: EntityWatch, work: () => void): void;
  onOutcome(watch: EntityWatch, kind: OutcomeKind, at: number): void;
  /** What its models say has got worse than it was. */
  onDrift(watch: EntityWatch, what: DriftKind): void;
  onNonFinite(what: string): void;
}
