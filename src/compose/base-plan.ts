// Configuration -> plan, while no engine is asked (`pae.mode: off`): every region's weight is its base
// weight, the tables are those before moved by what changed.

import type { Config } from '../config/schema.ts';
import { buildPlan, type PlanStamp } from '../plan/build-plan.ts';
import type { Plan } from '../plan/plan.ts';
import type { SharedTables } from '../state/shared-tables.ts';
import { tableRequests } from './table-requests.ts';

interface BaseFrom {
  /** Whose tables are moved on; undefined = they are derived. */
  readonly previous: Plan | undefined;
  /** An engine has the say over weights and its plan does not fit the configuration yet: what it said last holds. */
  readonly keepsWeights?: boolean;
}

/**
 * The plan for `config`.
 * @returns `previous` itself when nothing in it would change, so that a reload of a comment is no new plan.
 */
export function basePlan(
  config: Config,
  { previous, keepsWeights = false }: BaseFrom,
  tables: SharedTables,
  stamp: PlanStamp,
): Plan {
  const plan = buildPlan(
    {
      mode: 'off',
      regions: config.regions.map(({ id, weight, capacity }) => ({
        id,
        baseWeight: weight,
        weight: keepsWeights ? keptWeight(previous, id, weight) : weight,
        capacity,
      })),
      failoverOrder: config.regions.map((region) => region.id),
      // Without an engine nobody is at risk: critical requests use the table of all, and so do all thresholds.
      tables: tableRequests(config, tables).filter(
        ({ critical, thresholds }) => !critical && thresholds === undefined,
      ),
      shards: config.sharding.shards,
      previous,
      ttlSeconds: config.pae.planTtl / 1000,
    },
    stamp,
  );
  return previous?.digest === plan.digest ? previous : plan;
}

function keptWeight(previous: Plan | undefined, id: string, baseWeight: number): number {
  const before = previous?.regions.find((region) => region.id === id);
  // A base weight that was changed in the file is a human's word.
  return before !== undefined && before.baseWeight === baseWeight ? before.weight : baseWeight;
}
