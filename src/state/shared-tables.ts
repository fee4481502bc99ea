// Tables and ring orders in shared memory: made once on the main thread, read by all workers, never written
// after publication. Orders depend on the region ids alone and are the dear part, so they are kept per
// region set.

import { LRUCache } from 'lru-cache';
import { decodeOwners, type Plan } from '../plan/plan.ts';
import { regionSetKey, type SetTable } from '../routing/build-snapshot.ts';
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

  /** A plan's tables by `regionSetKey`, as the snapshot wants them. */
  tablesOf(plan: Plan): Record<string, SetTable> {
    const tables: Record<string, SetTable> = {};
    for (const table of plan.tables) {
      const decoded = decodeOwners(table.owners);
      const owners = new Uint16Array(new SharedArrayBuffer(decoded.byteLength));
      owners.set(decoded);
      tables[regionSetKey(table.regions)] = { owners, orders: this.ordersFor(table.regions, table.shards) };
    }
    return tables;
  }
}
