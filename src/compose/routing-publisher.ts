// Keeps configuration, servers, plan and snapshot in step: takes a configuration, makes or keeps the plan,
// assigns slots, and publishes one snapshot input to whoever serves. All or nothing: what cannot be applied
// leaves everything as it was. One per process, on the main thread.

import type { Config } from '../config/schema.ts';
import type { Clock } from '../core/clock.ts';
import type { Random } from '../core/random.ts';
import { ulid } from '../core/ulid.ts';
import type { HealthMonitor, MonitorSettings } from '../health/monitor.ts';
import { haveMoved } from '../health/round-trip.ts';
import { decodeOwners, type Plan } from '../plan/plan.ts';
import type { LoadMeter } from '../region/load-meter.ts';
import type { RegisteredServer, ServerRegistry } from '../region/registry.ts';
import type { SetTable, SnapshotInput } from '../routing/build-snapshot.ts';
import { countMoved } from '../routing/shard-table.ts';
import type { LiveCells } from '../state/live-cells.ts';
import type { SharedTables } from '../state/shared-tables.ts';
import { basePlan } from './base-plan.ts';
import type { ReportedRegions } from './reported-regions.ts';
import { followsEngine, isLedElsewhere, misfit } from './table-requests.ts';

export interface PublisherTools {
  readonly clock: Clock;
  readonly random: Random;
  readonly cells: LiveCells;
  readonly registry: ServerRegistry;
  readonly tables: SharedTables;
  readonly monitor: HealthMonitor;
  readonly meter: LoadMeter;
  readonly reported: ReportedRegions;
}

export interface Published {
  /** With what managers report put in. */
  readonly config: Config;
  readonly plan: Plan;
  readonly input: SnapshotInput;
  /** The plan is this process's, not an engine's. */
  readonly isOwn: boolean;
  /** Share of the key space that changed its owner, over all tables that were there before. */
  readonly movedShare: number;
  readonly movedShards: number;
}

export class RoutingPublisher {
  readonly #tools: PublisherTools;
  readonly #incarnation: string;
  #current: Published | undefined;
  #previousPlan: Plan | undefined;
  #configGeneration = 0;
  /** As the file says it. */
  #configured: Config | undefined;
  #roundTrips: Readonly<Record<string, number>> = {};
  /** An engine's plan, and its instants on our clock. */
  #adopted: Anchored | undefined;

  /** @param previous the plan that was in force before this process, whose tables are moved on. */
  constructor(tools: PublisherTools, previous: Plan | undefined) {
    this.#tools = tools;
    this.#previousPlan = previous;
    // The plan on disk was anchored by a process that is gone: its instants are those of the wall clock.
    if (previous !== undefined) this.#adopted = { plan: previous, toMonotonic: wallClockOf(tools.clock) };
    this.#incarnation = ulid(tools.clock, tools.random);
  }

  get current(): Published {
    if (this.#current === undefined) throw new Error('nothing was published yet');
    return this.#current;
  }

  /** @returns what is to be served now, or a sentence that says why nothing was changed. */
  apply(config: Config): Published | string {
    const result = this.#publish(config, this.#configGeneration + 1);
    if (typeof result !== 'string') {
      this.#configured = config;
      this.#tools.reported.watch(config);
    }
    return result;
  }

  /** Why the plan in force, of an engine elsewhere, could not be followed with this configuration. */
  losesEngine(config: Config | string): string | undefined {
    if (typeof config === 'string' || !isLedElsewhere(config) || this.current.isOwn) return undefined;
    const problem = misfit(this.current.plan, this.#tools.reported.complete(config));
    if (problem === undefined) return undefined;
    return `the engine at pae.source knows the policies of its own file only, and its plan would not fit: ${problem}`;
  }

  /** Serves by an engine's plan from now on, where the configuration says so and the plan fits it. */
  adopt(plan: Plan): Published | string {
    this.#adopted = { plan, toMonotonic: anchorAt(plan, this.#tools.clock) };
    return this.refresh();
  }

  /** The same by a plan that another process has kept on disk. */
  adoptKept(plan: Plan): Published | string {
    this.#adopted = { plan, toMonotonic: wallClockOf(this.#tools.clock) };
    return this.refresh();
  }

  /** Takes over how far regions are. @returns undefined when that is nothing new, or matters to no route. */
  measured(roundTrips: Readonly<Record<string, number>>): Published | string | undefined {
    const isUsed = this.#configured?.routes.some(({ maxAddedLatency }) => maxAddedLatency > 0) ?? false;
    if (!isUsed || !haveMoved(this.#roundTrips, roundTrips)) return undefined;
    this.#roundTrips = roundTrips;
    return this.refresh();
  }

  /** The same configuration with what managers have reported since. */
  refresh(): Published | string {
    if (this.#configured === undefined) return 'nothing was published yet';
    return this.#publish(this.#configured, this.#configGeneration);
  }

  #publish(configured: Config, configGeneration: number): Published | string {
    const { reported } = this.#tools;
    const config = reported.complete(configured);
    const problem = this.#tools.registry.replace(serversOf(config));
    if (problem !== undefined) return problem;
    this.#configGeneration = configGeneration;
    const before = this.#previousPlan;
    const { plan, toMonotonic } = this.#engineOrBase(config);
    this.#previousPlan = plan;
    const input = snapshotInput(config, plan, this.#tools.tables, {
      configGeneration: this.#configGeneration,
      slots: this.#tools.registry.slots(),
      policies: reported.policies(),
      roundTrips: this.#roundTrips,
      toMonotonic,
    });
    this.#watch(config);
    const isOwn = plan.incarnation === this.#incarnation;
    this.#current = { config, plan, input, isOwn, ...movesBetween(before, plan) };
    return this.#current;
  }

  #engineOrBase(config: Config): Anchored {
    const adopted = this.#adopted;
    const follows = followsEngine(config);
    if (follows && adopted !== undefined && misfit(adopted.plan, config) === undefined) return adopted;
    const before = this.#previousPlan;
    const { clock, tables } = this.#tools;
    const stamp = {
      incarnation: this.#incarnation,
      generation: before?.incarnation === this.#incarnation ? before.generation + 1 : 1,
      at: new Date(clock.wallMs()).toISOString(),
    };
    const plan = basePlan(config, { previous: before, keepsWeights: follows }, tables, stamp);
    return { plan, toMonotonic: anchorAt(plan, clock) };
  }

  #watch(config: Config): void {
    const { reported, cells } = this.#tools;
    const policies = reported.policies();
    const entries = this.#tools.registry.entries().map((entry) => ({
      ...entry,
      healthPath: policies[entry.region]?.healthPath || undefined,
      standing: reported.standing(entry.region),
      standsForRegion: reported.has(entry.region),
    }));
    const sorted = [...config.regions].sort((a, b) => (a.id < b.id ? -1 : 1));
    for (const [index, { id }] of sorted.entries()) cells.setReported(index, reported.counts(id));
    this.#tools.monitor.watch(entries, monitorSettings(config));
    const metered = sorted.map((region, index) => ({
      id: region.id,
      index,
      capacity: region.capacity,
      slots: entries.filter((entry) => entry.region === region.id).map((entry) => entry.slot),
    }));
    this.#tools.meter.watch(metered, this.#tools.clock.monotonicMs());
  }
}

interface Anchored {
  readonly plan: Plan;
  /** Wall milliseconds of the plan to monotonic ones of this process. */
  readonly toMonotonic: (wallMs: number) => number;
}

function wallClockOf(clock: Clock): (wallMs: number) => number {
  const offset = clock.monotonicMs() - clock.wallMs();
  return (wallMs) => wallMs + offset;
}

/**
 * The plan's instants on our monotonic clock, anchored at its `now` when it was received: from then on a jump
 * of anybody's wall clock changes nothing.
 */
export function anchorAt(plan: Plan, clock: Clock): (wallMs: number) => number {
  const offset = clock.monotonicMs() - Date.parse(plan.now);
  return (wallMs) => wallMs + offset;
}

/** What workers compile: a configuration with the plan and tables to serve it by. */
export function snapshotInput(
  config: Config,
  plan: Plan,
  tables: SharedTables,
  {
    toMonotonic,
    ...of
  }: Pick<SnapshotInput, 'configGeneration' | 'slots' | 'policies' | 'roundTrips' | 'managerOf'> & {
    toMonotonic(wallMs: number): number;
  },
): SnapshotInput {
  const out = leftOut(config);
  return {
    ...of,
    config,
    plan: {
      incarnation: plan.incarnation,
      generation: plan.generation,
      ttl: plan.ttlSeconds * 1000,
      weights: Object.fromEntries(plan.regions.map(({ id, weight }) => [id, out.has(id) ? 0 : weight])),
      health: Object.fromEntries(plan.regions.map(({ id, healthFactor }) => [id, healthFactor ?? 1])),
      failoverOrder: plan.failoverOrder,
    },
    tables: Object.fromEntries(
      Object.entries(tables.tablesOf(plan, toMonotonic)).map(([key, table]) => [key, without(table, out)]),
    ),
  };
}

function without(table: SetTable, out: ReadonlySet<string>): SetTable {
  if (table.weights === undefined || out.size === 0) return table;
  const weights = Object.entries(table.weights).map(([id, weight]) => [id, out.has(id) ? 0 : weight]);
  return { ...table, weights: Object.fromEntries(weights) };
}

/**
 * A weight of 0 in this process's own configuration wins over a plan. An engine of our own has read it and ramps; one
 * that is elsewhere has a file of its own, which may not say so: then the region is left out here at once.
 */
function leftOut(config: Config): Set<string> {
  if (!isLedElsewhere(config)) return new Set();
  return new Set(config.regions.flatMap(({ id, weight }) => (weight === 0 ? [id] : [])));
}

function serversOf(config: Config): RegisteredServer[] {
  return config.regions.flatMap((region) =>
    (region.servers ?? []).map(({ url }) => ({ id: url, origin: url, region: region.id })),
  );
}

export function monitorSettings({
  health,
  healthCheckInterval,
}: Pick<Config, 'health' | 'healthCheckInterval'>): MonitorSettings {
  return { ...health, interval: healthCheckInterval };
}

function movesBetween(before: Plan | undefined, after: Plan): { movedShare: number; movedShards: number } {
  if (before === undefined || before === after) return { movedShare: 0, movedShards: 0 };
  // Owners are positions in a plan's own regions: translated, so that a new region does not look like a move.
  const position = before.regions.map((region) => after.regions.findIndex((other) => other.id === region.id));
  let shards = 0;
  let moved = 0;
  for (const table of after.tables) {
    const former = before.tables.find((other) => other.id === table.id && other.shards === table.shards);
    if (former === undefined) continue;
    const owners = decodeOwners(former.owners).map((owner) => position[owner] ?? 0xffff);
    moved += countMoved(owners, decodeOwners(table.owners));
    shards += table.shards;
  }
  return { movedShare: shards === 0 ? 0 : moved / shards, movedShards: moved };
}
