// Configuration -> plan, while no engine is asked (`pae.mode: off`): every region's weight is its base
// weight, the tables are those before moved by what changed.

import type { Config } from '../config/schema.ts';
import { buildPlan, type PlanStamp, type TableRequest } from '../plan/build-plan.ts';
import type { Plan } from '../plan/plan.ts';
import { eligibleRegions, regionSetKey } from '../routing/build-snapshot.ts';
import type { SharedTables } from '../state/shared-tables.ts';

/**
 * The plan for `config`.
 * @returns `previous` itself when nothing in it would change, so that a reload of a comment is no new plan.
 */
export function basePlan(
  config: Config,
  previous: Plan | undefined,
  tables: SharedTables,
  stamp: PlanStamp,
): Plan {
  const plan = buildPlan(
    {
      mode: 'off',
      regions: config.regions.map(({ id, weight, capacity }) => ({
        id,
        baseWeight: weight,
        weight,
        capacity,
      })),
      failoverOrder: config.regions.map((region) => region.id),
      tables: tableRequests(config, tables),
      shards: config.sharding.shards,
      previous,
      ttlSeconds: config.pae.planTtl / 1000,
    },
    stamp,
  );
  return previous?.digest === plan.digest ? previous : plan;
}

/** One table per distinct set of eligible regions. */
function tableRequests(config: Config, tables: SharedTables): TableRequest[] {
  const sets = new Map<string, readonly string[]>();
  for (const route of config.routes) {
    const regionIds = [...eligibleRegions(config, route)].sort();
    sets.set(regionSetKey(regionIds), regionIds);
  }
  return [...sets.values()].map((regionIds) => ({
    regionIds,
    orders: tables.ordersFor(regionIds, config.sharding.shards),
  }));
}
