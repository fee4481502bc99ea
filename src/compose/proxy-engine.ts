// The engine's side of a proxy process: an analytics thread when it is embedded, the feed of measurements in
// either case, nothing when pae.mode is off. Begun anew when a reload changes what models belong to.

import { isDeepStrictEqual } from 'node:util';
import type { Config } from '../config/schema.ts';
import type { EnginePort } from '../control/engine-port.ts';
import type { HealthMonitor } from '../health/monitor.ts';
import type { Plan } from '../plan/plan.ts';
import type { LoadReport } from '../proxy/load-reports.ts';
import type { LiveCells } from '../state/live-cells.ts';
import type { Delta } from '../telemetry/deltas.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { MetricsRegistry } from '../telemetry/registry.ts';
import { EmbeddedEngine } from './embedded-engine.ts';
import { EngineFeed, ownershipOf } from './engine-feed.ts';
import { type MeasuredServer, OwnMeasurements } from './own-measurements.ts';
import { engineFolder } from './pae.ts';

export interface ProxyEngineParts {
  readonly cells: LiveCells;
  readonly monitor: HealthMonitor;
  readonly metrics: MetricsRegistry;
  readonly log: Logger;
  readonly pseudonym: string;
  servers(): readonly MeasuredServer[];
  flush(): Promise<void>;
}

export class ProxyEngine {
  readonly #parts: ProxyEngineParts;
  readonly #measurements: OwnMeasurements;
  #config: Config;
  #embedded: EmbeddedEngine | undefined;
  #feed: EngineFeed | undefined;

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
  apply(deltas: readonly Delta[], reports: readonly LoadReport[]): void {
    this.#measurements.apply(deltas, reports);
  }

  published(plan: Plan): void {
    this.#embedded?.setOwnership(ownershipOf(plan));
  }

  async reload(config: Config): Promise<void> {
    const before = this.#config;
    this.#config = config;
    if (isDeepStrictEqual(modelled(before), modelled(config))) return;
    await this.stop();
    this.#start();
  }

  async stop(): Promise<void> {
    this.#feed?.close();
    this.#feed = undefined;
    const embedded = this.#embedded;
    this.#embedded = undefined;
    await embedded?.stop();
  }

  #start(): void {
    const config = this.#config;
    if (config.pae.mode === 'off') return;
    const { log, metrics, servers, flush } = this.#parts;
    if (config.pae.source === 'embedded') {
      this.#embedded = new EmbeddedEngine({
        start: { config, folder: engineFolder(config), logLevel: config.log.level },
        log,
        onDeltas: (deltas) => metrics.apply(deltas),
        onRestart: () => metrics.add('foreshard_engine_restarts_total', [], 1),
      });
    }
    this.#feed = new EngineFeed({
      config,
      measurements: this.#measurements,
      engine: this.#embedded,
      log,
      servers,
      flush,
      onPosted: (result) => metrics.add('foreshard_telemetry_posts_total', [result], 1),
    });
  }
}

/** What an engine is started with; anything else may change without it. */
function modelled({ pae, regions, state, log }: Config): object {
  return { pae, regions, path: state.path, level: log.level };
}
