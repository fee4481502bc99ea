import t from 'tap';
import { decodeOwners } from '../../src/plan/plan.ts';
import { criticalKey, regionSetKey } from '../../src/routing/build-snapshot.ts';
import { NOT_MOVING } from '../../src/routing/ownership.ts';
import { preferenceOrders } from '../../src/routing/ring.ts';
import { SharedTables } from '../../src/state/shared-tables.ts';
import { World } from '../rig/world.ts';

const SHARDS = 64;
const { plan } = new World({
  regions: [{ id: 'a' }, { id: 'b' }, { id: 'c' }],
  routes: [{}, { match: { path: '/x' }, regions: ['b', 'a'] }],
});

t.test('orders are made once for a set of regions, however it is listed, in shared memory', async (t) => {
  const tables = new SharedTables();
  const orders = tables.ordersFor(['c', 'a', 'b'], SHARDS);
  t.equal(tables.ordersFor(['a', 'b', 'c'], SHARDS), orders);
  t.not(tables.ordersFor(['a', 'b'], SHARDS), orders);
  t.not(tables.ordersFor(['a', 'b', 'c'], 128), orders);
  t.ok(orders.regions.buffer instanceof SharedArrayBuffer);
  t.strictSame([...orders.regions], [...preferenceOrders(['a', 'b', 'c'], SHARDS).regions]);
});

t.test('every table of a plan is there by its set, owners in shared memory', async (t) => {
  const made = new SharedTables().tablesOf(plan, (ms) => ms);
  t.strictSame(Object.keys(made).sort(), [regionSetKey(['a', 'b']), regionSetKey(['a', 'b', 'c'])].sort());
  for (const table of plan.tables) {
    const { owners, movement } = made[regionSetKey(table.regions)]!;
    t.ok(owners.buffer instanceof SharedArrayBuffer);
    t.strictSame([...owners], [...decodeOwners(table.owners)]);
    t.equal(movement.shift, null);
    t.equal(movement.lends.size + movement.neutral.size, 0);
  }
});

t.test(
  'instants of a shift and of loans are on our clock; a critical table has a name of its own',
  async (t) => {
    const table = plan.tables.find(({ regions }) => regions.length === 3)!;
    const moved = {
      ...plan,
      tables: [
        {
          ...table,
          critical: true,
          shift: {
            id: '17',
            moving: [[12, 1]],
            progress: [
              ['2026-01-01T00:00:01.000Z', 0],
              ['2026-01-01T00:00:31.000Z', 1],
            ],
          },
          lends: [{ shard: 7, to: 0, share: 0.2, until: '2026-01-01T00:01:00.000Z' }],
          neutral: [[9, 2]],
        },
      ],
    } as unknown as typeof plan;
    const start = Date.UTC(2026, 0, 1);
    const made = new SharedTables().tablesOf(moved, (ms) => ms - start + 500);
    const { movement } = made[criticalKey(regionSetKey(['a', 'b', 'c']))]!;
    t.strictSame(movement.shift!.progress, [
      [1500, 0],
      [31_500, 1],
    ]);
    t.equal(movement.shift!.from[12], 1);
    t.equal(movement.shift!.from[13], NOT_MOVING);
    t.match(movement.lends.get(7), { to: 0, share: 0.2, until: 60_500 });
    t.equal(Number(movement.neutral.get(9)), 2);
  },
);
