// Configuration -> the tables that a plan must have: one per distinct set of eligible regions, and a second one
// for sets that critical requests may use.

import type { Config } from '../config/schema.ts';
import { tableSets } from '../config/table-sets.ts';
import { type OwnThresholds, thresholdsName } from '../core/route-thresholds.ts';
import type { Plan, PlanTable } from '../plan/plan.ts';
import { regionSetKey, thresholdsKey } from '../routing/build-snapshot.ts';
import type { PreferenceOrders } from '../routing/ring.ts';
import type { SharedTables } from '../state/shared-tables.ts';

export interface TableRequest {
  /** Sorted. */
  readonly regionIds: readonly string[];
  readonly critical: boolean;
  /** Of the routes that use it; undefined = those of all. */
  readonly thresholds: OwnThresholds | undefined;
  readonly orders: PreferenceOrders;
}

export function tableRequests(config: Config, tables: SharedTables): TableRequest[] {
  return tableSets(config).map(({ regionIds, critical, thresholds }) => ({
    regionIds,
    critical,
    thresholds,
    orders: tables.ordersFor(regionIds, config.sharding.shards),
  }));
}

/** Serves by the engine's plans; otherwise by base weights, whatever an engine computes. */
export function followsEngine({ pae }: Config): boolean {
  return pae.mode === 'advisory' || pae.mode === 'auto';
}

/** Serves by the plans of an engine in another process, which knows nothing of what is said to this one. */
export function isLedElsewhere(config: Config): boolean {
  return followsEngine(config) && config.pae.source !== 'embedded';
}

/** A plan's table for these regions and thresholds, not the one for critical requests. */
export function tableFor(
  plan: Plan,
  regionIds: readonly string[],
  thresholds: OwnThresholds | undefined,
): PlanTable | undefined {
  const key = thresholdsKey(regionSetKey(regionIds), thresholds);
  return plan.tables.find(
    (one) => !one.critical && thresholdsKey(regionSetKey(one.regions), one.thresholds) === key,
  );
}

/** Whether a plan that somebody else made has what this configuration needs; a sentence if not. */
export function misfit(plan: Plan, config: Config): string | undefined {
  const ids = config.regions.map(({ id }) => id).sort();
  const planned = plan.regions.map(({ id }) => id);
  if (ids.join() !== planned.join()) {
    return `regions: must be those of the configuration (${ids.join(', ')}), given ${planned.join(', ')}`;
  }
  for (const { regionIds, critical, thresholds } of tableSets(config)) {
    // Where there is none for critical requests they use the one of all; and so do thresholds, until an engine of
    // this process has read them. One that is elsewhere has another file, and never would.
    if (critical || (thresholds !== undefined && config.pae.source === 'embedded')) continue;
    const table = tableFor(plan, regionIds, thresholds);
    if (table === undefined) {
      const by = thresholds === undefined ? '' : ` with thresholds ${thresholdsName(thresholds)}`;
      return `tables: must have one for ${regionSetKey(regionIds)}${by}, which a route of this proxy uses`;
    }
    if (table.shards !== config.sharding.shards) {
      return `tables.${table.id}.shards: must be sharding.shards (${config.sharding.shards}), given ${table.shards}`;
    }
  }
  return undefined;
}
