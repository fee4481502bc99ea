// The vocabulary of ingest: what a measurement is about and what one measurement is. First step of the metric
// walk; every source (documents, scrapes, PromQL, the proxy itself, ORCA) ends in `Sample`s.

/**
 * What is measured: a region, a server of it, or a slice of demand that no region owns (a route, a shard
 * group). Keys are `region/ID`, `server/REGION/ID`, `route/ID` and `group/N`.
 */
export type EntityKind = 'region' | 'server' | 'route' | 'group';

export interface Entity {
  readonly kind: EntityKind;
  readonly key: string;
  /** Empty for a slice of demand. */
  readonly region: string;
  /** Id of the server, route or group; that of the region itself for a region. */
  readonly id: string;
}

export interface Sample {
  readonly entity: Entity;
  /** Lower-case words joined by `_` or `.`, such as `latency_ms.p99`. */
  readonly metric: string;
  /** Wall clock, milliseconds. */
  readonly at: number;
  readonly value: number;
  /** Which of several proxies measured it; '' = the only one. */
  readonly source: string;
}

/** Shards are measured in this many groups: the top six bits of their number. */
export const SHARD_GROUPS = 64;

export const regionEntity = (region: string): Entity => ({
  kind: 'region',
  key: `region/${region}`,
  region,
  id: region,
});
export const serverEntity = (region: string, server: string): Entity => ({
  kind: 'server',
  key: `server/${region}/${server}`,
  region,
  id: server,
});
export const routeEntity = (route: string): Entity => ({
  kind: 'route',
  key: `route/${route}`,
  region: '',
  id: route,
});
export const groupEntity = (group: number): Entity => ({
  kind: 'group',
  key: `group/${group}`,
  region: '',
  id: String(group),
});

/** The entity of a key that one of these functions made; undefined for any other text. */
export function entityOfKey(key: string): Entity | undefined {
  const [kind, first = '', ...rest] = key.split('/');
  if (first === '') return undefined;
  const whole = [first, ...rest].join('/');
  if (kind === 'region') return regionEntity(whole);
  if (kind === 'server' && rest.length > 0) return serverEntity(first, rest.join('/'));
  if (kind === 'route') return routeEntity(whole);
  return kind === 'group' ? groupEntity(Number(first)) : undefined;
}

export const METRIC_NAME = /^[a-z_][a-z0-9_]*(\.[a-z0-9_]+){0,3}$/;
export const MAX_NAME_CHARACTERS = 96;

/** Beyond this a measurement is a mistake of its source: no counter, byte count or rate gets there. */
export const MOST = 1e15;

// Shares of something: more than all of it cannot be used.
const SHARES = new Set(['cpu', 'memory', 'disk', 'disk_io', 'network', 'error_rate', 'healthy_share']);

/** Lowest and highest value that a metric may have. */
export function boundsOf(metric: string): { readonly least: number; readonly most: number } {
  if (SHARES.has(metric)) return { least: 0, most: 1 };
  return { least: isCount(metric) ? 0 : -MOST, most: MOST };
}

// What each proxy sees a part of: the parts add up. Everything else is a mean over whoever measured it.
const ADDITIVE = new Set(['rps', 'in_flight', 'errors_per_second', 'connect_failures_per_second']);
export const isAdditive = (metric: string): boolean => ADDITIVE.has(metric);

function isCount(metric: string): boolean {
  return /^(queue_depth|in_flight|rps|capacity|up|registered|healthy|latency_ms(\..+)?)$/.test(metric);
}

// What the models, the capacity and the risk are made of. Bounded, unlike what a stranger may name.
const CORE = new Set([
  ...SHARES,
  ...ADDITIVE,
  ...['queue_depth', 'capacity', 'up', 'registered', 'healthy', 'latency_ms'],
  ...['mean', 'p50', 'p90', 'p95', 'p99', 'max'].map((part) => `latency_ms.${part}`),
]);

/** Whether the engine knows what it means: such a metric finds room whatever else is measured. */
export const isCoreMetric = (metric: string): boolean => CORE.has(metric);

/** Core metrics first, the others behind them, each in the order given. */
export function coreFirst(metrics: Iterable<string>): string[] {
  const all = [...metrics];
  return [...all.filter(isCoreMetric), ...all.filter((metric) => !isCoreMetric(metric))];
}
