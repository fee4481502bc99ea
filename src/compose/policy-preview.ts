// What other policies would do to the traffic of now: a plan for the configuration they make, compared with the one in
// force. Shards are exact; load is an estimate, from each route's share of the requests since the start.

import { isDeepStrictEqual } from 'node:util';
import type { Config } from '../config/schema.ts';
import type { RouteConfig } from '../config/schema-route.ts';
import type { PolicyPreview } from '../control/desk-port.ts';
import type { RegionReport } from '../control/source.ts';
import { eligibleRegions } from '../core/eligible-regions.ts';
import { decodeOwners, type Plan } from '../plan/plan.ts';
import { regionSetKey } from '../routing/build-snapshot.ts';
import type { SharedTables } from '../state/shared-tables.ts';
import { basePlan } from './base-plan.ts';

export interface PreviewOf {
  readonly before: Config;
  readonly after: Config;
  readonly plan: Plan;
  readonly tables: SharedTables;
  readonly regions: readonly RegionReport[];
  /** Share of all requests, by route; empty before the first one. */
  readonly routeShares: ReadonlyMap<string, number>;
}

export function previewPolicies({
  before,
  after,
  plan,
  tables,
  regions,
  routeShares,
}: PreviewOf): PolicyPreview {
  const stamp = { incarnation: plan.incarnation, generation: plan.generation + 1, at: plan.issuedAt };
  const next = basePlan(after, { previous: plan, keepsWeights: true }, tables, stamp);
  const now = new Map(regions.map(({ id, requestsPerSecond }) => [id, requestsPerSecond]));
  const load = new Map(now);
  const diff: { route: string; from: object; to: object }[] = [];
  let shardsMoved = 0;
  let loadMoved = 0;
  for (const [i, route] of after.routes.entries()) {
    const former = before.routes[i]!;
    if (isDeepStrictEqual(former, route)) continue;
    diff.push({ route: route.id, ...differingKeys(former, route) });
    const from = ownersOf(plan, before, former);
    const to = ownersOf(next, after, route);
    const share = routeShares.get(route.id) ?? 0;
    const owned = Map.groupBy(from, (owner) => owner);
    for (const [shard, owner] of to.entries()) {
      const earlier = from[shard];
      if (earlier === undefined || earlier === owner) continue;
      const moved = ((now.get(earlier) ?? 0) * share) / owned.get(earlier)!.length;
      shardsMoved += 1;
      loadMoved += moved;
      load.set(earlier, (load.get(earlier) ?? 0) - moved);
      load.set(owner, (load.get(owner) ?? 0) + moved);
    }
  }
  const utilisation = regions.map(({ id, capacity }) => [
    id,
    capacity === undefined ? null : round(Math.max(0, load.get(id) ?? 0) / capacity),
  ]);
  return {
    diff,
    shardsMoved,
    loadMoved: round(loadMoved),
    projectedUtilisation: Object.fromEntries(utilisation),
  };
}

/** Region that owns each shard of a route's table. */
function ownersOf(plan: Plan, config: Config, route: RouteConfig): string[] {
  const key = regionSetKey(eligibleRegions(config, route));
  const table = plan.tables.find((one) => !one.critical && regionSetKey(one.regions) === key);
  if (table === undefined) return [];
  return [...decodeOwners(table.owners)].map((owner) => plan.regions[owner]?.id ?? 'none');
}

function differingKeys(from: RouteConfig, to: RouteConfig): { from: object; to: object } {
  const keys = (Object.keys(to) as (keyof RouteConfig)[]).filter(
    (key) => !isDeepStrictEqual(from[key], to[key]),
  );
  const pick = (route: RouteConfig): object =>
    Object.fromEntries(keys.map((key) => [key, route[key] ?? null]));
  return { from: pick(from), to: pick(to) };
}

const round = (value: number): number => Math.round(value * 1000) / 1000;
