// What other policies would do to the traffic of now: a plan for the configuration they make, compared with the one in
// force. Shards are exact; load is an estimate, from each route's share of the requests since the start.

import { isDeepStrictEqual } from 'node:util';
import type { Config } from '../config/schema.ts';
import type { RouteConfig } from '../config/schema-route.ts';
import type { PolicyPreview } from '../control/desk-port.ts';
import type { RegionReport } from '../control/source.ts';
import { eligibleRegions } from '../core/eligible-regions.ts';
import { ownThresholds } from '../core/route-thresholds.ts';
import { decodeOwners, type Plan } from '../plan/plan.ts';
import type { SharedTables } from '../state/shared-tables.ts';
import { basePlan } from './base-plan.ts';
import { policyViolations } from './policy-violations.ts';
import { demandOf, NO_CHANGE, roundOver } from './simulation.ts';
import { followsEngine, tableFor, tableRequests } from './table-requests.ts';

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
  const apart = tablesApart(after, plan, tables);
  const now = new Map(regions.map(({ id, requestsPerSecond }) => [id, requestsPerSecond]));
  const load = new Map(now);
  const diff: { route: string; from: object; to: object }[] = [];
  let shardsMoved = 0;
  let loadMoved = 0;
  for (const [i, route] of after.routes.entries()) {
    const former = before.routes[i]!;
    if (isDeepStrictEqual(former, route)) continue;
    diff.push({ route: route.id, ...differingKeys(former, route) });
    const from = ownersOf([plan], before, former);
    const to = ownersOf([...apart, next], after, route);
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
  const projectedUtilisation = Object.fromEntries(
    regions.map(({ id, capacity }) => [
      id,
      capacity === undefined ? null : round(Math.max(0, load.get(id) ?? 0) / capacity),
    ]),
  );
  return {
    diff,
    shardsMoved,
    loadMoved: round(loadMoved),
    projectedUtilisation,
    violatedPolicies: policyViolations(after, regions, projectedUtilisation),
  };
}

/** With the tables of routes that have risk thresholds of their own, which an engine's next round would make. */
function tablesApart(config: Config, plan: Plan, tables: SharedTables): Plan[] {
  const requests = tableRequests(config, tables);
  if (!followsEngine(config) || requests.every(({ thresholds }) => thresholds === undefined)) return [];
  const { mode } = config.pae;
  return [roundOver(plan, config, requests, { mode, change: NO_CHANGE, demand: demandOf(plan) })];
}

/** Region that owns each shard of a route's table, in the first plan that has one for its thresholds, else for all. */
function ownersOf(plans: readonly Plan[], config: Config, route: RouteConfig): string[] {
  const regionIds = eligibleRegions(config, route);
  const thresholds = ownThresholds(config, route);
  for (const asked of thresholds === undefined ? [undefined] : [thresholds, undefined]) {
    // A round makes the tables of all anew; those in force, as the base plan leaves them, are nearer to what will be.
    for (const plan of asked === undefined ? plans.slice(-1) : plans) {
      const table = tableFor(plan, regionIds, asked);
      if (table === undefined) continue;
      return [...decodeOwners(table.owners)].map((owner) => plan.regions[owner]?.id ?? 'none');
    }
  }
  return [];
}

function differingKeys(from: RouteConfig, to: RouteConfig): { from: object; to: object } {
  // Of both: what a policy that goes away had said is no key of the route any more.
  const known = new Set([...Object.keys(from), ...Object.keys(to)] as (keyof RouteConfig)[]);
  const keys = [...known].filter((key) => !isDeepStrictEqual(from[key], to[key]));
  const pick = (route: RouteConfig): object =>
    Object.fromEntries(keys.map((key) => [key, route[key] ?? null]));
  return { from: pick(from), to: pick(to) };
}

const round = (value: number): number => Math.round(value * 1000) / 1000;
