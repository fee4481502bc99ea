import fc from 'fast-check';
import t from 'tap';
import { NO_REGION, regionIndex } from '../../src/core/ids.ts';
import { decide } from '../../src/routing/decide.ts';
import { firstUsable, healthFactor, type SetView, viewOfSet } from '../../src/routing/eligibility.ts';
import { fallbacksOf } from '../../src/routing/fallbacks.ts';
import { policyDocument } from '../../src/routing/regional-policy.ts';
import { contextOf, factsOf, World, type WorldOptions } from '../rig/world.ts';

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

t.test(
  'what a forecast has emptied serves when nobody else can, what a human has emptied never',
  async (t) => {
    const policies = [
      'weighted_random',
      'consistent_hash',
      'round_robin',
      'least_loaded',
      'geographic_proximity',
    ];
    const gone = { 'out on purpose': 'draining', dead: 'unhealthy' } as const;
    for (const policy of policies) {
      for (const [what, state] of Object.entries(gone)) {
        const chosen = (world: World): string => {
          world.setHealth('a', state);
          const decision = decide(
            world.snapshot,
            world.live(),
            factsOf({ fields: ['x-shard-key', 'k'] }),
            contextOf(),
          );
          if (decision.kind !== 'forward')
            return decision.kind === 'refuse' ? decision.reason : decision.kind;
          return world.snapshot.regions[decision.region]!.id;
        };
        const regions = ['a', 'b'].map((id) => ({ id, location: { lat: 0, lon: id === 'a' ? 0 : 9 } }));
        const routes = [{ policy }];
        const demoted = new World({ regions, routes, weights: { b: 0 } });
        t.equal(chosen(demoted), 'b', `${policy}: the others are ${what}`);
        const [a, b] = regions;
        const emptied = new World({ regions: [a!, { ...b!, weight: 0 }], routes });
        t.not(chosen(emptied), 'b', `${policy}: a human's word, the others ${what}`);
        const locked = new World({
          regions,
          routes,
          weights: { b: 0 },
          policies: { a: policyDocument.parse({ residency: [{ path: '/**', regions: ['a'] }] }) },
        });
        t.not(chosen(locked), 'b', `${policy}: nor what a lock keeps out, the others ${what}`);
      }
    }
  },
);

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

// What a demotion may cost a client (maxAddedLatency), and who makes room when nobody has any (priority).

const THREE = ['a', 'b', 'c'].map((id) => ({ id, servers: 2, capacity: 100 }));

function reachableFrom(world: World): Set<string> {
  const live = world.live();
  const context = contextOf({});
  const places = new Set<string>();
  for (let i = 0; i < 300; i++) {
    const facts = factsOf({ fields: ['x-shard-key', `user-${i}`] });
    const decision = decide(world.snapshot, live, facts, context);
    if (decision.kind !== 'forward') throw new Error(`not forwarded: ${decision.kind}`);
    for (const region of [decision.region, ...fallbacksOf(world.snapshot, decision)]) {
      if (region !== NO_REGION) places.add(world.snapshot.regions[region]!.id);
    }
  }
  return places;
}

t.test('a region farther than the nearest by more than a route allows is not turned to', async (t) => {
  const roundTrips = { a: 10, b: 35, c: 120 };
  const at = (maxAddedLatency: string): World =>
    new World({ regions: THREE, routes: [{ maxAddedLatency }], roundTrips });
  t.strictSame([...reachableFrom(at('0ms'))].sort(), ['a', 'b', 'c'], '0 is no bound');
  t.strictSame([...reachableFrom(at('30ms'))].sort(), ['a', 'b']);
  t.strictSame([...reachableFrom(at('20ms'))].sort(), ['a']);
  const world = at('20ms').setHealthy('a', 0);
  t.strictSame([...reachableFrom(world)].sort(), ['b'], 'the nearest of those that can serve counts');
});

t.test('where nothing was measured the distance counts, and what is not known bars nobody', async (t) => {
  const located = (lat: number, id: string) => ({ id, location: { lat, lon: 0 } });
  const regions = [located(0, 'a'), located(10, 'b'), located(60, 'c'), { id: 'd' }];
  const routes = [{ maxAddedLatency: '15ms' }];
  // Ten degrees are 1,112 km, 11 ms there and back at the speed of light in glass.
  const world = new World({ regions, routes, parts: { region: 'a' } });
  t.strictSame([...reachableFrom(world)].sort(), ['a', 'b', 'd']);
  t.strictSame(
    [...reachableFrom(new World({ regions, routes }))].sort(),
    ['a', 'b', 'c', 'd'],
    'no place of its own',
  );
});

t.test('the reason is told', async (t) => {
  const world = new World({
    regions: THREE,
    routes: [{ maxAddedLatency: '5ms' }],
    roundTrips: { a: 1, b: 50, c: 50 },
  });
  const decision = decide(world.snapshot, world.live(), factsOf({}), contextOf({}));
  t.match(decision, {
    view: {
      removed: [
        { region: 1, stage: 'filter', reason: 'too_far' },
        { region: 2, stage: 'filter', reason: 'too_far' },
      ],
    },
  });
});

t.test('when every region is at its capacity, what is sheddable makes room for the rest', async (t) => {
  const decided = (priority: string, load: number) => {
    const world = new World({ regions: THREE, routes: [{ priority }] });
    const context = contextOf({ utilisation: () => load });
    return decide(world.snapshot, world.live(), factsOf({ fields: ['x-shard-key', 'k'] }), context);
  };
  t.match(decided('sheddable', 1), { kind: 'refuse', reason: 'shed' });
  t.match(decided('sheddable', 0.9), { kind: 'forward' });
  t.match(decided('sheddable', Number.NaN), { kind: 'forward' }, 'an unknown capacity is not reached');
  for (const priority of ['normal', 'high', 'critical']) t.match(decided(priority, 1), { kind: 'forward' });
});
