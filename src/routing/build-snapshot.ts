// Compiles configuration and plan into the snapshot that requests read. Runs in every worker, in slices:
// the generator yields often enough that a request never waits a millisecond for it, and nothing is
// visible before the whole is done.

import type { Config, RegionConfig } from '../config/schema.ts';
import type { KeySource, RouteConfig } from '../config/schema-route.ts';
import { kilometresBetween } from '../core/distance.ts';
import { eligibleRegions } from '../core/eligible-regions.ts';
import { type RegionIndex, regionId, regionIndex, routeId, serverId, serverSlot } from '../core/ids.ts';
import { ownOf } from '../core/own.ts';
import { type OwnThresholds, ownThresholds, thresholdsName } from '../core/route-thresholds.ts';
import { countHoldings, type Movement } from './ownership.ts';
import { distanceOrder } from './policies/geographic-proximity.ts';
import { type PolicyDocument, RegionalPolicies } from './regional-policy.ts';
import type { PreferenceOrders } from './ring.ts';
import { RouteMatcher } from './route-matcher.ts';
import type { KeyPlan, KeySourcePlan } from './shard-key.ts';
import type {
  DataPlaneSettings,
  EligibleSet,
  ManagerHop,
  Region,
  Route,
  RouteHedge,
  RouteRetry,
  Snapshot,
} from './snapshot.ts';

export interface SlotAssignment {
  readonly slot: number;
  readonly incarnation: number;
}

/** What the main thread publishes to workers; structured-cloneable, its tables in shared memory. */
export interface SnapshotInput {
  readonly configGeneration: number;
  readonly config: Config;
  readonly plan: {
    readonly incarnation: string;
    readonly generation: number;
    /** Milliseconds. */
    readonly ttl: number;
    readonly weights: Readonly<Record<string, number>>;
    /** Health factors that the weights include; 1 where a region is not named. */
    readonly health: Readonly<Record<string, number>>;
    readonly failoverOrder: readonly string[];
  };
  /** One per distinct eligible set, by `regionSetKey`. */
  readonly tables: Readonly<Record<string, SetTable>>;
  /** Set in a manager's own data path: the region it looks after. */
  readonly managerOf?: string | undefined;
  /** What managers have published, by region; regions without are left out. */
  readonly policies: Readonly<Record<string, PolicyDocument>>;
  /** Milliseconds there and back, by region, as far as they were measured. */
  readonly roundTrips: Readonly<Record<string, number>>;
  /** By server id. */
  readonly slots: Readonly<Record<string, SlotAssignment>>;
}

export interface SetTable {
  /** Owner of each shard as an index into the sorted region ids. */
  readonly owners: Uint16Array;
  readonly orders: PreferenceOrders;
  readonly movement: Movement;
  /** By region, where they are others than the plan's. */
  readonly weights?: Readonly<Record<string, number>> | undefined;
}

/** Name of a set of regions: the same for every order in which they are listed. */
export function regionSetKey(regionIds: readonly string[]): string {
  return [...regionIds].sort().join(',');
}

const CRITICAL_MARK = '!critical';

/** Name of the table that a set has for critical requests, if it has one. */
export function criticalKey(setKey: string): string {
  return setKey + CRITICAL_MARK;
}

const THRESHOLDS_MARK = '@';

/** Whether it is a table of the thresholds of all. */
export const isOfAll = (key: string): boolean => !key.includes(THRESHOLDS_MARK);

/** Name of the table that a set has for routes with risk thresholds of their own, if it has one. */
export function thresholdsKey(setKey: string, thresholds: OwnThresholds | undefined): string {
  return thresholds === undefined ? setKey : setKey + THRESHOLDS_MARK + thresholdsName(thresholds);
}

// Routes compiled before the generator yields: some 5 us each.
const ROUTES_PER_SLICE = 64;

/** The snapshot in one go, for those who serve nobody meanwhile. */
export function buildSnapshotAtOnce(input: SnapshotInput): Snapshot {
  const slices = buildSnapshot(input);
  for (;;) {
    const slice = slices.next();
    if (slice.done) return slice.value;
  }
}

export function* buildSnapshot(input: SnapshotInput): Generator<void, Snapshot> {
  const { config, plan } = input;
  const regions = buildRegions(input);
  yield;
  const indexById = new Map(regions.map((region) => [region.id as string, region.index]));
  const sets = yield* buildSets(input, regions, indexById);
  const matcher = new RouteMatcher();
  const routes: Route[] = [];
  for (const route of config.routes) {
    routes.push(buildRoute(config, route, routes.length, setsOf(config, route, sets)));
    matcher.add(route.match);
    if (routes.length % ROUTES_PER_SLICE === 0) yield;
  }
  const settings = buildSettings(config, managerHop(input));
  const failoverOrder = Uint16Array.from(plan.failoverOrder, (id) => indexById.get(id)!);
  return {
    configGeneration: input.configGeneration,
    plan: { incarnation: plan.incarnation, generation: plan.generation, ttl: plan.ttl },
    regions,
    failoverOrder,
    distanceOrder:
      settings.originLocation === undefined ? failoverOrder : distanceOrder(regions, settings.originLocation),
    routes,
    matcher,
    sets: [...sets.values()],
    policies: buildPolicies(input, regions),
    settings,
  };
}

/** A plan may lack a table for thresholds (no engine makes it) or for critical requests: then that of all serves. */
function setsOf(
  config: Config,
  route: RouteConfig,
  sets: ReadonlyMap<string, EligibleSet>,
): Pick<Route, 'set' | 'criticalSet'> {
  const ofAll = regionSetKey(eligibleRegions(config, route));
  const own = thresholdsKey(ofAll, ownThresholds(config, route));
  const set = sets.get(own) ?? sets.get(ofAll)!;
  return { set, criticalSet: sets.get(criticalKey(set.key)) ?? set };
}

/** No policies at all cost a request nothing. */
function buildPolicies({ policies }: SnapshotInput, regions: readonly Region[]): RegionalPolicies | null {
  const documents = regions.map((region) => ownOf(policies, region.id) ?? null);
  if (documents.every((document) => document === null)) return null;
  return new RegionalPolicies(
    documents,
    regions.map((region) => region.id),
  );
}

function buildRegions(input: SnapshotInput): Region[] {
  const sorted = [...input.config.regions].sort((a, b) => (a.id < b.id ? -1 : 1));
  return sorted.map((region, i) => {
    const servers = region.servers ?? [];
    return {
      id: regionId(region.id),
      index: regionIndex(i),
      baseWeight: region.weight,
      weight: input.plan.weights[region.id] ?? region.weight,
      plannedHealth: input.plan.health[region.id] ?? 1,
      capacity: region.capacity,
      location: region.location,
      roundTripMs: input.roundTrips[region.id] ?? roundTripByDistance(input.config, region),
      servers: servers.map((server) => buildServer(input, region, regionIndex(i), server)),
      serverWeight: servers.reduce((sum, server) => sum + server.weight, 0),
    };
  });
}

// Light in glass covers 200 km in a millisecond, one way.
const KILOMETRES_PER_ROUND_TRIP_MS = 100;

function roundTripByDistance(config: Config, { location }: RegionConfig): number | undefined {
  const origin = config.regions.find((region) => region.id === config.region)?.location;
  if (origin === undefined || location === undefined) return undefined;
  return kilometresBetween(origin, location) / KILOMETRES_PER_ROUND_TRIP_MS;
}

function buildServer(
  input: SnapshotInput,
  region: RegionConfig,
  index: RegionIndex,
  server: NonNullable<RegionConfig['servers']>[number],
): Region['servers'][number] {
  const assigned = input.slots[server.url];
  if (assigned === undefined) throw new Error(`server ${server.url} of region ${region.id} has no slot`);
  return {
    id: serverId(server.url),
    region: index,
    origin: server.url,
    weight: server.weight,
    zone: server.zone,
    isManager: region.rem !== undefined,
    slot: serverSlot(assigned.slot),
    incarnation: assigned.incarnation,
  };
}

/** A slice a set: counting the holdings of a large table is most of the work. */
function* buildSets(
  input: SnapshotInput,
  regions: readonly Region[],
  indexById: ReadonlyMap<string, RegionIndex>,
): Generator<void, Map<string, EligibleSet>> {
  const sets = new Map<string, EligibleSet>();
  for (const [key, table] of Object.entries(input.tables)) {
    const ordinaryKey = key.replace(CRITICAL_MARK, '');
    const names = ordinaryKey.replace(new RegExp(`${THRESHOLDS_MARK}.*`), '').split(',');
    const members = Uint16Array.from(names, (id) => indexById.get(id)!);
    sets.set(key, {
      index: sets.size,
      key,
      members,
      owners: table.owners,
      movement: table.movement,
      holdings: countHoldings(table.owners, table.movement.shift, indexById.size),
      weights: weightsOf(regions, input.tables[ordinaryKey]),
      drawWeights: weightsOf(regions, table),
      orders: table.orders,
      shardShift: 32 - Math.log2(table.owners.length),
    });
    yield;
  }
  return sets;
}

function weightsOf(regions: readonly Region[], table: SetTable | undefined): Float64Array {
  return Float64Array.from(regions, ({ id, weight }) => table?.weights?.[id] ?? weight);
}

function buildRoute(
  config: Config,
  route: RouteConfig,
  index: number,
  sets: Pick<Route, 'set' | 'criticalSet'>,
): Route {
  const key = buildKeyPlan(route.key.from, route.key.combine);
  const keyPerType = new Map(
    Object.entries(route.key.perType).map(([type, from]) => [type, buildKeyPlan(from, route.key.combine)]),
  );
  return {
    id: routeId(route.id),
    index,
    ...sets,
    policy: route.policy ?? config.sharding.policy,
    maxAddedLatency: route.maxAddedLatency,
    priority: route.priority,
    key,
    keyPerType,
    typeHeader: route.type?.header,
    onMissing: route.key.onMissing,
    cookie: { name: route.key.cookie.name, maxAgeSeconds: Math.ceil(route.key.cookie.ttl / 1000) },
    keyMaxBody: route.key.maxBody,
    timeouts: route.timeouts,
    retry: buildRetry(route.retry),
    hedge: buildHedge(route.hedge),
    secretSegments: [key, ...keyPerType.values()].flatMap((plan) =>
      plan.sources.flatMap((source) => (source.kind === 'path' ? [source.segment] : [])),
    ),
  };
}

function buildKeyPlan(from: readonly KeySource[], combine: 'first' | 'all'): KeyPlan {
  const pointers: string[] = [];
  const sources = from.map((source): KeySourcePlan => {
    if (source === 'clientIp' || 'clientIp' in source) return { kind: 'clientIp' };
    if ('header' in source) return { kind: 'header', name: source.header };
    if ('query' in source) return { kind: 'query', name: source.query };
    if ('cookie' in source) return { kind: 'cookie', name: source.cookie };
    if ('path' in source) return { kind: 'path', segment: source.path };
    if ('jwt' in source) return { kind: 'jwt', claim: source.jwt };
    return { kind: 'json', pointer: pointers.push(source.json) - 1 };
  });
  return { sources, combine, pointers };
}

function buildRetry(retry: RouteConfig['retry']): RouteRetry {
  return {
    attempts: retry.attempts,
    onConnect: retry.on.includes('connect'),
    onReset: retry.on.includes('reset'),
    onTimeout: retry.on.includes('timeout'),
    onStatus: new Set(retry.on.filter((word) => /^\d+$/.test(word)).map(Number)),
    base: retry.base,
    cap: retry.cap,
    budget: retry.budget,
    minBudget: retry.minBudget,
    maxBody: retry.maxBody,
  };
}

function buildHedge({ after, to, budget, minBudget }: RouteConfig['hedge']): RouteHedge | null {
  return after === 0 ? null : { after, toRegion: to === 'region', budget, minBudget };
}

function managerHop({ managerOf, policies }: SnapshotInput): ManagerHop | null {
  if (managerOf === undefined) return null;
  const policy = ownOf(policies, managerOf);
  return {
    region: managerOf,
    scrubRequest: (policy?.removeHeaders.request ?? []).map((name) => name.toLowerCase()),
    scrubResponse: (policy?.removeHeaders.response ?? []).map((name) => name.toLowerCase()),
    maxBody: policy?.maxBody ?? 0,
  };
}

function buildSettings(config: Config, manager: ManagerHop | null): DataPlaneSettings {
  return {
    limits: config.limits,
    panicThreshold: config.health.panicThreshold,
    originRegion: config.region,
    originLocation: config.regions.find((region) => region.id === config.region)?.location,
    clientLocationHeader: config.clientLocation.header,
    targetUtilisation: config.pae.targetUtilisation,
    shiftPeriod: config.sharding.shiftPeriod,
    forwardedHeader: config.forwardedHeader,
    debugHeaders: config.debugHeaders,
    accessLog: config.log.access,
    traceSample: config.trace.sample,
    exportsSpans: config.otlp.url !== undefined,
    traceKeep: config.trace.keep,
    traceSlow: config.trace.slow,
    trustedProxies: config.trustedProxies,
    zone: config.zone,
    manager,
  };
}
