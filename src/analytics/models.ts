// What the walk of a tick expects of the models behind it: one of each per entity, each fed row by row and
// never asked about the future of what it was not given. Non-finite answers are the walk's to catch. A new
// kind of model is one more implementation of these.

import type { BoostedTrees, TrainingRows } from './failure/boosted-trees.ts';
import type { WeightedRows } from './failure/logistic-regression.ts';
import type { MethodStanding } from './forecast/forecast-result.ts';
import type { Entity } from './ingest/sample.ts';
import type { RiskReason } from './risk.ts';
import type { Row } from './series-store.ts';
import type { StateReader } from './state-reader.ts';

/** Requests/s to come. Steps are rows ahead; the last one is the horizon's end. */
export interface LoadOutlook {
  /** What made it, in one word. */
  readonly method: string;
  /** 0..1 */
  readonly confidence: number;
  /** Expected load and the load that is not passed with 90 % probability, at the worst step of the horizon. */
  readonly p50: number;
  readonly p90: number;
  /** The horizon's last step with its 90 % interval: what is scored. */
  readonly last: { readonly value: number; readonly lower: number; readonly upper: number };
  /** Probability that the load passes `limit` at some step of the horizon. */
  above(limit: number): number;
}

/** A model whose learning outlives the process. */
interface KeptModel {
  /** Plain data; JSON may carry it. */
  state(): object | undefined;
  /** Takes the state of a model of the same entity and settings; throws UnreadableState and stays as it was. */
  restore(state: StateReader): void;
}

export interface DemandModel extends KeptModel {
  /** One value a row; NaN = not measured. */
  push(value: number): void;
  /** undefined while nothing was seen. */
  outlook(): LoadOutlook | undefined;
  /** Every method that is scored, beside the one that speaks. */
  standings(): readonly MethodStanding[];
}

export interface AnomalyReading {
  /** 0..1 */
  readonly score: number;
  /** Metrics that are to blame, the worst first. */
  readonly causes: readonly string[];
}

export interface AnomalyModel {
  observe(row: Row): AnomalyReading;
}

export interface FailureReading {
  /** Probability that the entity fails within the horizon. */
  readonly probability: number;
  /** 0..1; at most 0.5 while no failure was ever seen. */
  readonly confidence: number;
  /** What made it, in one word. */
  readonly model: string;
  readonly reasons: readonly RiskReason[];
}

export interface FailureModel extends KeptModel {
  /** @param isFailing the entity is down as we look: nothing of it is a sign of what is to come. */
  observe(row: Row, anomaly: AnomalyReading, isFailing: boolean): FailureReading;
  /** Traffic is being moved because of what it said: its outcomes are censored. */
  setActedUpon(acted: boolean): void;
  /** Somebody says afterwards that a failure began then, wall milliseconds. */
  confirmed(at: number): void;
  /** Every model that is scored, beside the one that speaks. */
  standings(): readonly ModelStanding[];
  /**
   * What should be trained now, for another thread; undefined = nothing is due.
   * @param isDrifted predictions have got worse than they were.
   */
  training(isDrifted: boolean): TrainingJob | undefined;
  /** Takes what was trained. */
  adopt(model: unknown): void;
}

/** How one of several models does. */
export interface ModelStanding {
  readonly model: string;
  /** Over the base rate; undefined before five failures. */
  readonly skill: number | undefined;
  readonly brier: number | undefined;
  /** Failures that were there to be predicted. */
  readonly outcomes: number;
}

export interface OverloadModel extends KeptModel {
  /** @param capacity requests/s, more than 0. @param outlook forecast of the same load. */
  observe(
    load: number,
    capacity: number,
    outlook: LoadOutlook | undefined,
  ): { readonly probability: number; readonly reasons: readonly RiskReason[] };
  /** As of a FailureModel. */
  training(isDrifted: boolean): TrainingJob | undefined;
  adopt(model: unknown): void;
}

/** Plain data for a disposable thread. */
export type TrainingJob =
  | { readonly kind: 'failure'; readonly rows: TrainingRows; readonly champion: BoostedTrees | undefined }
  | { readonly kind: 'overload'; readonly rows: WeightedRows; readonly champion: Float64Array | undefined };

export interface TrainingAnswer {
  /** Brier scores on recent rows; lower is better. */
  readonly challenger: number;
  readonly champion: number | undefined;
  readonly model: unknown;
}

export interface ModelSet {
  readonly demand: DemandModel | undefined;
  readonly anomaly: AnomalyModel | undefined;
  readonly failure: FailureModel | undefined;
  readonly overload: OverloadModel | undefined;
}

export interface Models {
  /** A fresh set for an entity, learnt nothing. */
  create(entity: Entity): ModelSet;
  /**
   * Load of what is made of several slices of demand: the outlook of their sum, each times its share.
   * @param correlation 0..1 of the slices' errors; assumed where it is not known.
   */
  combine(parts: readonly LoadShare[], correlation?: number): LoadOutlook | undefined;
}

export interface LoadShare {
  readonly demand: DemandModel;
  /** 0..1 */
  readonly share: number;
}
