// Configuration -> the tables that a plan must have: one per distinct set of eligible regions, and a second one
// for sets that critical requests may use.

import type { Config } from '../config/schema.ts';
import { tableSets } from '../config/table-sets.ts';
import type { Plan } from '../plan/plan.ts';
import { regionSetKey } from '../routing/build-snapshot.ts';
import type { PreferenceOrders } from '../routing/ring.ts';
import type { SharedTables } from '../state/shared-tables.ts';

export interface TableRequest {
  /** Sorted. */
  readonly regionIds: readonly string[];
  readonly critical: boolean;
  readonly orders: PreferenceOrders;
}

export function tableRequests(config: Config, tables: SharedTables): TableRequest[] {
  return tableSets(config).map(({ regionIds, critical }) => ({
    regionIds,
    critical,
    orders: tables.ordersFor(regionIds, config.sharding.shards),
  }));
}

/** Serves by the engine's plans; otherwise by base weights, whatever an engine computes. */
export function followsEngine({ pae }: Config): boolean {
  return pae.mode === 'advisory' || pae.mode === 'auto';
}

/** Whether a plan that somebody else made has what this configuration needs; a sentence if not. */
export function misfit(plan: Plan, config: Config): string | undefined {
  const ids = config.regions.map(({ id }) => id).sort();
  const planned = plan.regions.map(({ id }) => id);
  if (ids.join() !== planned.join()) {
    return `regions: must be those of the configuration (${ids.join(', ')}), given ${planned.join(', ')}`;
  }
  for (const { regionIds, critical } of tableSets(config)) {
    // Where there is none for critical requests they use the one of all.
    if (critical) continue;
    const key = regionSetKey(regionIds);
    const table = plan.tables.find((one) => !one.critical && regionSetKey(one.regions) === key);
    if (table === undefined) return `tables: must have one for ${key}, which a route of this proxy uses`;
    if (table.shards !== config.sharding.shards) {
      return `tables.${table.id}.shards: must be sharding.shards (${config.sharding.shards}), given ${table.shards}`;
    }
  }
  return undefined;
}
