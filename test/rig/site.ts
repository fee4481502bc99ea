// A site for the engine with time by hand: two regions, slots of 30 s, rows as a test gives them.

import { Engine } from '../../src/analytics/engine.ts';
import type { EntityWatch } from '../../src/analytics/entity-watch.ts';
import { type Entity, regionEntity, type Sample, serverEntity } from '../../src/analytics/ingest/sample.ts';
import { createModels } from '../../src/analytics/model-set.ts';
import type { Row } from '../../src/analytics/series-store.ts';
import type { Logger } from '../../src/telemetry/logger.ts';
import { HandClock } from './clock.ts';

export const STEP = 30_000;
const HORIZON = 300_000;
export const MINUTE = 60_000;
const SILENT: Logger = {
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: () => {},
  setLevel: () => {},
  flush: async () => {},
};

export interface Site {
  readonly engine: Engine;
  readonly clock: HandClock;
  readonly rows: Row[];
  readonly drifts: string[];
  /** One slot: samples, then its evaluation. */
  step(values: readonly (readonly [Entity, Readonly<Record<string, number>>])[]): void;
}

export function startSite(capacity?: number): Site {
  const clock = new HandClock(0, Date.UTC(2026, 0, 5));
  const rows: Row[] = [];
  const drifts: string[] = [];
  const engine = new Engine(
    {
      stepMs: STEP,
      horizonMs: HORIZON,
      hourlyMethods: ['ar'],
      regions: [
        { id: 'a', capacity },
        { id: 'b', capacity: undefined },
      ],
    },
    {
      clock,
      log: SILENT,
      models: createModels({ stepMs: STEP, horizonMs: HORIZON, horizonSteps: HORIZON / STEP }),
      onRow: (row) => rows.push(row),
      onDrift: (entity) => drifts.push(entity.key),
    },
  );
  const step: Site['step'] = (values) => {
    const at = clock.wallMs() + STEP / 2;
    const samples = values.flatMap(([entity, metrics]) =>
      Object.entries(metrics).map(([metric, value]): Sample => ({ entity, metric, value, at, source: '' })),
    );
    engine.ingest(samples);
    // To the end of the slot and its grace, then back onto the grid.
    clock.pass(STEP + 6000);
    engine.advance();
    clock.pass(STEP - 6000 - STEP);
  };
  return { engine, clock, rows, drifts, step };
}

export const region = regionEntity('a');
export const server = serverEntity('a', 'http://a1');
export const healthy = { healthy_share: 1, error_rate: 0 };

export function watchOf(site: Site, key: string): EntityWatch {
  return [...site.engine.watches()].find(({ entity }) => entity.key === key)!;
}
