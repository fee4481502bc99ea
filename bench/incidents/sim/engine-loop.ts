// The engine and the shard manager of the product under virtual time. The only file of the simulator that knows them.
// Training in the background is left out: it takes a thread of its own, and a run would no longer be its seed.

import { Engine } from '../../../src/analytics/engine.ts';
import type { EntityWatch } from '../../../src/analytics/entity-watch.ts';
import { readICalendar } from '../../../src/analytics/ingest/icalendar.ts';
import { readDocuments } from '../../../src/analytics/ingest/telemetry-document.ts';
import { createModels } from '../../../src/analytics/model-set.ts';
import { answerLimitMs } from '../../../src/compose/modelled.ts';
import { ShardManager } from '../../../src/compose/shard-manager.ts';
import { PROXY_DOCUMENT } from '../../../src/config/document.ts';
import { loadConfig } from '../../../src/config/load.ts';
import type { Config } from '../../../src/config/schema.ts';
import type { Clock } from '../../../src/core/clock.ts';
import type { Plan } from '../../../src/plan/plan.ts';
import type { Logger } from '../../../src/telemetry/logger.ts';

const SILENT: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  setLevel: () => undefined,
  flush: async () => undefined,
};

/** A ULID; virtual engines need not be told apart. */
const INCARNATION = '01J00000000000000000000000';

export type RegionRisk = NonNullable<EntityWatch['risk']>;

/** What was predicted for each region at an evaluation. */
export type RiskRecord = ReadonlyMap<string, RegionRisk>;

export interface EngineLoopOptions {
  readonly config: Config;
  readonly clock: Clock;
  /** Instead of what the engine predicts now; the engine itself goes on unharmed. Undefined = the engine's own. */
  predictionAt(evaluation: number): RiskRecord | undefined;
  onMoves(moves: Readonly<Record<string, number>>): void;
}

/** Reads a configuration as the proxy would. Throws when it is refused. */
export function configOf(document: object): Config {
  const loaded = loadConfig({ path: 'proxy.yaml', text: JSON.stringify(document), env: {} }, PROXY_DOCUMENT);
  if (loaded.ok) return loaded.config as Config;
  throw new Error(loaded.problems.map(({ message }) => message).join('; '));
}

export class EngineLoop {
  readonly engine: Engine;
  readonly #options: EngineLoopOptions;
  readonly #manager: ShardManager;
  /** What was predicted, evaluation by evaluation. */
  readonly predicted: RiskRecord[] = [];

  constructor(options: EngineLoopOptions) {
    const { config, clock } = options;
    this.#options = options;
    const { evaluateEvery: stepMs, horizon: horizonMs } = config.pae;
    const horizonSteps = Math.max(1, Math.round(horizonMs / stepMs));
    this.engine = new Engine(
      {
        stepMs,
        horizonMs,
        hourlyMethods: ['ar'],
        regions: config.regions.map(({ id, capacity }) => ({ id, capacity })),
      },
      {
        clock,
        log: SILENT,
        models: createModels({ stepMs, horizonMs, horizonSteps, answerLimitMs: answerLimitMs(config) }),
        onRow: () => undefined,
        onDrift: () => undefined,
      },
    );
    this.#manager = new ShardManager(
      config,
      {
        engine: withPredictions(this.engine, () => options.predictionAt(this.predicted.length - 1)),
        clock,
        log: SILENT,
        incarnation: INCARNATION,
        onPlan: () => undefined,
        count: (metric, labels, by) => {
          if (metric === 'foreshard_shard_moves_total') options.onMoves({ [labels[0]!]: by });
        },
      },
      undefined,
      { frozen: false },
    );
    this.#manager.round();
  }

  get plan(): Plan | undefined {
    return this.#manager.plan;
  }

  /** Weights with what each step made of them; for those who look into a run. */
  get round(): ShardManager['last'] {
    return this.#manager.last;
  }

  announce(calendar: string, from: number): void {
    const regions = this.#options.config.regions.map(({ id }) => id);
    const reading = readICalendar(calendar, { kind: 'maintenance', regions, from, to: from + 86_400_000 });
    if (reading.ok) this.engine.calendar.setFeed('maintenance.ics', reading.events);
  }

  /** Documents as a proxy posts them. @param isBackfill rows of the past. */
  take(documents: readonly object[], isBackfill = false): void {
    const read = readDocuments(documents);
    if (!read.ok) throw new Error(`the engine refuses ${read.path}: ${read.problem}`);
    if (isBackfill) this.engine.backfill(read.samples);
    else {
      this.#manager.note(read.samples);
      this.engine.ingest(read.samples);
    }
  }

  /** Requests per shard since the last call. */
  takeCounts(set: string, seconds: number, counts: Uint32Array): void {
    this.#manager.takeCounts({ proxy: 'sim', seconds, tables: [[set, counts]] });
  }

  /** To be called several times a step, as the product does. */
  turn(): void {
    if (!this.engine.advance()) return;
    const now = new Map<string, RegionRisk>();
    for (const { entity, risk } of this.engine.watches()) {
      if (entity.kind === 'region' && risk !== undefined) now.set(entity.id, risk);
    }
    this.predicted.push(now);
    this.#manager.round();
  }
}

/** The engine with other predictions. What it sees failing now is no prediction and stays. */
function withPredictions(engine: Engine, other: () => RiskRecord | undefined): Engine {
  const watches = function* (): Generator<EntityWatch> {
    const record = other();
    for (const watch of engine.watches()) {
      const risk = watch.entity.kind === 'region' ? record?.get(watch.entity.id) : undefined;
      const isFailing =
        watch.outcome.since.failure !== undefined || watch.outcome.since.overload !== undefined;
      if (risk === undefined || isFailing) yield watch;
      else yield Object.assign(Object.create(watch) as EntityWatch, { risk });
    }
  };
  return new Proxy(engine, {
    get(target, name): unknown {
      if (name === 'watches') return watches;
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}
