// Failure prediction of one entity as the walk wants it. FailurePredictor has fixed columns, an entity's metrics
// come as they come: the columns are those of the first rows, and when new ones appear the predictor is made
// anew and lives through the kept rows again.

import type { BoostedTrees } from './failure/boosted-trees.ts';
import { FailurePredictor } from './failure/failure-predictor.ts';
import { PooledShare } from './failure/pooled-share.ts';
import type { AnomalyReading, FailureModel, FailureReading, TrainingJob } from './models.ts';
import type { Row } from './series-store.ts';
import type { StateReader } from './state-reader.ts';

/** A row as a predictor sees it. */
interface Seen {
  readonly at: number;
  readonly isFailing: boolean;
  /** By the columns of that time; later ones were not measured then. */
  readonly values: Float64Array;
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
  readonly #answerLimitMs: number | undefined;
  readonly #seen: Seen[] = [];
  readonly #errors = new PooledShare();
  #lastAt = Number.NaN;
  #metrics: readonly string[] = [];
  #predictor: FailurePredictor | undefined;
  #trees: BoostedTrees | undefined;
  #rebuilds = 0;
  #acted = false;

  /** @param answerLimitMs a latency at which every client has given up. */
  constructor(horizonMs: number, answerLimitMs?: number) {
    this.#horizonMs = horizonMs;
    this.#answerLimitMs = answerLimitMs;
  }

  observe(row: Row, _anomaly: AnomalyReading, isFailing: boolean): FailureReading {
    const isNew = this.#noteMetrics(row);
    const errors = this.#errorShareOf(row);
    const values = Float64Array.from(this.#metrics, (metric) =>
      metric === 'error_rate' ? errors : (row.values.get(metric) ?? Number.NaN),
    );
    const seen = { at: row.at, isFailing, values };
    this.#remember(seen);
    if (isNew) this.#rebuild();
    else this.#push(seen);
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
      metrics: metrics.map((name) => ({ name, limit: this.#limitOf(name) })),
      horizonMs: this.#horizonMs,
    });
    predictor.setActedUpon(this.#acted);
    return predictor;
  }

  #errorShareOf(row: Row): number {
    const share = row.values.get('error_rate') ?? Number.NaN;
    const rps = row.values.get('rps');
    const seconds = (row.at - this.#lastAt) / 1000;
    this.#lastAt = row.at;
    // Whoever tells no rate is believed.
    return rps === undefined || Number.isNaN(seconds) ? share : this.#errors.take(share, rps * seconds);
  }

  /** One answer in a hundred that is given up is a tail; one in ten is a failure (FAILING_ERROR_RATE). */
  #limitOf(name: string): number | undefined {
    return /^latency_ms(\.(mean|p50|p90))?$/.test(name) ? this.#answerLimitMs : undefined;
  }

  #push({ at, isFailing, values }: Seen): void {
    this.#predictor?.push(at, values);
    this.#predictor?.outcome(at, isFailing);
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
