// What a plan costs where it is made, and how long it holds up a worker that begins to serve by it.

import { anchorAt, snapshotInput } from '../../src/compose/routing-publisher.ts';
import { type Config, configSchema } from '../../src/config/schema.ts';
import { systemClock } from '../../src/core/clock.ts';
import { seededRandom } from '../../src/core/random.ts';
import type { Plan } from '../../src/plan/plan.ts';
import { newPlannerState, planRound } from '../../src/plan/planner.ts';
import type { PlannerInput, PlannerRegion, PlannerTable } from '../../src/plan/planner-types.ts';
import { preferenceOrders } from '../../src/routing/ring.ts';
import { LiveCells } from '../../src/state/live-cells.ts';
import { SharedTables } from '../../src/state/shared-tables.ts';
import { SnapshotStore } from '../../src/state/snapshot-store.ts';
import type { Case } from './cases.ts';
import type { Sliced, Step } from './measure.ts';

export interface SliceCase {
  readonly name: string;
  /** Microseconds. */
  readonly bound: number;
  prepareSlices(): Sliced;
}

const REGIONS = 50;
const SHARDS = 4096;
// As many as a plan may have.
const TABLES = 32;
const ROUTES = 1000;
const ROUND_MS = 30_000;
const regionIds = Array.from({ length: REGIONS }, (_, i) => `region-${String(i).padStart(2, '0')}`);
const size = `${SHARDS} shards x ${REGIONS} regions`;

export const planCases: readonly Case[] = [
  { name: `plan of ${size}, a new shift every round`, bound: 20_000, prepare: () => planStep(1, 1000) },
  { name: `plan of ${size}, a shift under way`, bound: 20_000, prepare: () => planStep(1, 3_600_000) },
  { name: `plan of ${TABLES} tables of ${size}, new shifts`, prepare: () => planStep(TABLES, 1000) },
];

export const sliceCases: readonly SliceCase[] = [
  {
    name: `applying that plan, ${ROUTES} routes: longest slice`,
    bound: 1000,
    prepareSlices: () => applySlices(1),
  },
  {
    name: `applying ${TABLES} tables, ${ROUTES} routes: longest slice`,
    bound: 1000,
    prepareSlices: () => applySlices(TABLES),
  },
];

/** Sets of a table each: all regions, then all but one or two. */
function setOf(i: number): string[] {
  return i === 0 ? regionIds : regionIds.filter((_, region) => region !== i && region !== i + (i % 2));
}

/** Rounds in which every tenth region is at risk in turn, with loads that differ from shard to shard. */
function rounds(tableCount: number, shiftPeriod: number): () => Plan {
  const random = seededRandom(1);
  const loads = Float64Array.from({ length: SHARDS }, () => random.next() * 10);
  const tables = Array.from({ length: tableCount }, (_, i): PlannerTable => {
    const ids = setOf(i);
    return { regionIds: ids, critical: false, orders: preferenceOrders(ids, SHARDS), loads };
  });
  let now = systemClock.wallMs();
  let round = 0;
  let state = newPlannerState('bench');
  const inputAt = (): PlannerInput => ({
    now,
    mode: 'auto',
    regions: regionIds.map((id, listed) => plannerRegion(id, listed, round)),
    tables,
    demand: 20_000,
    rules: {
      thresholds: { low: 0.3, high: 0.7, evict: 0.9, critical: 0.3 },
      hysteresis: 0.1,
      dwell: 1000,
      maxDemoted: 0.34,
      targetUtilisation: 0.8,
      shiftPeriod,
      notice: 0,
      evaluateEvery: 1000,
      guards: { errors: 0.02, p99: 2, utilisation: 0.9 },
      churn: { perRound: 0.09, perHour: 1000 },
      shards: SHARDS,
      ttlSeconds: 120,
    },
    score: { brierSkill: 0.1, falseShiftsPerDay: 0, observedDays: 1 },
    accepted: false,
    frozen: false,
  });
  return () => {
    now += ROUND_MS;
    round += 1;
    const result = planRound(state, inputAt());
    state = result.state;
    return result.plan;
  };
}

function planStep(tableCount: number, shiftPeriod: number): Step {
  return rounds(tableCount, shiftPeriod);
}

function plannerRegion(id: string, listed: number, round: number): PlannerRegion {
  const risk = (listed + round) % 10 === 0 ? 0.8 : 0.05;
  return {
    id,
    baseWeight: 1,
    admin: 'active',
    weightOverride: undefined,
    healthFactor: 1,
    capacity: 1000,
    assessment: {
      risk,
      failureProbability: risk,
      load: { p50: 400, p90: 450 },
      confidence: 1,
      anomaly: risk,
      reasons: [],
    },
    isFailing: false,
    isErring: false,
    signals: { errorShare: 0, p99: 10, utilisation: 0.4, requests: 1000 },
    listed,
  };
}

function configOf(tableCount: number): Config {
  return configSchema.parse({
    listen: [{ address: '127.0.0.1:0' }],
    sharding: { shards: SHARDS, policy: 'consistent_hash' },
    regions: regionIds.map((id, i) => ({ id, servers: [`http://127.0.0.1:${10_000 + i}`] })),
    routes: Array.from({ length: ROUTES }, (_, i) => ({
      id: `r${i}`,
      match: { host: `host-${i}.test` },
      key: { from: [{ header: 'x-user-id' }] },
      regions: setOf(i % tableCount),
    })),
  });
}

/** What a worker does with a new plan, as it does it between requests. */
function applySlices(tableCount: number): Sliced {
  const config = configOf(tableCount);
  const make = rounds(tableCount, 60_000);
  make();
  const plan = make();
  const tables = new SharedTables();
  const slots = Object.fromEntries(
    config.regions.map((region, slot) => [region.servers![0]!.url, { slot, incarnation: 1 }]),
  );
  const input = snapshotInput(config, plan, tables, {
    configGeneration: 1,
    slots,
    policies: {},
    roundTrips: {},
    toMonotonic: anchorAt(plan, systemClock),
  });
  const store = new SnapshotStore(new LiveCells(1), () => undefined);
  return async () => {
    const slices: number[] = [];
    let from = systemClock.monotonicMs();
    const note = (): void => void slices.push(systemClock.monotonicMs() - from);
    await store.load(input, async () => {
      note();
      await null;
      from = systemClock.monotonicMs();
    });
    note();
    return slices;
  };
}
