// Failure prediction of one entity as the walk wants it. FailurePredictor has fixed columns, an entity's metrics
// come as they come: a metric that appears gets a column of its own, and core metrics find one whatever else was
// there first. Time only goes on for the predictor, also where the wall clock was set back.

import type { BoostedTrees } from './failure/boosted-trees.ts';
import { FailurePredictor, type MetricSpec } from './failure/failure-predictor.ts';
import { PooledShare } from './failure/pooled-share.ts';
import { coreFirst, isCoreMetric } from './ingest/sample.ts';
import type { AnomalyReading, FailureModel, FailureReading, ModelStanding, TrainingJob } from './models.ts';
import type { Row } from './series-store.ts';
import { packNumbers, type StateReader } from './state-reader.ts';

const MAX_METRICS = 16;
const DAY_MS = 86_400_000;

// What says that an entity has failed or how large it is foretells nothing.
const NOT_FEATURES = new Set(['up', 'registered', 'healthy', 'capacity']);

const NOTHING_SEEN: FailureReading = { probability: 0, confidence: 0, model: 'none', reasons: [] };

export class FailureWatch implements FailureModel {
  readonly #horizonMs: number;
  readonly #answerLimitMs: number | undefined;
  readonly #errors = new PooledShare();
  #metrics: readonly string[] = [];
  #predictor: FailurePredictor | undefined;
  #acted = false;
  #lastAt = Number.NEGATIVE_INFINITY;
  /** What is added to the wall clock, so that it never goes back: whole days, for the time of day is learnt from. */
  #shiftMs = 0;

  /** @param answerLimitMs a latency at which every client has given up. */
  constructor(horizonMs: number, answerLimitMs?: number) {
    this.#horizonMs = horizonMs;
    this.#answerLimitMs = answerLimitMs;
  }

  observe(row: Row, _anomaly: AnomalyReading, isFailing: boolean): FailureReading {
    this.#noteMetrics(row);
    const before = this.#lastAt;
    const at = this.#timeOf(row.at);
    if (this.#predictor === undefined) return NOTHING_SEEN;
    const errors = this.#errorShareOf(row, at - before);
    const measured = (metric: string): number =>
      metric === 'error_rate' ? errors : (row.values.get(metric) ?? Number.NaN);
    this.#predictor.push(at, Float64Array.from(this.#metrics, measured));
    this.#predictor.outcome(at, isFailing);
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

  confirmed(at: number): void {
    this.#predictor?.confirmed(at + this.#shiftMs);
  }

  standings(): readonly ModelStanding[] {
    const predictor = this.#predictor;
    if (predictor === undefined) return [];
    return predictor
      .skills()
      .map(({ skill, ...score }) => ({ ...score, skill: predictor.isJudged ? skill : undefined }));
  }

  training(isDrifted: boolean): TrainingJob | undefined {
    const rows = this.#predictor?.trainingRows(isDrifted);
    return rows === undefined ? undefined : { kind: 'failure', rows, champion: this.#predictor?.trees };
  }

  adopt(model: unknown): void {
    this.#predictor?.adopt(model as BoostedTrees);
  }

  state(): object | undefined {
    if (this.#predictor === undefined) return undefined;
    const clock = packNumbers([this.#lastAt, this.#shiftMs]);
    return { metrics: this.#metrics, predictor: this.#predictor.state(), clock };
  }

  restore(state: StateReader): void {
    const metrics = state.texts('metrics', MAX_METRICS);
    const predictor = this.#newPredictor(metrics);
    predictor.restore(state.at('predictor'));
    const [lastAt = Number.NEGATIVE_INFINITY, shiftMs = 0] = state.numbers('clock', 2);
    this.#metrics = metrics;
    this.#predictor = predictor;
    this.#lastAt = lastAt;
    this.#shiftMs = shiftMs;
  }

  #newPredictor(metrics: readonly string[]): FailurePredictor {
    const predictor = new FailurePredictor({
      metrics: metrics.map(this.#specOf),
      horizonMs: this.#horizonMs,
    });
    predictor.setActedUpon(this.#acted);
    return predictor;
  }

  #errorShareOf({ values }: Row, elapsedMs: number): number {
    const share = values.get('error_rate') ?? Number.NaN;
    const rps = values.get('rps');
    // Whoever tells no rate is believed.
    if (rps === undefined || !Number.isFinite(elapsedMs)) return share;
    return this.#errors.take(share, (rps * elapsedMs) / 1000);
  }

  /** One answer in a hundred that is given up is a tail; one in ten is a failure (FAILING_ERROR_RATE). */
  #specOf = (name: string): MetricSpec => ({
    name,
    limit: /^latency_ms(\.(mean|p50|p90))?$/.test(name) ? this.#answerLimitMs : undefined,
  });

  #timeOf(at: number): number {
    const behind = this.#lastAt - (at + this.#shiftMs);
    // Less is waited for: rows of a moment that was lived through already are left out.
    if (behind > this.#horizonMs) this.#shiftMs += Math.ceil((behind + 1) / DAY_MS) * DAY_MS;
    const time = at + this.#shiftMs;
    this.#lastAt = Math.max(this.#lastAt, time);
    return time;
  }

  #noteMetrics(row: Row): void {
    const metrics = [...this.#metrics];
    for (const metric of coreFirst(row.values.keys())) {
      if (NOT_FEATURES.has(metric) || metrics.includes(metric)) continue;
      if (metrics.length < MAX_METRICS) metrics.push(metric);
      else if (isCoreMetric(metric)) {
        // It takes the column of one that says less.
        const taken = metrics.findLastIndex((other) => !isCoreMetric(other));
        if (taken !== -1) metrics[taken] = metric;
      }
    }
    if (metrics.length > 0) this.#predictor ??= this.#newPredictor(this.#metrics);
    if (metrics.every((metric, i) => metric === this.#metrics[i])) return;
    const from = metrics.map((metric) => this.#metrics.indexOf(metric));
    this.#predictor?.reshape(metrics.map(this.#specOf), from);
    this.#metrics = metrics;
  }
}
