// Tables and plans over made-up regions, for tests of what moves.

import { type PreferenceOrders, preferenceOrders } from '../../src/routing/ring.ts';

const kept = new Map<string, PreferenceOrders>();

/** Ring orders, made once per set: building a ring is the dear part of these tests. */
export function ordersOf(regionIds: readonly string[], shardCount: number): PreferenceOrders {
  const key = `${shardCount}:${regionIds.join()}`;
  let orders = kept.get(key);
  if (orders === undefined) {
    orders = preferenceOrders(regionIds, shardCount);
    kept.set(key, orders);
  }
  return orders;
}

/** `r00`, `r01`, ... sorted. */
export function regionNames(count: number): string[] {
  return Array.from({ length: count }, (_, i) => `r${String(i).padStart(2, '0')}`);
}
