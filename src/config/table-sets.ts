// Which tables a configuration needs: one for each distinct set of regions that a route may use, and a second one for
// sets that critical requests may use. Asked by the check of the file and by whoever makes plans, so that a file
// whose plan could not be made is refused.

import { eligibleRegions } from '../core/eligible-regions.ts';
import type { Config } from './schema.ts';
import type { RouteConfig } from './schema-route.ts';

export interface TableSet {
  /** Sorted. */
  readonly regionIds: readonly string[];
  readonly critical: boolean;
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
    const key = regionIds.join();
    add(key, { regionIds, critical: false, route: i });
    if (mayBeCritical(route)) add(`${key}!`, { regionIds, critical: true, route: i });
  }
  return [...sets.values()];
}

function mayBeCritical({ priority }: RouteConfig): boolean {
  return priority === 'critical' || typeof priority !== 'string';
}
