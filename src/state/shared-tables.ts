// Tables and ring orders in shared memory: made once on the main thread, read by all workers, never written
// after publication. Orders depend on the region ids alone and are the dear part, so they are kept per
// region set.

import { LRUCache } from 'lru-cache';
import { regionIndex } from '../core/ids.ts';
import { decodeOwners, type Plan, type PlanTable } from '../plan/plan.ts';
import { criticalKey, regionSetKey, type SetTable, thresholdsKey } from '../routing/build-snapshot.ts';
import { xxh64Text } from '../routing/hash.ts';
import { type Movement, NOT_MOVING, type SetShift } from '../routing/ownership.ts';
import { type PreferenceOrders, preferenceOrders } from '../routing/ring.ts';

// Sets whose orders are kept: more than a plan may have tables, so that a change of configuration and its
// undoing cost nothing.
const KEPT_ORDERS = 64;

export class SharedTables {
  readonly #orders = new LRUCache<string, PreferenceOrders>({ max: KEPT_ORDERS });

  /** Orders over `regionIds`, shared between threads. */
  ordersFor(regionIds: readonly string[], shardCount: number): PreferenceOrders {
    const sorted = [...regionIds].sort();
    const key = `${shardCount}:${regionSetKey(sorted)}`;
    let orders = this.#orders.get(key);
    if (orders === undefined) {
      const buffer = new SharedArrayBuffer(shardCount * sorted.length * 2);
      orders = preferenceOrders(sorted, shardCount, buffer);
      this.#orders.set(key, orders);
    }
    return orders;
  }

  /**
   * A plan's tables by `regionSetKey`, as the snapshot wants them.
   * @param toMonotonic wall milliseconds of the plan to monotonic ones of this process.
   */
  tablesOf(plan: Plan, toMonotonic: (wallMs: number) => number): Record<string, SetTable> {
    const tables: Record<string, SetTable> = {};
    for (const table of plan.tables) {
      const key = thresholdsKey(regionSetKey(table.regions), table.thresholds);
      tables[table.critical ? criticalKey(key) : key] = {
        owners: share(decodeOwners(table.owners)),
        orders: this.ordersFor(table.regions, table.shards),
        movement: movementOf(table, toMonotonic),
        weights: table.weights,
      };
    }
    return tables;
  }
}

function share(numbers: Uint16Array): Uint16Array {
  const shared = new Uint16Array(new SharedArrayBuffer(numbers.byteLength));
  shared.set(numbers);
  return shared;
}

function movementOf(table: PlanTable, toMonotonic: (wallMs: number) => number): Movement {
  const at = (instant: string): number => toMonotonic(Date.parse(instant));
  return {
    shift: table.shift === undefined ? null : shiftOf(table.shift, table.shards, at),
    lends: new Map(
      table.lends.map(({ shard, to, share, until }) => [
        shard,
        { shard, to: regionIndex(to), share, until: at(until) },
      ]),
    ),
    neutral: new Map(table.neutral.map(([shard, owner]) => [shard, regionIndex(owner)])),
  };
}

function shiftOf(
  shift: NonNullable<PlanTable['shift']>,
  shards: number,
  at: (instant: string) => number,
): SetShift {
  const from = new Uint16Array(new SharedArrayBuffer(shards * 2)).fill(NOT_MOVING);
  for (const [shard, before] of shift.moving) from[shard] = before;
  return {
    seed: xxh64Text(shift.id),
    from,
    progress: shift.progress.map(([instant, value]): [number, number] => [at(instant), value]),
  };
}
