// A routing world in a few lines: configuration -> plan -> snapshot by the production path, health by live
// cells that a test writes. For tests of deciding, with no socket and no thread.

import { basePlan } from '../../src/compose/base-plan.ts';
import { snapshotInput } from '../../src/compose/routing-publisher.ts';
import { type Config, configSchema } from '../../src/config/schema.ts';
import type { Health } from '../../src/core/model.ts';
import { type Random, seededRandom } from '../../src/core/random.ts';
import { buildPlan } from '../../src/plan/build-plan.ts';
import type { Plan } from '../../src/plan/plan.ts';
import type { ServerLoads } from '../../src/region/choose-server.ts';
import { buildSnapshotAtOnce } from '../../src/routing/build-snapshot.ts';
import type { DecideContext, RequestFacts } from '../../src/routing/decide.ts';
import type { LiveView } from '../../src/routing/eligibility.ts';
import { KeyBytes } from '../../src/routing/key-bytes.ts';
import type { PolicyDocument, TokenVerifier } from '../../src/routing/regional-policy.ts';
import { decodePathForMatching } from '../../src/routing/route-matcher.ts';
import { type ClaimReader, readUnverifiedClaim } from '../../src/routing/shard-key.ts';
import type { Region, Route, Snapshot } from '../../src/routing/snapshot.ts';
import { LiveCells } from '../../src/state/live-cells.ts';
import { buildLiveView } from '../../src/state/live-view.ts';
import { SharedTables } from '../../src/state/shared-tables.ts';

// Ring orders are the dear part, and the same for the same regions.
const tables = new SharedTables();

export interface RegionParts {
  readonly id: string;
  /** Number of servers, 1 unless given; with 0 the region waits for the report of a manager. */
  readonly servers?: number;
  /** Zone of each server in order; none unless given. */
  readonly zones?: readonly string[];
  readonly weight?: number;
  readonly capacity?: number;
  readonly location?: { readonly lat: number; readonly lon: number };
}

export interface WorldOptions {
  readonly regions: readonly RegionParts[];
  /** As written in proxy.yaml; each gets an id. */
  readonly routes?: readonly Record<string, unknown>[];
  readonly parts?: Record<string, unknown>;
  readonly shards?: number;
  /** Weights of the plan where they are not the base weights. */
  readonly weights?: Readonly<Record<string, number>>;
  /** What managers have published, by region. */
  readonly policies?: Readonly<Record<string, PolicyDocument>>;
  /** Measured milliseconds there and back, by region. */
  readonly roundTrips?: Readonly<Record<string, number>>;
}

export class World {
  readonly config: Config;
  readonly plan: Plan;
  readonly snapshot: Snapshot;
  readonly cells = new LiveCells(1);

  constructor(options: WorldOptions) {
    const {
      regions,
      routes = [{}],
      parts = {},
      shards = 64,
      weights,
      policies = {},
      roundTrips = {},
    } = options;
    this.config = configSchema.parse({
      listen: [{ address: '127.0.0.1:0' }],
      sharding: { shards, policy: 'weighted_random' },
      ...parts,
      regions: regions.map(({ servers = 1, zones = [], ...rest }, i) => ({
        ...rest,
        ...(servers === 0
          ? { rem: 'http://127.0.0.1:9501' }
          : {
              servers: Array.from({ length: servers }, (_, j) => ({
                url: `http://10.0.${i}.${j + 1}:80`,
                zone: zones[j] ?? '',
              })),
            }),
      })),
      routes: routes.map((route, i) => ({ id: `route-${i}`, ...route })),
    });
    this.plan = planOf(this.config, weights);
    const urls = this.config.regions.flatMap((region) => (region.servers ?? []).map(({ url }) => url));
    const slots = Object.fromEntries(urls.map((url, slot) => [url, { slot, incarnation: 1 }]));
    for (const slot of urls.keys()) this.cells.resetSlot(slot);
    this.snapshot = buildSnapshotAtOnce(
      snapshotInput(this.config, this.plan, tables, {
        configGeneration: 1,
        slots,
        policies,
        roundTrips,
        toMonotonic: (ms) => ms,
      }),
    );
  }

  region(id: string): Region {
    const region = this.snapshot.regions.find((other) => other.id === id);
    if (region === undefined) throw new Error(`no region ${id}`);
    return region;
  }

  route(index = 0): Route {
    return this.snapshot.routes[index]!;
  }

  /** Health of the first servers of a region, in order; the rest are healthy. */
  setHealth(id: string, ...states: readonly (Health | 'ejected')[]): this {
    for (const [i, { slot }] of this.region(id).servers.entries()) {
      const state = states[i] ?? 'healthy';
      this.cells.setEjected(slot, state === 'ejected');
      this.cells.setHealth(slot, state === 'ejected' ? 'healthy' : state);
    }
    this.cells.publish();
    return this;
  }

  /** So many servers of a region are healthy, the others unhealthy. */
  setHealthy(id: string, count: number): this {
    const states = this.region(id).servers.map((_, i) => (i < count ? 'healthy' : 'unhealthy'));
    return this.setHealth(id, ...states);
  }

  live(): LiveView {
    return buildLiveView(this.snapshot, this.cells, this.cells.version);
  }
}

function planOf(config: Config, weights: Readonly<Record<string, number>> | undefined): Plan {
  const stamp = { incarnation: '01JD0000000000000000000000', generation: 1, at: '2026-11-21T10:00:00.000Z' };
  const base = basePlan(config, { previous: undefined }, tables, stamp);
  if (weights === undefined) return base;
  return buildPlan(
    {
      mode: 'auto',
      regions: config.regions.map(({ id, weight, capacity }) => ({
        id,
        baseWeight: weight,
        weight: weights[id] ?? weight,
        capacity,
      })),
      failoverOrder: base.failoverOrder,
      tables: base.tables.map(({ regions, shards }) => ({
        regionIds: regions,
        orders: tables.ordersFor(regions, shards),
      })),
      shards: config.sharding.shards,
      previous: base,
      ttlSeconds: base.ttlSeconds,
    },
    stamp,
  );
}

export interface RequestParts {
  readonly method?: string;
  readonly host?: string;
  /** Path and query. */
  readonly target?: string;
  readonly fields?: readonly string[];
  readonly clientAddress?: string;
  readonly clientLocation?: RequestFacts['clientLocation'];
  readonly body?: RequestFacts['body'];
  readonly isTrusted?: boolean;
  readonly contentLength?: number;
}

export function factsOf(request: RequestParts = {}): RequestFacts {
  const { method = 'GET', host = 'example.com', target = '/', fields = [] } = request;
  const [rawPath = '', ...query] = target.split('?');
  return {
    method,
    host,
    path: decodePathForMatching(rawPath),
    rawPath,
    query: query.join('?'),
    fields,
    clientAddress: request.clientAddress ?? '192.0.2.1',
    clientLocation: request.clientLocation,
    isTrusted: request.isTrusted ?? false,
    contentLength: request.contentLength,
    body: request.body,
    field: (name) => {
      const at = fields.findIndex((text, i) => i % 2 === 0 && text === name);
      return at === -1 ? undefined : fields[at + 1];
    },
  };
}

/** No server of any region has anything to do, and of none is known how fast it is. */
export const IDLE_SERVERS: ServerLoads = {
  inFlight: () => 0,
  latencyUs: () => 0,
  expectedUs: () => 0,
  failuresInARow: () => 0,
  ramp: () => 1,
};

export interface ContextParts {
  readonly random?: Random;
  /** Monotonic milliseconds. */
  readonly now?: () => number;
  readonly inFlight?: (region: number) => number;
  readonly waiting?: (region: number) => number;
  readonly healthyShare?: (region: number) => number;
  readonly utilisation?: (region: number) => number;
  readonly claims?: ClaimReader;
  readonly verify?: TokenVerifier;
}

export function contextOf(parts: ContextParts = {}): DecideContext {
  return {
    random: parts.random ?? seededRandom(1),
    now: parts.now ?? (() => 0),
    loads: {
      inFlight: parts.inFlight ?? (() => 0),
      waiting: parts.waiting ?? (() => 0),
      healthyShare: parts.healthyShare ?? (() => 1),
      utilisation: parts.utilisation ?? (() => Number.NaN),
    },
    cursors: new Map(),
    key: new KeyBytes(),
    claims: parts.claims ?? readUnverifiedClaim,
    verify: parts.verify ?? (() => null),
  };
}
