// A proxy without sockets: it follows the plans of an engine by the production path, has a clock of its own, and
// decides requests.

import { PlanFollower } from '../../src/compose/plan-follower.ts';
import { anchorAt, snapshotInput } from '../../src/compose/routing-publisher.ts';
import { type Config, configSchema } from '../../src/config/schema.ts';
import type { Plan } from '../../src/plan/plan.ts';
import { buildSnapshotAtOnce } from '../../src/routing/build-snapshot.ts';
import { decide, type Forward } from '../../src/routing/decide.ts';
import type { Snapshot } from '../../src/routing/snapshot.ts';
import { LiveCells } from '../../src/state/live-cells.ts';
import { buildLiveView } from '../../src/state/live-view.ts';
import { SharedTables } from '../../src/state/shared-tables.ts';
import type { Logger } from '../../src/telemetry/logger.ts';
import type { MetricsRegistry } from '../../src/telemetry/registry.ts';
import { HandClock } from './clock.ts';
import { contextOf, factsOf } from './world.ts';

const tables = new SharedTables();

export interface ServingOptions {
  readonly ids?: readonly string[];
  readonly shards?: number;
  readonly pae?: Record<string, unknown>;
  /** What its clocks show at the start. */
  readonly monotonicMs?: number;
  readonly wallMs: number;
}

export class ServingProxy {
  readonly clock: HandClock;
  readonly cells = new LiveCells(1);
  readonly follower: PlanFollower;
  readonly told: string[] = [];
  readonly counted: string[] = [];
  config: Config;
  plan: Plan | undefined;
  #snapshot: Snapshot | undefined;

  constructor({ ids = ['a', 'b', 'c'], shards = 256, pae = {}, monotonicMs = 1e6, wallMs }: ServingOptions) {
    this.clock = new HandClock(monotonicMs, wallMs);
    this.config = configSchema.parse({
      listen: [{ address: '127.0.0.1:0' }],
      sharding: { shards },
      pae: { mode: 'auto', ...pae },
      regions: ids.map((id, i) => ({ id, servers: [`http://10.0.${i}.1:80`] })),
      routes: [{ id: 'all', key: { from: [{ header: 'x-user-id' }] } }],
    });
    for (const slot of ids.keys()) this.cells.resetSlot(slot);
    const tell = (fields: object, message: string): void => {
      const { problem } = fields as { problem?: string };
      this.told.push(problem === undefined ? message : `${message}: ${problem}`);
    };
    this.follower = new PlanFollower({
      clock: this.clock,
      cells: this.cells,
      metrics: {
        add: (name: string, labels: readonly string[]) => void this.counted.push([name, ...labels].join(' ')),
      } as unknown as MetricsRegistry,
      log: { info: tell, error: tell } as unknown as Logger,
      config: () => this.config,
      adopt: (plan) => this.#adopt(plan),
    });
    this.follower.reload(this.config);
  }

  #adopt(plan: Plan): void {
    this.plan = plan;
    const slots = Object.fromEntries(
      this.config.regions.map(({ servers }, slot) => [servers![0]!.url, { slot, incarnation: 1 }]),
    );
    this.#snapshot = buildSnapshotAtOnce(
      snapshotInput(this.config, plan, tables, {
        configGeneration: 1,
        slots,
        policies: {},
        roundTrips: {},
        toMonotonic: anchorAt(plan, this.clock),
      }),
    );
  }

  /** An engine's answer, that long after its evaluation. */
  hear(plan: Plan, ageMs = 0): void {
    const now = new Date(Date.parse(plan.evaluatedAt) + ageMs).toISOString();
    this.follower.offer(JSON.parse(JSON.stringify({ ...plan, now })), ageMs);
  }

  pass(ms: number): void {
    this.clock.pass(ms);
    this.follower.tick();
  }

  /** Ids of the regions that serve these keys now. */
  serve(keys: readonly string[]): string[] {
    const snapshot = this.#snapshot!;
    const live = buildLiveView(snapshot, this.cells, this.cells.version);
    const context = contextOf({ now: () => this.clock.monotonicMs() });
    return keys.map((key) => {
      const decision = decide(snapshot, live, factsOf({ fields: ['x-user-id', key] }), context) as Forward;
      return snapshot.regions[decision.region]!.id;
    });
  }
}
