// The engine's side of a proxy process: an analytics thread when it is embedded, the feed of measurements in
// either case, nothing when pae.mode is off. Begun anew when a reload changes what models belong to.

import { isDeepStrictEqual } from 'node:util';
import type { Config } from '../config/schema.ts';
import type { EnginePort } from '../control/engine-port.ts';
import type { HealthMonitor } from '../health/monitor.ts';
import type { Plan } from '../plan/plan.ts';
import type { LoadReport } from '../proxy/load-reports.ts';
import type { LiveCells } from '../state/live-cells.ts';
import type { ServedReport } from '../state/served-tally.ts';
import type { Delta } from '../telemetry/deltas.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { MetricsRegistry } from '../telemetry/registry.ts';
import { EmbeddedEngine } from './embedded-engine.ts';
import { EngineFeed } from './engine-feed.ts';
import { modelled } from './modelled.ts';
import { type MeasuredSite, OwnMeasurements } from './own-measurements.ts';
import { engineFolder } from './pae.ts';
import { PlanPuller } from './plan-puller.ts';
import { followsEngine } from './table-requests.ts';

export interface ProxyEngineParts {
  readonly cells: LiveCells;
  readonly monitor: HealthMonitor;
  readonly metrics: MetricsRegistry;
  readonly log: Logger;
  readonly pseudonym: string;
  site(): MeasuredSite;
  flush(): Promise<void>;
  /** In force now. */
  plan(): Plan;
  /** `incarnation.generation` of the last plan of this source that was taken; undefined = none. */
  knownPlan(): string | undefined;
  /** An engine offers a plan. @param ageMs since it was evaluated. */
  onPlan(document: unknown, ageMs: number): void;
  /** The engine says that its plan stays. */
  onUnchanged(ageMs: number): void;
}

export class ProxyEngine {
  readonly #parts: ProxyEngineParts;
  readonly #measurements: OwnMeasurements;
  #config: Config;
  #embedded: EmbeddedEngine | undefined;
  #feed: EngineFeed | undefined;
  #puller: PlanPuller | undefined;

  constructor(config: Config, parts: ProxyEngineParts) {
    this.#config = config;
    this.#parts = parts;
    this.#measurements = new OwnMeasurements(parts.cells, parts.monitor, parts.pseudonym);
    this.#start();
  }

  get port(): EnginePort | undefined {
    return this.#embedded;
  }

  /** The workers' counts, on their way into the registry. */
  apply(deltas: readonly Delta[], reports: readonly LoadReport[], served: ServedReport): void {
    this.#measurements.apply(deltas, reports, served);
  }

  /** Something happened that an engine should know at once. */
  hurry(): void {
    this.#feed?.hurry();
  }

  async reload(config: Config): Promise<void> {
    const before = this.#config;
    this.#config = config;
    if (isDeepStrictEqual(modelled(before), modelled(config))) {
      this.#embedded?.reload(config);
      return;
    }
    await this.stop();
    this.#start();
  }

  async stop(): Promise<void> {
    this.#puller?.close();
    this.#puller = undefined;
    this.#feed?.close();
    this.#feed = undefined;
    const embedded = this.#embedded;
    this.#embedded = undefined;
    await embedded?.stop();
  }

  #start(): void {
    const config = this.#config;
    if (config.pae.mode === 'off') return;
    const { log, metrics, site, flush } = this.#parts;
    if (config.pae.source === 'embedded') {
      this.#embedded = new EmbeddedEngine({
        start: () => ({
          config: this.#config,
          folder: engineFolder(this.#config),
          logLevel: this.#config.log.level,
          plan: this.#parts.plan(),
        }),
        log,
        onDeltas: (deltas) => metrics.apply(deltas),
        onPlan: (plan) => this.#parts.onPlan(plan, 0),
        onEvaluated: () => this.#parts.onUnchanged(0),
        onRestart: () => metrics.add('foreshard_engine_restarts_total', [], 1),
      });
    } else if (followsEngine(config)) {
      const { source, token } = config.pae;
      this.#puller = new PlanPuller({
        source,
        token,
        interval: config.paeUpdateInterval,
        log,
        known: () => this.#parts.knownPlan(),
        onPlan: (document, ageMs) => this.#parts.onPlan(document, ageMs),
        onUnchanged: (ageMs) => this.#parts.onUnchanged(ageMs),
        onResult: (result) => metrics.add('foreshard_plan_pulls_total', [result], 1),
      });
    }
    this.#feed = new EngineFeed({
      config,
      measurements: this.#measurements,
      engine: this.#embedded,
      log,
      site,
      flush,
      onPosted: (result) => metrics.add('foreshard_telemetry_posts_total', [result], 1),
    });
  }
}
