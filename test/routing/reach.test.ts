// What a demotion may cost a client (maxAddedLatency), and who makes room when nobody has any (priority).

import t from 'tap';
import { NO_REGION } from '../../src/core/ids.ts';
import { decide, fallbacksOf } from '../../src/routing/decide.ts';
import { contextOf, factsOf, World } from '../rig/world.ts';

const REGIONS = ['a', 'b', 'c'].map((id) => ({ id, servers: 2, capacity: 100 }));

function placesOf(world: World): Set<string> {
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
    new World({ regions: REGIONS, routes: [{ maxAddedLatency }], roundTrips });
  t.strictSame([...placesOf(at('0ms'))].sort(), ['a', 'b', 'c'], '0 is no bound');
  t.strictSame([...placesOf(at('30ms'))].sort(), ['a', 'b']);
  t.strictSame([...placesOf(at('20ms'))].sort(), ['a']);
  const world = at('20ms').setHealthy('a', 0);
  t.strictSame([...placesOf(world)].sort(), ['b'], 'the nearest of those that can serve counts');
});

t.test('where nothing was measured the distance counts, and what is not known bars nobody', async (t) => {
  const located = (lat: number, id: string) => ({ id, location: { lat, lon: 0 } });
  const regions = [located(0, 'a'), located(10, 'b'), located(60, 'c'), { id: 'd' }];
  const routes = [{ maxAddedLatency: '15ms' }];
  // Ten degrees are 1,112 km, 11 ms there and back at the speed of light in glass.
  const world = new World({ regions, routes, parts: { region: 'a' } });
  t.strictSame([...placesOf(world)].sort(), ['a', 'b', 'd']);
  t.strictSame(
    [...placesOf(new World({ regions, routes }))].sort(),
    ['a', 'b', 'c', 'd'],
    'no place of its own',
  );
});

t.test('the reason is told', async (t) => {
  const world = new World({
    regions: REGIONS,
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
    const world = new World({ regions: REGIONS, routes: [{ priority }] });
    const context = contextOf({ utilisation: () => load });
    return decide(world.snapshot, world.live(), factsOf({ fields: ['x-shard-key', 'k'] }), context);
  };
  t.match(decided('sheddable', 1), { kind: 'refuse', reason: 'shed' });
  t.match(decided('sheddable', 0.9), { kind: 'forward' });
  t.match(decided('sheddable', Number.NaN), { kind: 'forward' }, 'an unknown capacity is not reached');
  for (const priority of ['normal', 'high', 'critical']) t.match(decided(priority, 1), { kind: 'forward' });
});
