import fc from 'fast-check';
import t from 'tap';
import { regionIndex } from '../../src/core/ids.ts';
import { firstUsable, healthFactor, type SetView, viewOfSet } from '../../src/routing/eligibility.ts';
import { World, type WorldOptions } from '../rig/world.ts';

const viewOf = (world: World): SetView => viewOfSet(world.snapshot, world.route().set, world.live());
const keepsOf = (world: World): number[] =>
  [...viewOf(world).keeps].map((keep) => Math.round(keep * 1000) / 1000);
const removedOf = (world: World): string[] =>
  viewOf(world).removed.map(
    ({ region, stage, reason }) => `${world.snapshot.regions[region]!.id} ${stage} ${reason}`,
  );

const ten = (...ids: string[]): WorldOptions => ({ regions: ids.map((id) => ({ id, servers: 10 })) });

t.test('a region keeps its full share down to 71 % healthy servers (published table of Envoy)', async (t) => {
  const table = [
    [100, 100],
    [72, 100],
    [71, 99.4],
    [50, 70],
    [25, 35],
    [0, 0],
  ] as const;
  for (const [healthy, percent] of table) {
    t.equal(Math.round(healthFactor(healthy, 100) * 1000) / 10, percent, `${healthy} of 100`);
  }
  t.equal(healthFactor(0, 0), 0, 'no servers at all');
});

t.test('the share is counted against registered servers: two ready of a hundred are not all', async (t) => {
  const world = new World({
    regions: [
      { id: 'a', servers: 100 },
      { id: 'b', servers: 200 },
    ],
  });
  world.setHealth('a', ...Array.from({ length: 98 }, () => 'unhealthy' as const));
  t.strictSame(keepsOf(world), [0.028, 1]);
});

t.test(
  'unknown and degraded servers serve; unhealthy, draining, parked and ejected ones do not',
  async (t) => {
    const world = new World({ regions: [{ id: 'a', servers: 6 }] });
    world.setHealth('a', 'unknown', 'degraded', 'unhealthy', 'draining', 'maintenance', 'ejected');
    const view = viewOf(world);
    t.equal(world.live().healthy[0], 2);
    t.equal(world.live().registered[0], 6);
    t.equal(view.panic, true, 'two of six');
  },
);

t.test('a region of weight 0 is filtered out, healthy as it may be', async (t) => {
  const world = new World({ ...ten('a', 'b'), weights: { a: 0 } });
  t.strictSame(keepsOf(world), [0, 1]);
  t.strictSame(removedOf(world), ['a filter weight_zero']);
});

t.test('a region without servers is filtered out', async (t) => {
  const world = new World({
    regions: [{ id: 'a' }, { id: 'b', servers: 0 }],
    parts: {},
  });
  t.strictSame(removedOf(world), ['b filter no_server']);
});

t.test('a region without a healthy server is never chosen while another has one, panic or not', async (t) => {
  const world = new World(ten('a', 'b', 'c'));
  world.setHealthy('a', 0);
  t.strictSame(keepsOf(world), [0, 1, 1]);
  t.strictSame(removedOf(world), ['a gate unhealthy']);
  t.equal(viewOf(world).panic, false);
  world.setHealthy('b', 0).setHealthy('c', 1);
  t.equal(viewOf(world).panic, true, '1 of 30');
  t.strictSame(keepsOf(world), [0, 0, 1]);
});

t.test('panic begins below the threshold, over all servers of the set', async (t) => {
  const world = new World(ten('a', 'b'));
  world.setHealthy('a', 5).setHealthy('b', 5);
  t.equal(viewOf(world).panic, false, '50 %');
  t.strictSame(keepsOf(world), [0.7, 0.7]);
  world.setHealthy('b', 4);
  t.equal(viewOf(world).panic, true, '45 %');
  t.strictSame(keepsOf(world), [1, 1], 'health is no guide any more');
});

t.test('servers of regions outside the set or of weight 0 do not count for panic', async (t) => {
  const world = new World({ ...ten('a', 'b', 'c'), routes: [{ regions: ['a', 'b'] }], weights: { b: 0 } });
  world.setHealthy('b', 0).setHealthy('c', 0);
  t.equal(viewOf(world).panic, false);
  world.setHealthy('a', 4);
  t.equal(viewOf(world).panic, true);
});

t.test('without any healthy server everybody is asked, threshold or not', async (t) => {
  const world = new World({ ...ten('a', 'b'), parts: { health: { panicThreshold: '0%' } } });
  world.setHealthy('a', 0).setHealthy('b', 0);
  t.strictSame(keepsOf(world), [1, 1]);
  t.equal(viewOf(world).panic, true);
  world.setHealthy('a', 1);
  t.equal(viewOf(world).panic, false, 'a threshold of 0 knows no other panic');
  t.strictSame(keepsOf(world), [0.14, 0]);
});

const slotsOf = (world: World, region: number): number[] =>
  viewOf(world).servers[region]!.map(({ slot }) => slot);

t.test('outside panic a region offers its healthy servers', async (t) => {
  const world = new World(ten('a', 'b')).setHealth('a', 'unhealthy', 'ejected', 'draining');
  t.strictSame(slotsOf(world, 0), [3, 4, 5, 6, 7, 8, 9]);
});

t.test(
  'in panic a region offers every server that nobody has taken out, not the few that look healthy',
  async (t) => {
    const world = new World(ten('a', 'b'));
    const states = ['healthy', 'draining', 'maintenance', 'ejected'] as const;
    world
      .setHealth('a', ...states, ...Array.from({ length: 6 }, () => 'unhealthy' as const))
      .setHealthy('b', 1);
    t.equal(viewOf(world).panic, true);
    // One server would otherwise get what ten had: panic would fell it too.
    t.strictSame(slotsOf(world, 0), [0, 3, 4, 5, 6, 7, 8, 9]);
    t.equal(slotsOf(world, 1).length, 10);
  },
);

t.test('what an operator has taken out is not asked even when nothing else is left', async (t) => {
  const world = new World(ten('a', 'b'));
  const out = Array.from({ length: 10 }, () => 'maintenance' as const);
  world.setHealth('a', ...out).setHealthy('b', 0);
  t.strictSame(keepsOf(world), [0, 1]);
  t.strictSame(removedOf(world), ['a filter no_server']);
  world.setHealth('b', ...out);
  t.strictSame(keepsOf(world), [0, 0]);
});

t.test('a view is made once per change of health and shared until the next', async (t) => {
  const world = new World(ten('a', 'b'));
  const live = world.live();
  const { set } = world.route();
  t.equal(viewOfSet(world.snapshot, set, live), viewOfSet(world.snapshot, set, live));
  t.not(viewOfSet(world.snapshot, set, live), viewOfSet(world.snapshot, set, world.live()));
});

t.test(
  'whatever the health, a set with a healthy region names only healthy regions, and never a stranger',
  async () => {
    const world = new World({ ...ten('a', 'b', 'c', 'd'), routes: [{ regions: ['a', 'b', 'd'] }] });
    const count = fc.nat(10);
    fc.assert(
      fc.property(fc.tuple(count, count, count, count), (counts) => {
        for (const [i, id] of ['a', 'b', 'c', 'd'].entries()) world.setHealthy(id, counts[i]!);
        const view = viewOf(world);
        const eligible = [0, 1, 3];
        const some = eligible.some((region) => counts[region]! > 0);
        const usable = eligible.filter((region) => !some || counts[region]! > 0);
        return (
          [...view.usable].join() === usable.join() &&
          [...view.keeps].every((keep, region) => usable.includes(region) === keep > 0 && keep <= 1) &&
          usable.every((region) => view.servers[region]!.length > 0) &&
          view.removed.length === 3 - usable.length
        );
      }),
      { numRuns: 300 },
    );
  },
);

t.test('the first usable region of an order is the first that is not tried', async (t) => {
  const world = new World(ten('a', 'b', 'c')).setHealthy('b', 0);
  const view = viewOf(world);
  const tried = (...regions: number[]) => regions.map(regionIndex);
  t.equal(firstUsable(view, [1, 2, 0], []), 2);
  t.equal(firstUsable(view, [1, 2, 0], tried(2)), 0);
  t.equal(firstUsable(view, [1, 2, 0], tried(2, 0)), -1);
  t.equal(firstUsable(view, [], []), -1);
});
