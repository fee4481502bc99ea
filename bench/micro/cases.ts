// The steps that have a price: deciding a request, choosing a server, hashing a key, assigning a table,
// making a plan and a snapshot.

import { basePlan } from '../../src/compose/base-plan.ts';
import { snapshotInput } from '../../src/compose/routing-publisher.ts';
import { type Config, configSchema } from '../../src/config/schema.ts';
import { seededRandom } from '../../src/core/random.ts';
import { chooseServer } from '../../src/region/choose-server.ts';
import { buildSnapshotAtOnce } from '../../src/routing/build-snapshot.ts';
import { decide, idleContext, type RequestFacts } from '../../src/routing/decide.ts';
import type { LiveView } from '../../src/routing/eligibility.ts';
import { newU64, SEED_ZERO, xxh64 } from '../../src/routing/hash.ts';
import { preferenceOrders } from '../../src/routing/ring.ts';
import { readUnverifiedClaim } from '../../src/routing/shard-key.ts';
import { assignShards, shardQuotas } from '../../src/routing/shard-table.ts';
import type { Snapshot } from '../../src/routing/snapshot.ts';
import { SharedTables } from '../../src/state/shared-tables.ts';
import type { Step } from './measure.ts';

export interface Case {
  readonly name: string;
  /** Microseconds. */
  readonly bound?: number;
  prepare(): Step;
}

const REGIONS = 50;
const ROUTES = 1000;
const SHARDS = 4096;
const regionIds = Array.from({ length: REGIONS }, (_, i) => `region-${String(i).padStart(2, '0')}`);

export const cases: readonly Case[] = [
  { name: `decide, keyed, ${ROUTES} routes by host`, bound: 2, prepare: () => decideStep(byHost) },
  {
    name: `decide, keyed, ${ROUTES} routes by first segment`,
    bound: 2,
    prepare: () => decideStep(bySegment),
  },
  {
    name: `decide, keyed, ${ROUTES} overlapping /** routes (worst case)`,
    prepare: () => decideStep(overlapping),
  },
  { name: 'decide, keyed, 1 route', bound: 2, prepare: () => decideStep(single) },
  { name: 'hash of a 16-byte key', prepare: () => hashStep(16) },
  { name: 'hash of a 64-byte key', prepare: () => hashStep(64) },
  { name: 'choose among 1,000 servers', bound: 1, prepare: chooseStep },
  { name: `table of ${SHARDS} shards x ${REGIONS} regions`, bound: 5000, prepare: assignStep },
  { name: `ring orders of ${SHARDS} shards x ${REGIONS} regions`, bound: 150_000, prepare: ordersStep },
  { name: `snapshot of ${ROUTES} routes`, prepare: snapshotStep },
];

interface Routing {
  readonly routes: readonly object[];
  readonly facts: Partial<RequestFacts>;
}

const key = { from: [{ header: 'x-user-id' }] };

function byHost(): Routing {
  const routes = Array.from({ length: ROUTES }, (_, i) => ({
    id: `r${i}`,
    match: { host: `host-${i}.test` },
    key,
  }));
  return { routes, facts: { host: `host-${ROUTES - 1}.test` } };
}

function bySegment(): Routing {
  const routes = Array.from({ length: ROUTES }, (_, i) => ({
    id: `r${i}`,
    match: { path: `/part-${i}/**` },
    key,
  }));
  return { routes, facts: { path: `/part-${ROUTES - 1}/x`, rawPath: `/part-${ROUTES - 1}/x` } };
}

/** Told apart by a header alone: nothing can be indexed, every one is tried. */
function overlapping(): Routing {
  const routes = Array.from({ length: ROUTES }, (_, i) => ({
    id: `r${i}`,
    match: { path: '/**', headers: { 'x-tenant': `t${i}` } },
    key,
  }));
  const fields = ['x-tenant', `t${ROUTES - 1}`];
  return { routes, facts: { fields, field: (name) => (name === 'x-tenant' ? `t${ROUTES - 1}` : undefined) } };
}

function single(): Routing {
  return { routes: [{ id: 'all', key }], facts: {} };
}

function configOf(routes: readonly object[]): Config {
  return configSchema.parse({
    listen: [{ address: '127.0.0.1:0' }],
    sharding: { shards: SHARDS, policy: 'consistent_hash' },
    regions: regionIds.map((id, i) => ({ id, servers: [`http://127.0.0.1:${10_000 + i}`] })),
    routes,
  });
}

function inputOf(config: Config) {
  const tables = new SharedTables();
  const plan = basePlan(config, { previous: undefined }, tables, {
    incarnation: 'bench',
    generation: 1,
    at: '2026-01-01T00:00:00Z',
  });
  const slots = Object.fromEntries(
    config.regions.map((region, slot) => [region.servers![0]!.url, { slot, incarnation: 1 }]),
  );
  return snapshotInput(config, plan, tables, {
    configGeneration: 1,
    slots,
    policies: {},
    roundTrips: {},
    toMonotonic: (ms) => ms,
  });
}

function healthy(snapshot: Snapshot): LiveView {
  const counts = Uint16Array.from(snapshot.regions, (region) => region.servers.length);
  const servers = snapshot.regions.map((region) => region.servers);
  return {
    version: 0,
    registered: counts,
    healthy: counts,
    servers,
    nearby: null,
    present: servers,
    staleSince: Number.POSITIVE_INFINITY,
    setViews: [],
    reachViews: new Map(),
  };
}

/** Deciding over 50 regions, for other steps to stand on. */
export function decidedWorld(): { snapshot: Snapshot; live: LiveView; requests: readonly RequestFacts[] } {
  const snapshot = buildSnapshotAtOnce(inputOf(configOf(single().routes)));
  return { snapshot, live: healthy(snapshot), requests: requestsOf({}) };
}

function decideStep(routing: () => Routing): Step {
  const { routes, facts } = routing();
  const snapshot = buildSnapshotAtOnce(inputOf(configOf(routes)));
  const live = healthy(snapshot);
  const context = idleContext(seededRandom(1), readUnverifiedClaim, () => null);
  const requests = requestsOf(facts);
  let i = 0;
  return () => decide(snapshot, live, requests[i++ & 1023]!, context);
}

/** Different keys, so that no branch is learnt by heart. */
function requestsOf(facts: Partial<RequestFacts>): RequestFacts[] {
  return Array.from({ length: 1024 }, (_, i): RequestFacts => {
    const path = '/orders/17';
    return {
      method: 'GET',
      host: 'example.test',
      path,
      rawPath: path,
      query: '',
      clientAddress: '127.0.0.1',
      clientLocation: undefined,
      isTrusted: false,
      body: null,
      contentLength: undefined,
      field: () => undefined,
      ...facts,
      fields: [
        ...(facts.fields ?? []),
        'accept',
        '*/*',
        'user-agent',
        'bench',
        'x-user-id',
        `user-${i * 7919}`,
      ],
    };
  });
}

function hashStep(bytes: number): Step {
  const keys = Array.from({ length: 256 }, (_, i) => new Uint8Array(bytes).fill(i));
  const out = newU64();
  let i = 0;
  return () => xxh64(keys[i++ & 255]!, bytes, SEED_ZERO, out);
}

function chooseStep(): Step {
  const servers = Array.from({ length: 1000 }, (_, slot) => ({ slot, weight: 1 }));
  const inFlight = new Int32Array(1000);
  const choice = {
    random: seededRandom(1),
    inFlightLimit: 256,
    tried: [],
    lateUs: 300_000,
    loads: {
      inFlight: (slot: number) => inFlight[slot]!,
      latencyUs: () => 1000,
      expectedUs: () => 1000,
      failuresInARow: () => 0,
      ramp: () => 1,
    },
  };
  return () => chooseServer(servers, choice);
}

function assignStep(): Step {
  const orders = preferenceOrders(regionIds, SHARDS);
  const before = assignShards(
    orders,
    shardQuotas(
      regionIds.map(() => 1_000_000),
      SHARDS,
    ),
  );
  // A third of the regions is lowered each time.
  const weights = regionIds.map((_, i) => (i % 3 === 0 ? 100_000 : 1_000_000));
  return () => assignShards(orders, shardQuotas(weights, SHARDS), before);
}

function ordersStep(): Step {
  return () => preferenceOrders(regionIds, SHARDS);
}

function snapshotStep(): Step {
  const input = inputOf(configOf(byHost().routes));
  return () => buildSnapshotAtOnce(input);
}
