// Which tables a configuration needs: one for each distinct set of regions that a route may use, and a second one for
// sets that critical requests may use; again for routes that have risk thresholds of their own. Asked by the check of the file and by whoever makes plans, so that a file
// whose plan could not be made is refused.

import { eligibleRegions } from '../core/eligible-regions.ts';
import { type OwnThresholds, ownThresholds, thresholdsName } from '../core/route-thresholds.ts';
import type { Config } from './schema.ts';
import type { RouteConfig } from './schema-route.ts';

export interface TableSet {
  /** Sorted. */
  readonly regionIds: readonly string[];
  readonly critical: boolean;
  /** Of the routes that use it; undefined = those of all. */
  readonly thresholds: OwnThresholds | undefined;
  /** Index of the first route that needs it. */
  readonly route: number;
}

export function tableSets(config: Config): TableSet[] {
  const sets = new Map<string, TableSet>();
  const add = (key: string, set: TableSet): void => {
    if (!sets.has(key)) sets.set(key, set);
  };
  for (const [i, route] of config.routes.entries()) {
    const regionIds = [...eligibleRegions(config, route)].sort();
    const thresholds = ownThresholds(config, route);
    const key = `${regionIds.join()}@${thresholdsName(thresholds)}`;
    // Thresholds of their own are a deviation from the table of all, which is there before and after them.
    if (thresholds !== undefined) {
      add(`${regionIds.join()}@`, { regionIds, critical: false, thresholds: undefined, route: i });
    }
    add(key, { regionIds, critical: false, thresholds, route: i });
    if (mayBeCritical(route)) add(`${key}!`, { regionIds, critical: true, thresholds, route: i });
  }
  return [...sets.values()];
}

function mayBeCritical({ priority }: RouteConfig): boolean {
  return priority === 'critical' || typeof priority !== 'string';
}
