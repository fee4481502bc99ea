// Failure prediction of one entity as the walk wants it. FailurePredictor has fixed columns, an entity's metrics
// come as they come: the columns are those of the first rows, and when new ones appear the predictor is made
// anew and lives through the kept rows again.

import type { BoostedTrees } from './failure/boosted-trees.ts';
import { FailurePredictor } from './failure/failure-predictor.ts';
import type { AnomalyReading, FailureModel, FailureReading, TrainingJob } from './models.ts';
import type { Row } from './series-store.ts';
import type { StateReader } from './state-reader.ts';

interface Seen {
  readonly row: Row;
  readonly isFailing: boolean;
}

const MAX_METRICS = 16;
// Rows that a new predictor lives through; metrics hardly ever appear later than that after a start.
const KEPT_ROWS = 240;
const MAX_REBUILDS = 8;

// What says that an entity has failed or how large it is foretells nothing.
const NOT_FEATURES = new Set(['up', 'registered', 'healthy', 'capacity']);

const NOTHING_SEEN: FailureReading = { probability: 0, confidence: 0, model: 'none', reasons: [] };

export class FailureWatch implements FailureModel {
  readonly #horizonMs: number;
  readonly #seen: Seen[] = [];
  #metrics: readonly string[] = [];
  #predictor: FailurePredictor | undefined;
  #trees: BoostedTrees | undefined;
  #rebuilds = 0;
  #acted = false;

  constructor(horizonMs: number) {
    this.#horizonMs = horizonMs;
  }

  observe(row: Row, _anomaly: AnomalyReading, isFailing: boolean): FailureReading {
    this.#remember({ row, isFailing });
    const isNew = this.#noteMetrics(row);
    if (isNew) this.#rebuild();
    else this.#push({ row, isFailing });
    if (this.#predictor === undefined) return NOTHING_SEEN;
    const { probability, confidence, model, reasons } = this.#predictor.predict();
    return {
      probability,
      confidence,
      model,
      reasons: reasons.map((text) => ({ text, weight: model === 'base_rate' ? 0 : probability })),
    };
  }

  setActedUpon(acted: boolean): void {
    this.#acted = acted;
    this.#predictor?.setActedUpon(acted);
  }

  training(): TrainingJob | undefined {
    const rows = this.#predictor?.trainingRows();
    return rows === undefined ? undefined : { kind: 'failure', rows, champion: this.#trees };
  }

  adopt(model: unknown): void {
    this.#trees = model as BoostedTrees;
    this.#predictor?.adopt(this.#trees);
  }

  state(): object | undefined {
    if (this.#predictor === undefined) return undefined;
    return { metrics: this.#metrics, predictor: this.#predictor.state() };
  }

  restore(state: StateReader): void {
    const metrics = state.texts('metrics', MAX_METRICS);
    const predictor = this.#newPredictor(metrics);
    predictor.restore(state.at('predictor'));
    this.#metrics = metrics;
    this.#predictor = predictor;
    this.#trees = predictor.trees;
  }

  #newPredictor(metrics: readonly string[]): FailurePredictor {
    const predictor = new FailurePredictor({
      metrics: metrics.map((name) => ({ name })),
      horizonMs: this.#horizonMs,
    });
    predictor.setActedUpon(this.#acted);
    return predictor;
  }

  #push({ row, isFailing }: Seen): void {
    const values = this.#metrics.map((metric) => row.values.get(metric) ?? Number.NaN);
    this.#predictor?.push(row.at, values);
    this.#predictor?.outcome(row.at, isFailing);
  }

  #remember(seen: Seen): void {
    if (this.#seen.length >= KEPT_ROWS) this.#seen.shift();
    this.#seen.push(seen);
  }

  /** @returns whether the row brought a metric that deserves a column. */
  #noteMetrics(row: Row): boolean {
    if (this.#rebuilds >= MAX_REBUILDS) return false;
    const fresh = [...row.values.keys()].filter(
      (metric) => !NOT_FEATURES.has(metric) && !this.#metrics.includes(metric),
    );
    const room = MAX_METRICS - this.#metrics.length;
    if (fresh.length === 0 || room === 0) return false;
    this.#metrics = [...this.#metrics, ...fresh.slice(0, room)];
    return true;
  }

  #rebuild(): void {
    this.#rebuilds += 1;
    this.#predictor = this.#newPredictor(this.#metrics);
    // Trees split on columns that are no longer the same.
    this.#trees = undefined;
    for (const seen of this.#seen) {
      this.#push(seen);
      if (seen !== this.#seen.at(-1)) this.#predictor.predict();
    }
  }
}
