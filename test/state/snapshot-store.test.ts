import t from 'tap';
import { basePlan } from '../../src/compose/base-plan.ts';
import { snapshotInput } from '../../src/compose/routing-publisher.ts';
import { configSchema } from '../../src/config/schema.ts';
import type { SnapshotInput } from '../../src/routing/build-snapshot.ts';
import { LiveCells } from '../../src/state/live-cells.ts';
import { SharedTables } from '../../src/state/shared-tables.ts';
import { SnapshotStore } from '../../src/state/snapshot-store.ts';

const tables = new SharedTables();

/** An input whose snapshot takes several slices to compile. */
function input(configGeneration: number, routes = 200): SnapshotInput {
  const config = configSchema.parse({
    listen: [{ address: '127.0.0.1:0' }],
    sharding: { shards: 64 },
    regions: [{ id: 'a', servers: ['http://10.0.0.1:1', 'http://10.0.0.2:1'] }],
    routes: Array.from({ length: routes }, (_, i) => ({ id: `r${i}`, match: { path: `/${i}` } })),
  });
  const at = '2026-01-01T00:00:00.000Z';
  const plan = basePlan(config, { previous: undefined }, tables, {
    incarnation: '01JD0000000000000000000000',
    generation: 1,
    at,
  });
  const slots = {
    'http://10.0.0.1:1': { slot: 0, incarnation: 1 },
    'http://10.0.0.2:1': { slot: 1, incarnation: 1 },
  };
  return snapshotInput(config, plan, tables, {
    configGeneration,
    slots,
    policies: {},
    roundTrips: {},
    toMonotonic: (ms) => ms,
  });
}

t.test('there is nothing to serve by before the first snapshot, which says so', async (t) => {
  const store = new SnapshotStore(new LiveCells(1), () => {});
  t.equal(store.isReady, false);
  t.throws(() => store.current(), /no snapshot yet/);
  t.equal(await store.load(input(1)), true);
  t.equal(store.isReady, true);
});

t.test('a snapshot is compiled between requests and seen whole or not at all', async (t) => {
  const swapped: number[] = [];
  const store = new SnapshotStore(new LiveCells(1), ({ configGeneration }) => swapped.push(configGeneration));
  await store.load(input(1));
  const kept = store.current();
  let pauses = 0;
  await store.load(input(2), async () => {
    pauses += 1;
    t.equal(store.current(), kept, 'requests meanwhile see the one before');
  });
  t.ok(pauses >= 4, `made in slices, ${pauses} pauses`);
  t.equal(store.current().snapshot.configGeneration, 2);
  t.equal(store.current().snapshot.routes.length, 200);
  t.equal(kept.snapshot.configGeneration, 1, 'who took one keeps it');
  t.strictSame(swapped, [1, 2]);
});

t.test('a newer input overtakes one that is being compiled, which is given up', async (t) => {
  const swapped: number[] = [];
  const store = new SnapshotStore(new LiveCells(1), ({ configGeneration }) => swapped.push(configGeneration));
  const resume: (() => void)[] = [];
  const slow = store.load(input(1), () => new Promise((resolve) => resume.push(resolve)));
  t.equal(await store.load(input(2)), true);
  for (const go of resume) go();
  t.equal(await slow, false);
  t.equal(store.current().snapshot.configGeneration, 2);
  t.strictSame(swapped, [2]);
});

t.test(
  'the view of health is made anew when the main thread has published, and shared until then',
  async (t) => {
    const cells = new LiveCells(1);
    for (const slot of [0, 1]) cells.resetSlot(slot);
    const store = new SnapshotStore(cells, () => {});
    await store.load(input(1));
    const first = store.current();
    t.equal(store.current(), first);
    cells.setHealth(0, 'unhealthy');
    t.equal(store.current(), first, 'not before it is published');
    cells.publish();
    const second = store.current();
    t.equal(second.snapshot, first.snapshot);
    t.strictSame([first.live.healthy[0], second.live.healthy[0]], [2, 1]);
    t.strictSame(
      second.live.servers[0]!.map(({ slot }) => Number(slot)),
      [1],
    );
    cells.setHealth(0, 'draining');
    cells.setEjected(1, true);
    cells.publish();
    const { live } = store.current();
    t.strictSame([live.registered[0], live.healthy[0], live.present[0]!.length], [2, 0, 1]);
  },
);
