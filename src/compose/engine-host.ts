// Gives the engine its life: timers, fetchers, feeds, history and the answers to what is asked of it. The same
// object runs in `foreshard pae` and in the analytics thread of a proxy.

import { join } from 'node:path';
import { Engine } from '../analytics/engine.ts';
import { restoreCalendar, saveCalendar } from '../analytics/engine-state.ts';
import { EventFeeds } from '../analytics/ingest/event-feeds.ts';
import type { Intake } from '../analytics/ingest/intake-count.ts';
import { MetricFetcher, type MetricSource } from '../analytics/ingest/metric-fetcher.ts';
import type { Sample } from '../analytics/ingest/sample.ts';
import { createModels } from '../analytics/model-set.ts';
import { engineGauges } from '../analytics/report.ts';
import type { Row } from '../analytics/series-store.ts';
import type { Config } from '../config/schema.ts';
import type { EngineAnswer, EngineAsk } from '../control/engine-port.ts';
import { systemClock } from '../core/clock.ts';
import type { Plan } from '../plan/plan.ts';
import { type LockResult, tryLockState } from '../state/state-lock.ts';
import type { HistoryValue } from '../state/stores/history-messages.ts';
import { HistoryStore } from '../state/stores/history-store.ts';
import { type Delta, MetricDeltas } from '../telemetry/deltas.ts';
import type { Logger } from '../telemetry/logger.ts';
import { bucketsOf } from '../telemetry/metric-table.ts';
import { BriefText } from './brief-text.ts';
import { CapacityHook } from './capacity-hook.ts';
import { capacityGauges, capacityNow, capacityReport } from './capacity-report.ts';
import { CapacityTrainer } from './capacity-trainer.ts';
import { answerAsk } from './engine-answers.ts';
import { hoursByEntity, rowsOfHistory } from './history-rows.ts';
import { ModelKeeper } from './model-keeper.ts';
import { ModelTrainer } from './model-trainer.ts';
import { answerLimitMs } from './modelled.ts';
import { startShardManager } from './plan-history.ts';
import { PlanSpans } from './plan-spans.ts';
import type { ShardManager } from './shard-manager.ts';
import { Webhook } from './webhook.ts';

export interface HostOptions {
  readonly config: Config;
  /** Folder of the history; the engine's own below state.path. */
  readonly folder: string;
  readonly log: Logger;
  /** Whether a start without a history is refused. */
  readonly needsHistory: boolean;
  /** Plan in force, where another than the kept one is; its tables are moved on. */
  readonly plan?: Plan | undefined;
  /** After every planning round. @param isNew it differs from the one before in more than its stamps. */
  onPlan(plan: Plan, isNew: boolean): void;
  /** What was counted and how things stand, for the process's one registry. */
  onMetrics(deltas: readonly Delta[]): void;
}

// A slot is not longer than this, however rarely weights are evaluated: models learn from rows.
const LONGEST_STEP_MS = 60_000;
const FEED_MS = 60_000;
const PRUNE_MS = 3_600_000;
const REPLAY_MS = 2 * 86_400_000;
const REPLAY_VALUES = 150_000;
const HOURLY_KEYS = ['region/', 'route/', 'group/'];
const HOURS_MS = 42 * 86_400_000;

export class EngineHost {
  readonly engine: Engine;
  readonly config: Config;
  readonly log: Logger;
  readonly history: HistoryStore | undefined;
  readonly planSpans: PlanSpans;
  /** Of GET /risk_scores without a history. */
  readonly riskText = new BriefText(systemClock);
  #shards: ShardManager | undefined;
  readonly #options: HostOptions;
  readonly #lock: LockResult | undefined;
  readonly #counters = new MetricDeltas(bucketsOf);
  readonly #feeds: EventFeeds;
  readonly #trainer: ModelTrainer;
  readonly #keeper: ModelKeeper | undefined;
  readonly #capacity: CapacityTrainer;
  readonly #timers: NodeJS.Timeout[] = [];
  #fetcher: MetricFetcher | undefined;
  #webhook: Webhook | undefined;
  #capacityHook: CapacityHook | undefined;
  #historyLost = 0;
  #before = { nonFinite: 0, modelFailures: 0, clockJumps: 0 };

  /** Resolves when the engine has its past back and evaluates. */
  static async start(options: HostOptions): Promise<EngineHost> {
    const { folder, log, config } = options;
    const lock = tryLockState(folder);
    let history: HistoryStore | undefined;
    if (lock.kind === 'held') {
      const start = {
        path: join(folder, 'history.sqlite'),
        retentionMs: config.pae.retention,
        now: systemClock.wallMs(),
      };
      history = await HistoryStore.open(start, log);
    } else {
      const why = lock.kind === 'busy' ? `state.path: another engine has ${folder}` : lock.why;
      if (options.needsHistory) throw new Error(why);
      log.error({ why }, 'no history is kept');
    }
    const host = new EngineHost(options, history, lock);
    await host.#begin();
    return host;
  }

  private constructor(options: HostOptions, history: HistoryStore | undefined, lock: LockResult) {
    const { config, log } = options;
    this.#options = options;
    this.#lock = lock;
    this.config = config;
    this.log = log;
    this.history = history;
    this.planSpans = this.#newSpans();
    const { evaluateEvery, horizon } = config.pae;
    const stepMs = Math.min(evaluateEvery, LONGEST_STEP_MS);
    const horizonSteps = Math.max(1, Math.round(horizon / stepMs));
    this.engine = new Engine(
      {
        stepMs,
        horizonMs: horizon,
        hourlyMethods: config.pae.forecast.methods,
        regions: config.regions.map(({ id, capacity }) => ({ id, capacity })),
      },
      {
        clock: systemClock,
        log,
        models: createModels({
          stepMs,
          horizonMs: horizon,
          horizonSteps,
          answerLimitMs: answerLimitMs(config),
        }),
        onRow: (row) => this.#keep(row),
        onDrift: (entity, what) => {
          log.info({ entity: entity.key, what }, 'a model drifts, retraining is due');
          this.#trainer.drifted(entity.key);
        },
      },
    );
    this.#trainer = new ModelTrainer({
      engine: this.engine,
      clock: systemClock,
      log,
      onEnd: (result) => this.count('foreshard_trainings_total', [result], 1),
    });
    this.#capacity = new CapacityTrainer({
      engine: this.engine,
      clock: systemClock,
      log,
      onEnd: (result) => this.count('foreshard_capacity_fits_total', [result], 1),
      onReplaced: (count) => this.count('foreshard_forecasts_replaced_total', [], count),
    });
    this.#keeper =
      history === undefined
        ? undefined
        : new ModelKeeper({
            engine: this.engine,
            history,
            clock: systemClock,
            log,
            onUnreadable: () => this.count('foreshard_model_states_unreadable_total', [], 1),
          });
    this.#feeds = this.#newFeeds();
  }

  #newSpans(): PlanSpans {
    return new PlanSpans((result, spans, problem) => {
      this.count('foreshard_spans_total', [result], spans);
      if (problem !== undefined) this.log.debug({ problem }, 'spans of plans could not be exported');
    });
  }

  /** Makes the plans. There from the moment that `start` has resolved. */
  get shards(): ShardManager {
    if (this.#shards === undefined) throw new Error('the engine has not started yet');
    return this.#shards;
  }

  async ask(ask: EngineAsk): Promise<EngineAnswer> {
    const answer = await answerAsk(this, ask);
    // Who has changed something and then asks what holds must not be told what held before.
    if (ask.kind !== 'risk_scores') this.riskText.forget();
    return answer;
  }

  /** Samples from wherever; counted by what became of them. */
  ingest(samples: readonly Sample[], isBackfill = false): Intake {
    if (!isBackfill) this.#shards?.note(samples);
    const intake = isBackfill ? this.engine.backfill(samples) : this.engine.ingest(samples);
    this.count('foreshard_telemetry_samples_total', ['accepted'], intake.accepted);
    for (const [reason, count] of Object.entries(intake.dropped)) {
      this.count('foreshard_telemetry_samples_total', [reason], count);
    }
    return intake;
  }

  count(metric: string, labels: readonly string[], by: number): void {
    if (by > 0) this.#counters.counter(metric, labels).value += by;
  }

  saveCalendar(): void {
    this.history?.save('calendar', systemClock.wallMs(), saveCalendar(this.engine.calendar));
  }

  async stop(): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer);
    this.#fetcher?.close();
    this.#feeds.close();
    this.#shards?.close();
    this.#webhook?.close();
    this.#keeper?.saveAll();
    this.saveCalendar();
    await this.planSpans.close();
    await this.history?.close();
    if (this.#lock?.kind === 'held') this.#lock.release();
  }

  async #begin(): Promise<void> {
    await this.#restore();
    this.#shards = await startShardManager(this, this.#options);
    this.#openCapacityHook();
    await this.#feeds.start(FEED_MS);
    const { stepMs } = this.engine.settings;
    this.#timers.push(setInterval(() => this.#advance(), Math.max(50, Math.min(1000, stepMs / 10))));
    this.#timers.push(setInterval(() => this.history?.prune(systemClock.wallMs()), PRUNE_MS));
    const sources = metricSources(this.config);
    this.#fetcher = new MetricFetcher(sources, Math.max(250, Math.min(15_000, stepMs / 2)), {
      clock: systemClock,
      onSamples: (samples) => this.ingest(samples),
      onResult: (source, result, detail) => {
        this.count('foreshard_scrapes_total', [result], 1);
        if (result !== 'ok') this.log.debug({ source: source.url, result, detail }, 'a source of metrics');
      },
    });
  }

  #newFeeds(): EventFeeds {
    const { config, log, engine } = this;
    return new EventFeeds(
      config.pae.externalEvents.map(({ file, url, kind }) => ({ file, url, kind })),
      {
        clock: systemClock,
        calendar: engine.calendar,
        regions: config.regions.map(({ id, location }) => ({ id, location })),
        onProblem: (feed, problem) => {
          this.count('foreshard_feed_problems_total', [], 1);
          log.warn({ feed: feed.file ?? feed.url, problem }, 'an event feed could not be read');
        },
      },
    );
  }

  /** The state of an earlier process, and its rows lived through again. */
  async #restore(): Promise<void> {
    const { history, engine } = this;
    if (history === undefined) return;
    const calendar = await history.load('calendar');
    if (calendar !== undefined) restoreCalendar(engine.calendar, calendar);
    const from = systemClock.wallMs() - REPLAY_MS;
    await this.#keeper?.resume(
      rowsOfHistory(await history.replay(from, REPLAY_VALUES), engine.settings.stepMs),
    );
    engine.loadHours(hoursByEntity(await history.hours('rps', HOURLY_KEYS, systemClock.wallMs() - HOURS_MS)));
  }

  #openCapacityHook(): void {
    const { capacityHook } = this.config.pae;
    if (capacityHook === undefined) return;
    const onResult = (result: string): void => this.count('foreshard_capacity_hooks_total', [result], 1);
    const { url, signingKey } = capacityHook;
    const webhook = new Webhook({ url, signingKey, log: this.log, onResult });
    this.#webhook = webhook;
    this.#capacityHook = new CapacityHook((message) => webhook.send(message));
  }

  #advance(): void {
    const startMs = systemClock.wallMs();
    const begunAt = systemClock.monotonicMs();
    if (!this.engine.advance()) return;
    this.planSpans.evaluated({ startMs, endMs: startMs + systemClock.monotonicMs() - begunAt });
    this.#shards?.round();
    this.riskText.forget();
    this.#keeper?.saveSome();
    this.#publish();
    this.#trainer.train();
    this.#capacity.train();
  }

  #keep(row: Row): void {
    if (this.history === undefined) return;
    const entity = row.entity.key;
    const values: HistoryValue[] = [...row.values].map(([metric, value]) => ({
      entity,
      metric,
      at: row.at,
      value,
    }));
    if (values.length > 0) this.history.append(values);
  }

  #publish(): void {
    const { counts } = this.engine;
    const now = {
      nonFinite: counts.nonFinite,
      modelFailures: counts.modelFailures,
      clockJumps: counts.clockJumps,
    };
    this.count('foreshard_forecasts_replaced_total', [], now.nonFinite - this.#before.nonFinite);
    this.count('foreshard_model_failures_total', [], now.modelFailures - this.#before.modelFailures);
    this.count('foreshard_clock_jumps_total', [], now.clockJumps - this.#before.clockJumps);
    this.#before = now;
    if (this.history !== undefined) {
      this.count('foreshard_history_lost_total', [], this.history.lost - this.#historyLost);
      this.#historyLost = this.history.lost;
      this.#keepRisk();
    }
    const capacity = capacityNow(this.engine, this.shards);
    this.#capacityHook?.offer(capacity, systemClock.monotonicMs(), () =>
      capacityReport(this.engine, this.shards, systemClock.wallMs()),
    );
    const gauges = [...engineGauges(this.engine), ...capacityGauges(capacity)];
    this.#options.onMetrics([...this.#counters.take(), ...gauges]);
  }

  /** What was said goes into the history beside what was measured: /risk_scores?history= shows both. */
  #keepRisk(): void {
    const values: HistoryValue[] = [];
    for (const { entity, risk, load, assessedAt: at } of this.engine.watches()) {
      if (entity.kind !== 'region' || risk === undefined || at === undefined) continue;
      values.push({ entity: entity.key, metric: 'engine.risk', at, value: risk.risk });
      values.push({ entity: entity.key, metric: 'engine.failure', at, value: risk.failureProbability });
      if (load !== undefined) values.push({ entity: entity.key, metric: 'engine.load', at, value: load.p50 });
    }
    this.history?.append(values);
  }
}

function metricSources(config: Config): MetricSource[] {
  const configured = config.pae.metrics.map((source): MetricSource => {
    if (source.prometheus !== undefined) {
      return { kind: 'prometheus', url: source.prometheus, queries: source.queries! };
    }
    return { kind: 'scrape', url: source.scrape!, region: source.region!, server: source.server };
  });
  const servers = config.regions.flatMap((region) =>
    (region.servers ?? []).flatMap(({ url, metrics }): MetricSource[] =>
      metrics === undefined ? [] : [{ kind: 'scrape', url: metrics, region: region.id, server: url }],
    ),
  );
  return [...configured, ...servers];
}
