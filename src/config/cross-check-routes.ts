// What regions and routes must agree on: names that are given once and exist, servers that stand in one
// place, routes that can be reached and have somewhere to send to.

import { MAX_SERVERS, MAX_TABLES } from '../core/model.ts';
import { ownThresholds } from '../core/route-thresholds.ts';
import { formatDuration } from '../core/units.ts';
import type { Check } from './cross-checks.ts';
import type { Disagreement } from './disagreement.ts';
import { notOneOf, type Path, quote } from './problem.ts';
import { findShadowedRoutes } from './route-coverage.ts';
import type { Config, RegionConfig } from './schema.ts';
import type { RouteConfig } from './schema-route.ts';
import { tableSets } from './table-sets.ts';

export const checkRegions: Check = function* (config, declared) {
  yield* checkOnce(config.regions, 'regions');
  yield* checkServers(config.regions);
  yield* checkServerCount(config.regions);
  for (const [i, region] of config.regions.entries()) yield* checkOrigin(region, i);
  yield* checkKnown(['region'], config.region === '' ? undefined : config.region, declared);
  for (const [i, source] of config.pae.metrics.entries()) {
    yield* checkKnown(['pae', 'metrics', i, 'region'], source.region, declared);
  }
};

export const checkRoutes: Check = function* (config, declared) {
  yield* checkOnce(config.routes, 'routes');
  for (const [i, route] of config.routes.entries()) {
    yield* checkRegionLists(route, i, declared);
    yield* checkWeights(config, route, i);
    yield* checkDistance(config, route, i);
    yield* checkRetry(route, i);
    yield* checkHedge(route, i);
    yield* checkThresholds(config, route, i);
  }
  yield* checkTables(config);
  yield* checkReach(config.routes);
};

/** Policies of the file; what they make of routes is checked where they are applied. */
export const checkPolicies: Check = function* ({ shardingPolicies, routes }, declared) {
  const names = new Set<string>();
  for (const [i, policy] of shardingPolicies.entries()) {
    if (names.has(policy.name)) {
      yield wrong(['shardingPolicies', i, 'name'], `must be given once, given ${quote(policy.name)} twice`);
    }
    names.add(policy.name);
    for (const key of ['regions', 'residency'] as const) {
      for (const [j, id] of (policy[key] ?? []).entries()) {
        yield* checkKnown(['shardingPolicies', i, key, j], id, declared);
      }
    }
  }
  for (const [i, { shardingPolicy }] of routes.entries()) {
    if (shardingPolicy === undefined || names.has(shardingPolicy)) continue;
    yield {
      path: ['routes', i, 'shardingPolicy'],
      severity: 'warning',
      sentence: `is no policy of this file: the route stands by itself until the API makes one, given ${quote(shardingPolicy)}`,
    };
  }
};

function wrong(path: Path, sentence: Disagreement['sentence'], about: readonly Path[] = []): Disagreement {
  return { path, about, severity: 'error', sentence };
}

function* checkOnce(items: readonly { readonly id: string }[], list: string): Iterable<Disagreement> {
  const first = new Map<string, number>();
  for (const [i, { id }] of items.entries()) {
    const earlier = first.get(id);
    if (earlier === undefined) first.set(id, i);
    else {
      yield wrong(
        [list, i, 'id'],
        (nameOf) => `must differ from the id of ${nameOf([list, earlier])}, given ${quote(id)}`,
      );
    }
  }
}

function* checkServers(regions: readonly RegionConfig[]): Iterable<Disagreement> {
  const first = new Map<string, Path>();
  for (const [i, region] of regions.entries()) {
    for (const [j, { url }] of (region.servers ?? []).entries()) {
      const path = ['regions', i, 'servers', j];
      const earlier = first.get(url);
      if (earlier === undefined) first.set(url, path);
      else yield wrong(path, (nameOf) => `must differ from ${nameOf(earlier)}, given ${quote(url)}`);
    }
  }
}

function* checkServerCount(regions: readonly RegionConfig[]): Iterable<Disagreement> {
  let count = 0;
  for (const [i, { servers = [] }] of regions.entries()) {
    const before = count;
    count += servers.length;
    if (before > MAX_SERVERS || count <= MAX_SERVERS) continue;
    const all = regions.reduce((sum, region) => sum + (region.servers?.length ?? 0), 0);
    yield wrong(['regions', i, 'servers'], `must be at most ${MAX_SERVERS} in all regions, given ${all}`);
  }
}

/** Every distinct set of regions has a table of its own, and a plan has room for so many. */
function* checkTables(config: Config): Iterable<Disagreement> {
  const tables = tableSets(config);
  const sets = tables.filter(({ critical, thresholds }) => !critical && thresholds === undefined);
  const oneTooMany = sets[MAX_TABLES];
  if (oneTooMany !== undefined) {
    const message = `must be one of at most ${MAX_TABLES} different sets in all routes, given ${sets.length}`;
    yield wrong(['routes', oneTooMany.route, 'regions'], message);
    return;
  }
  const last = tables.findLast(({ critical, thresholds }) => critical || thresholds !== undefined);
  if (tables.length <= MAX_TABLES || last === undefined) return;
  yield wrong(
    ['routes', last.route, last.critical ? 'priority' : 'thresholds'],
    `must leave at most ${MAX_TABLES} tables, one for each set of regions in routes, another for each thresholds of their own, and for each a second one where requests may be critical; given ${tables.length}`,
  );
}

function* checkOrigin(region: RegionConfig, i: number): Iterable<Disagreement> {
  const hasServers = region.servers !== undefined;
  const hasManager = region.rem !== undefined;
  if (hasServers === hasManager) {
    yield wrong(
      ['regions', i],
      `must have exactly one of servers, rem; given ${hasServers ? 'both' : 'none'}`,
    );
  }
  if (region.remToken !== undefined && !hasManager) {
    yield wrong(['regions', i, 'remToken'], 'must stand beside rem, which is not given', [['regions', i]]);
  }
}

function* checkKnown(
  path: Path,
  given: string | undefined,
  declared: ReadonlySet<string> | null,
): Iterable<Disagreement> {
  if (given === undefined || declared === null || declared.has(given)) return;
  yield wrong(path, notOneOf([...declared], given));
}

function* checkRegionLists(
  route: RouteConfig,
  i: number,
  declared: ReadonlySet<string> | null,
): Iterable<Disagreement> {
  for (const key of ['regions', 'residency'] as const) {
    const ids = route[key] ?? [];
    for (const [j, id] of ids.entries()) {
      const path = ['routes', i, key, j];
      yield* checkKnown(path, id, declared);
      const earlier = ids.indexOf(id);
      if (earlier < j) yield wrong(path, `must be named once, given ${quote(id)} again`);
    }
  }
  const { regions, residency, shadow } = route;
  yield* checkKnown(['routes', i, 'shadow', 'to'], shadow.to, declared);
  if (residency.length === 0) return;
  const lists: Path[] = [
    ['routes', i, 'regions'],
    ['routes', i, 'residency'],
  ];
  if (regions !== undefined && !regions.some((id) => residency.includes(id))) {
    const sentence = `must share a region with regions (${regions.join(', ')}), or nobody may serve the route; given ${residency.join(', ')}`;
    yield wrong(['routes', i, 'residency'], sentence, lists);
  }
  if (shadow.to !== undefined && !residency.includes(shadow.to)) {
    const sentence = `must be one of residency (${residency.join(', ')}), which holds for copies too; given ${quote(shadow.to)}`;
    yield wrong(['routes', i, 'shadow', 'to'], sentence, lists);
  }
}

function* checkWeights({ regions }: Config, route: RouteConfig, i: number): Iterable<Disagreement> {
  const eligible = [...regions.entries()].filter(
    ([, { id }]) =>
      (route.regions?.includes(id) ?? true) && (route.residency.length === 0 || route.residency.includes(id)),
  );
  if (eligible.length === 0 || eligible.some(([, region]) => region.weight > 0)) return;
  const ids = eligible.map(([, { id }]) => id).join(', ');
  // Without a list of its own, the route stands for all regions: the weights are the mistake.
  const path =
    route.regions === undefined ? ['regions', eligible[0]![0], 'weight'] : ['routes', i, 'regions'];
  const about: Path[] = eligible.map(([j]) => ['regions', j, 'weight']);
  about.push(['routes', i, 'regions']);
  yield wrong(path, `one region of route ${route.id} must have a weight above 0, given ${ids} with 0`, about);
}

function* checkDistance(config: Config, route: RouteConfig, i: number): Iterable<Disagreement> {
  const policy = route.policy ?? config.sharding.policy;
  if (policy !== 'geographic_proximity' || config.clientLocation.header !== undefined) return;
  const origin = config.regions.findIndex((region) => region.id === config.region);
  if (config.regions[origin]?.location !== undefined) return;
  const path = route.policy === undefined ? ['sharding', 'policy'] : ['routes', i, 'policy'];
  const about: Path[] = [['region'], ['clientLocation'], ...(origin === -1 ? [] : [['regions', origin]])];
  const sentence =
    'geographic_proximity has nothing to measure from: set region to a region with a location, or clientLocation.header';
  yield { path, about, severity: 'warning', sentence };
}

function* checkRetry({ retry }: RouteConfig, i: number): Iterable<Disagreement> {
  if (retry.cap >= retry.base) return;
  const sentence = `must be at least base (${formatDuration(retry.base)}), given ${formatDuration(retry.cap)}`;
  yield wrong(['routes', i, 'retry', 'cap'], sentence, [['routes', i, 'retry', 'base']]);
}

function* checkHedge({ hedge, retry, timeouts }: RouteConfig, i: number): Iterable<Disagreement> {
  if (hedge.after === 0) return;
  const path = ['routes', i, 'hedge', 'after'];
  if (retry.attempts < 2) {
    const sentence = `needs a second try (retry.attempts is ${retry.attempts}), given ${formatDuration(hedge.after)}`;
    yield wrong(path, sentence, [['routes', i, 'retry', 'attempts']]);
  }
  if (timeouts.response === 0 || hedge.after < timeouts.response) return;
  const sentence = `must be less than timeouts.response (${formatDuration(timeouts.response)}), given ${formatDuration(hedge.after)}`;
  yield wrong(path, sentence, [['routes', i, 'timeouts', 'response']]);
}

/** As they are with what pae.thresholds says of those that the route does not name. */
function* checkThresholds(config: Config, route: RouteConfig, i: number): Iterable<Disagreement> {
  const thresholds = ownThresholds(config, route);
  if (thresholds === undefined) return;
  const { low, high, evict } = thresholds;
  if (low < high && high <= evict) return;
  const about: Path[] = [
    ['routes', i, 'thresholds'],
    ['pae', 'thresholds'],
  ];
  yield wrong(['routes', i, 'thresholds'], thresholdsSentence(low, high, evict), about);
}

export const thresholdsSentence = (low: number, high: number, evict: number): string =>
  `must be low < high <= evict, given ${low}, ${high}, ${evict}`;

function* checkReach(routes: readonly RouteConfig[]): Iterable<Disagreement> {
  for (const { route, coveredBy } of findShadowedRoutes(routes.map(({ match }) => match))) {
    const about: Path[] = [['routes', coveredBy]];
    yield {
      path: ['routes', route],
      about,
      severity: 'warning',
      sentence: (nameOf) =>
        `is never reached: ${nameOf(['routes', coveredBy])} (${routes[coveredBy]!.id}) stands before it and takes all that it would`,
    };
  }
}
