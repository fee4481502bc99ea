// What a request reads: one immutable picture of configuration and plan, built aside and swapped whole
// (build-snapshot.ts, state/snapshot-store.ts). A request takes one and keeps it to its end.

import type { RegionId, RegionIndex, RouteId, ServerId, ServerSlot } from '../core/ids.ts';
import type { Location, PolicyKind, Priority } from '../core/model.ts';
import type { Holdings, Movement } from './ownership.ts';
import type { RegionalPolicies } from './regional-policy.ts';
import type { PreferenceOrders } from './ring.ts';
import type { RouteMatcher } from './route-matcher.ts';
import type { KeyPlan } from './shard-key.ts';

export interface Snapshot {
  /** Counts configurations of this process, from 1. */
  readonly configGeneration: number;
  /** Identity of the plan whose tables these are. */
  readonly plan: {
    readonly incarnation: string;
    readonly generation: number;
    /** Milliseconds without news after which proxies begin to return to the base weights. */
    readonly ttl: number;
  };
  /** Sorted by id; a RegionIndex points here and into the plan's `regions`. */
  readonly regions: readonly Region[];
  /** Regions in the order in which they stand in for each other. */
  readonly failoverOrder: Uint16Array;
  /** Regions by distance from where this proxy stands; the failover order where no location is known. */
  readonly distanceOrder: Uint16Array;
  readonly routes: readonly Route[];
  readonly matcher: RouteMatcher;
  readonly sets: readonly EligibleSet[];
  /** null while no region publishes a policy. */
  readonly policies: RegionalPolicies | null;
  readonly settings: DataPlaneSettings;
}

export interface Region {
  readonly id: RegionId;
  readonly index: RegionIndex;
  readonly baseWeight: number;
  /** Desired weight of the plan; 0 gets nothing. */
  readonly weight: number;
  /** Health that the weight and the table account for already, 0..1: it must not count twice. */
  readonly plannedHealth: number;
  /** Requests/s it can take; undefined = unknown. */
  readonly capacity: number | undefined;
  readonly location: Location | undefined;
  /** Milliseconds there and back from this proxy, measured, else by distance; undefined = not known. */
  readonly roundTripMs: number | undefined;
  readonly servers: readonly Server[];
  /** Weights of the servers, summed: what stands in for an unknown capacity. */
  readonly serverWeight: number;
}

export interface Server {
  readonly id: ServerId;
  readonly region: RegionIndex;
  /** `http://host:port` */
  readonly origin: string;
  readonly weight: number;
  readonly zone: string;
  /** The data path of a region's manager: it is believed when it says that it has sent nothing on. */
  readonly isManager: boolean;
  readonly slot: ServerSlot;
  /** Tells this use of the slot from an earlier server's. */
  readonly incarnation: number;
}

/** The regions that one or more routes may use, with the table over exactly these. */
export interface EligibleSet {
  readonly index: number;
  /** The same in every snapshot that has the set (build-snapshot.ts, regionSetKey and criticalKey). */
  readonly key: string;
  /** Region indices, ascending. */
  readonly members: Uint16Array;
  /** Owner of each shard as a *region index*; NO_OWNER where nobody may have it. */
  readonly owners: Uint16Array;
  /** Ring order per shard, as positions in `members`. */
  readonly orders: PreferenceOrders;
  /** 32 - log2(shards): `hash.hi >>> shardShift` is the shard. */
  readonly shardShift: number;
  /** What is on the move, lent, or goes home if the plan is not renewed. */
  readonly movement: Movement;
  readonly holdings: Holdings;
  /** By region index: desired weights of the plan for this traffic; 0 gets nothing. */
  readonly weights: Float64Array;
  /** The same, less what critical requests avoid while others can serve: what draws go by. */
  readonly drawWeights: Float64Array;
}

export interface Route {
  readonly id: RouteId;
  readonly index: number;
  readonly set: EligibleSet;
  /** Table for critical requests; the ordinary one where the plan has none. */
  readonly criticalSet: EligibleSet;
  readonly policy: PolicyKind;
  /** A region farther than the nearest that can serve by more than so many milliseconds is left out; 0 = none is. */
  readonly maxAddedLatency: number;
  /** Importance of its requests, or the header of a trusted peer that names it. */
  readonly priority: Priority | { readonly header: string };
  readonly key: KeyPlan;
  readonly keyPerType: ReadonlyMap<string, KeyPlan>;
  /** Lower-case header that names the request type; undefined = the method is the type. */
  readonly typeHeader: string | undefined;
  readonly onMissing: 'random' | 'reject' | 'cookie' | 'default';
  readonly cookie: { readonly name: string; readonly maxAgeSeconds: number };
  /** Most body that a JSON key may read, bytes. */
  readonly keyMaxBody: number;
  readonly timeouts: RouteTimeouts;
  readonly retry: RouteRetry;
  /** Null where no request is sent a second time before the first try has failed. */
  readonly hedge: RouteHedge | null;
  /** Segments of the path that are key and must not be logged. */
  readonly secretSegments: readonly number[];
}

/** Milliseconds; 0 = none. */
export interface RouteTimeouts {
  readonly connect: number;
  readonly response: number;
  readonly idle: number;
  readonly total: number;
}

/** How many further tries there may be. */
export interface TryAllowance {
  /** Share of the requests of a second, or in flight. */
  readonly budget: number;
  /** Always allowed, tries a second. */
  readonly minBudget: number;
}

export interface RouteRetry extends TryAllowance {
  /** Tries in all. */
  readonly attempts: number;
  readonly onConnect: boolean;
  readonly onReset: boolean;
  readonly onTimeout: boolean;
  readonly onStatus: ReadonlySet<number>;
  /** Milliseconds. */
  readonly base: number;
  readonly cap: number;
  /** Bytes of body kept for replay. */
  readonly maxBody: number;
}

export interface RouteHedge extends TryAllowance {
  /** Milliseconds without a response head, more than 0. */
  readonly after: number;
  /** Another region first, else another server of the same region alone. */
  readonly toRegion: boolean;
}

/** What a manager's data path needs to know of itself. */
export interface ManagerHop {
  readonly region: string;
  /** Lower-case names of fields that do not go to servers, and that do not go to clients. */
  readonly scrubRequest: readonly string[];
  readonly scrubResponse: readonly string[];
  /** Bytes of a request body; 0 = no limit. */
  readonly maxBody: number;
}

/** Settings that are not about one route. Sizes in bytes, times in milliseconds. */
export interface DataPlaneSettings {
  readonly limits: {
    readonly headerBytes: number;
    readonly headerFields: number;
    readonly targetBytes: number;
    readonly trailerFields: number;
    readonly responseHeaderBytes: number;
    readonly headerTimeout: number;
    readonly keepAlive: number;
    readonly connections: number;
    readonly inFlightPerServer: number;
  };
  readonly panicThreshold: number;
  /** Region where this proxy stands; empty when not configured. */
  readonly originRegion: string;
  readonly originLocation: Location | undefined;
  readonly clientLocationHeader: string | undefined;
  readonly targetUtilisation: number;
  /** Milliseconds over which a shift, and the closing of streams that it moved, is spread. */
  readonly shiftPeriod: number;
  readonly forwardedHeader: 'x' | 'rfc7239' | 'none';
  readonly debugHeaders: boolean;
  readonly accessLog: 'off' | 'sampled' | 'all';
  readonly traceSample: number;
  /** Sampled requests are exported as spans. */
  readonly exportsSpans: boolean;
  /** Traces kept, over all workers. */
  readonly traceKeep: number;
  /** Requests that take so long are kept always; 0 = none for that reason. */
  readonly traceSlow: number;
  readonly trustedProxies: readonly string[];
  /** Zone whose servers are preferred; empty = none. */
  readonly zone: string;
  /** null in a proxy. */
  readonly manager: ManagerHop | null;
}
