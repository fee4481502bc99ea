import fc from 'fast-check';
import t from 'tap';
import { preferenceOrders } from '../../src/routing/ring.ts';
import { ordersOf, regionNames } from '../rig/regions.ts';

const SHARDS = 1024;

/** Orders as names, one list per shard. */
function namedOrders(ids: readonly string[], shards = SHARDS): string[][] {
  const { regions, regionCount } = ordersOf(ids, shards);
  return Array.from({ length: shards }, (_, shard) =>
    Array.from(regions.subarray(shard * regionCount, (shard + 1) * regionCount), (region) => ids[region]!),
  );
}

t.test('each shard has every region once', async (t) => {
  for (const count of [1, 2, 3, 10, 50]) {
    const ids = regionNames(count);
    const bad = namedOrders(ids).find((order) => [...order].sort().join() !== ids.join());
    t.equal(bad, undefined, `${count} regions`);
  }
});

t.test('orders depend on the region ids alone', async (t) => {
  const ids = ['eu-west', 'us-east', 'us-west'];
  t.strictSame(preferenceOrders(ids, 64).regions, preferenceOrders([...ids], 64).regions);
  // Pinned: every proxy and engine must agree on them, whatever version of Node or package it runs.
  const orders = namedOrders(ids, 64).map((order) => order.map((id) => ids.indexOf(id)).join(''));
  t.equal(
    orders.join(' '),
    [
      '201 012 201 201 012 120 012 102 201 021 012 102 210 021 120 012',
      '201 120 201 021 012 120 021 120 210 201 012 120 102 201 210 021',
      '210 210 210 102 021 201 210 201 021 102 201 012 102 201 021 120',
      '021 012 201 012 012 201 102 012 210 012 120 210 210 210 012 210',
    ].join(' '),
  );
});

t.test('without a region the others keep their order', async () => {
  fc.assert(
    fc.property(fc.integer({ min: 2, max: 8 }), fc.nat(), (count, pick) => {
      const ids = regionNames(count);
      const gone = ids[pick % count]!;
      const before = namedOrders(ids).map((order) => order.filter((id) => id !== gone).join());
      const after = namedOrders(ids.filter((id) => id !== gone)).map((order) => order.join());
      return before.every((order, shard) => order === after[shard]);
    }),
    { numRuns: 40 },
  );
});

t.test('first choices are spread over the regions, and so are second ones of a lost region', async (t) => {
  const ids = regionNames(8);
  const orders = namedOrders(ids, 4096);
  const count = (list: readonly string[]): number[] =>
    ids.map((id) => list.filter((other) => other === id).length);
  const firsts = count(orders.map((order) => order[0]!));
  t.ok(Math.max(...firsts) < 1.3 * 512, `at most ${Math.max(...firsts)} of 4096 shards prefer one of 8`);
  t.ok(Math.min(...firsts) > 0.7 * 512, `at least ${Math.min(...firsts)}`);
  const seconds = count(orders.filter((order) => order[0] === ids[0]).map((order) => order[1]!));
  t.ok(Math.max(...seconds) < 0.35 * firsts[0]!, 'no single region takes over from a lost one');
});

t.test('orders can be written into shared memory', async (t) => {
  const ids = regionNames(3);
  const buffer = new SharedArrayBuffer(64 * 3 * 2);
  const orders = preferenceOrders(ids, 64, buffer);
  t.equal(orders.regions.buffer, buffer);
  t.strictSame(orders.regions, Uint16Array.from(ordersOf(ids, 64).regions));
});
