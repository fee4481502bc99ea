import fc from 'fast-check';
import t from 'tap';
import { kilometresBetween } from '../../src/core/distance.ts';
import { NO_REGION, regionIndex } from '../../src/core/ids.ts';
import { POLICY_KINDS, type PolicyKind } from '../../src/core/model.ts';
import { seededRandom } from '../../src/core/random.ts';
import { decide, type Forward } from '../../src/routing/decide.ts';
import { nextRegion } from '../../src/routing/fallbacks.ts';
import { distanceOrder, parseLocation } from '../../src/routing/policies/geographic-proximity.ts';
import {
  type ContextParts,
  contextOf,
  factsOf,
  type RegionParts,
  type RequestParts,
  World,
  type WorldOptions,
} from '../rig/world.ts';

const places = {
  ashburn: { lat: 39, lon: -77.5 },
  dublin: { lat: 53.3, lon: -6.3 },
  oregon: { lat: 45.8, lon: -119.7 },
  frankfurt: { lat: 50.1, lon: 8.7 },
};

const withPolicy = (policy: PolicyKind, options: WorldOptions): World =>
  new World({ ...options, routes: [{ policy, ...options.routes?.[0] }] });

/** A source of regions for one request after the other, with one context. */
function chooser(world: World, parts: ContextParts = {}): (request?: RequestParts) => Forward {
  const context = contextOf(parts);
  const live = world.live();
  return (request = {}) => {
    const decision = decide(world.snapshot, live, factsOf(request), context);
    if (decision.kind !== 'forward') throw new Error(`not forwarded: ${JSON.stringify(decision.kind)}`);
    return decision;
  };
}

const nameOf = (world: World, region: number): string => world.snapshot.regions[region]!.id;

/** How often each region was chosen. */
function tally(world: World, choose: () => Forward, requests: number): Record<string, number> {
  const counts: Record<string, number> = {};
  for (let i = 0; i < requests; i++) {
    const id = nameOf(world, choose().region);
    counts[id] = (counts[id] ?? 0) + 1;
  }
  return counts;
}

/** Within four standard deviations of a binomial. */
function isNear(count: number, trials: number, share: number): boolean {
  return Math.abs(count - trials * share) <= 4 * Math.sqrt(trials * share * (1 - share)) + 1e-9;
}

const keyed = (i: number): RequestParts => ({ fields: ['x-shard-key', `user-${i}`] });

t.test('weighted_random without a key follows the effective weights', async (t) => {
  const regions: RegionParts[] = [
    { id: 'a', weight: 3, servers: 10 },
    { id: 'b', weight: 1, servers: 10 },
    { id: 'c', weight: 0, servers: 10 },
  ];
  const world = withPolicy('weighted_random', { regions });
  const all = tally(world, chooser(world, { random: seededRandom(5) }), 20_000);
  t.ok(isNear(all.a!, 20_000, 0.75), JSON.stringify(all));
  t.equal(all.c, undefined);
  world.setHealthy('a', 5);
  const half = tally(world, chooser(world, { random: seededRandom(6) }), 20_000);
  t.ok(
    isNear(half.a!, 20_000, (3 * 0.7) / (3 * 0.7 + 1)),
    `health lowers the weight: ${JSON.stringify(half)}`,
  );
});

t.test('weighted_random with a key, and consistent_hash, are the table', async (t) => {
  const regions: RegionParts[] = [{ id: 'a', weight: 3 }, { id: 'b' }, { id: 'c', weight: 2 }];
  for (const policy of ['weighted_random', 'consistent_hash'] as const) {
    const world = withPolicy(policy, { regions });
    const choose = chooser(world);
    const { owners } = world.route().set;
    for (let i = 0; i < 300; i++) {
      const decision = choose(keyed(i));
      if (decision.region !== owners[decision.shard]) t.fail(`key ${i} went to ${decision.region}`);
    }
    t.pass(policy);
  }
});

t.test('consistent_hash without a key is the table of a random shard', async (t) => {
  const world = withPolicy('consistent_hash', { regions: [{ id: 'a', weight: 3 }, { id: 'b' }] });
  const choose = chooser(world);
  const decisions = Array.from({ length: 4000 }, () => choose());
  t.ok(decisions.every(({ region, shard }) => region === world.route().set.owners[shard]));
  t.ok(decisions.every(({ isKeyed, hadKey }) => !isKeyed && !hadKey));
  t.ok(isNear(decisions.filter(({ region }) => region === 0).length, 4000, 0.75));
  t.equal(new Set(decisions.map(({ shard }) => shard)).size, 64, 'every shard is drawn');
});

t.test("round_robin is smooth: nginx's sequence for weights 5, 1, 1", async (t) => {
  const world = withPolicy('round_robin', { regions: [{ id: 'a', weight: 5 }, { id: 'b' }, { id: 'c' }] });
  const choose = chooser(world);
  const sequence = Array.from({ length: 14 }, () => nameOf(world, choose().region)).join('');
  t.equal(sequence, 'aabacaaaabacaa');
});

t.test(
  'round_robin gives each region its weight in every round, and routes do not share a cursor',
  async () => {
    fc.assert(
      fc.property(fc.array(fc.nat(6), { minLength: 1, maxLength: 5 }), (weights) => {
        const total = weights.reduce((a, b) => a + b, 0);
        if (total === 0) return true;
        const world = new World({
          regions: weights.map((weight, i) => ({ id: `r${i}`, weight })),
          routes: [{ policy: 'round_robin', match: { path: '/a/**' } }, { policy: 'round_robin' }],
        });
        const choose = chooser(world);
        const first = tally(world, () => choose({ target: '/a' }), total);
        const second = tally(world, () => choose({ target: '/b' }), total);
        return weights.every(
          (weight, i) => (first[`r${i}`] ?? 0) === weight && (second[`r${i}`] ?? 0) === weight,
        );
      }),
      { numRuns: 60 },
    );
  },
);

t.test('least_loaded takes the lowest (in flight + 1) / (weight x capacity)', async () => {
  const parts = fc.array(
    fc.record({
      weight: fc.integer({ min: 1, max: 9 }),
      capacity: fc.integer({ min: 1, max: 900 }),
      inFlight: fc.nat(300),
    }),
    { minLength: 1, maxLength: 6 },
  );
  fc.assert(
    fc.property(parts, (all) => {
      const world = withPolicy('least_loaded', {
        regions: all.map(({ weight, capacity }, i) => ({ id: `r${i}`, weight, capacity })),
      });
      const loads = all.map(({ weight, capacity, inFlight }) => (inFlight + 1) / (weight * capacity));
      const { region } = chooser(world, { inFlight: (i) => all[i]!.inFlight })();
      return loads[region] === Math.min(...loads) && loads.indexOf(Math.min(...loads)) === region;
    }),
    { numRuns: 100 },
  );
});

t.test('least_loaded measures by weights of servers where some capacity is unknown', async (t) => {
  const world = withPolicy('least_loaded', {
    regions: [
      { id: 'a', servers: 4, capacity: 1 },
      { id: 'b', servers: 1 },
    ],
  });
  const chosen = (): number => chooser(world, { inFlight: (region) => [6, 1][region]! })().region;
  t.equal(chosen(), 0, '7 / 4 against 2 / 1');
  world.setHealthy('a', 2);
  t.equal(chosen(), 1, '7 / (0.7 x 4) against 2 / 1');
});

t.test('geographic_proximity goes to the nearest, from the client where it is known', async (t) => {
  const regions: RegionParts[] = [
    { id: 'eu', location: places.dublin },
    { id: 'us', location: places.ashburn },
    { id: 'us-west', location: places.oregon },
  ];
  const world = withPolicy('geographic_proximity', { regions, parts: { region: 'us' } });
  const choose = chooser(world);
  t.equal(nameOf(world, choose().region), 'us', 'from where the proxy stands');
  const fromFrankfurt = choose({ clientLocation: places.frankfurt });
  t.equal(nameOf(world, fromFrankfurt.region), 'eu');
  const then = nextRegion(world.snapshot, fromFrankfurt, [fromFrankfurt.region]);
  t.equal(nameOf(world, then), 'us', 'the next one by distance');
  t.equal(nameOf(world, nextRegion(world.snapshot, fromFrankfurt, [fromFrankfurt.region, then])), 'us-west');
});

t.test(
  'geographic_proximity fills the nearest to its target, then the next; when all are full, the nearest',
  async (t) => {
    const regions: RegionParts[] = [
      { id: 'eu', location: places.dublin, capacity: 100 },
      { id: 'us', location: places.ashburn, capacity: 100 },
      { id: 'us-west', location: places.oregon },
    ];
    const world = withPolicy('geographic_proximity', { regions });
    const at = (...utilisation: number[]): string =>
      nameOf(
        world,
        chooser(world, { utilisation: (i) => utilisation[i]! })({ clientLocation: places.dublin }).region,
      );
    t.equal(at(0.79, 0, Number.NaN), 'eu');
    t.equal(at(0.8, 0.5, Number.NaN), 'us');
    t.equal(at(0.9, 0.8, Number.NaN), 'us-west', 'an unknown capacity is not full');
    t.equal(at(0.9, 0.85, 0.8), 'eu');
  },
);

t.test('geographic_proximity lets a lowered weight and lost servers take their share away', async (t) => {
  const regions: RegionParts[] = [
    { id: 'eu', location: places.dublin, servers: 10 },
    { id: 'us', location: places.ashburn, servers: 10 },
  ];
  const share = (world: World, request: (i: number) => RequestParts): number => {
    const choose = chooser(world, { random: seededRandom(4) });
    let i = 0;
    return (
      (tally(world, () => choose({ ...request(i++), clientLocation: places.dublin }), 4000).eu ?? 0) / 4000
    );
  };
  const near = (got: number, expected: number, text: string): void => {
    t.ok(isNear(got * 4000, 4000, expected), `${text}: ${got}`);
  };
  const lowered = withPolicy('geographic_proximity', { regions, weights: { eu: 0.42 } });
  near(share(lowered, keyed), 0.42, 'a plan that wants less of a region gets it');
  near(
    share(lowered, () => ({})),
    0.42,
    'without a key too',
  );
  const half = withPolicy('geographic_proximity', { regions }).setHealthy('eu', 5);
  near(share(half, keyed), 0.7, 'health');
  const raised = withPolicy('geographic_proximity', { regions, weights: { eu: 5 } });
  t.equal(share(raised, keyed), 1, 'base weights say how much a region takes, not how near it is');
});

t.test("weight 0 gets nothing, from no policy and as nobody's fallback", async (t) => {
  const regions: RegionParts[] = [
    { id: 'a', servers: 2, location: places.ashburn },
    { id: 'b', servers: 2, location: places.dublin },
    { id: 'c', servers: 2, location: places.oregon },
  ];
  for (const policy of POLICY_KINDS) {
    const world = withPolicy(policy, { regions, weights: { b: 0 } });
    for (const lost of [undefined, 'a', 'c']) {
      world.setHealthy('a', lost === 'a' ? 0 : 2).setHealthy('c', lost === 'c' ? 0 : 2);
      const choose = chooser(world);
      for (let i = 0; i < 60; i++) {
        const decision = choose({ ...(i % 2 === 0 ? keyed(i) : {}), clientLocation: places.dublin });
        const after = nextRegion(world.snapshot, decision, [decision.region]);
        if (decision.region === 1 || after === 1) t.fail(`${policy} chose b while ${lost} was lost`);
      }
    }
    t.pass(policy);
  }
});

t.test('a single region takes everything, under every policy', async (t) => {
  for (const policy of POLICY_KINDS) {
    const world = withPolicy(policy, { regions: [{ id: 'a', servers: 2 }] });
    const decision = chooser(world)(keyed(1));
    t.equal(decision.region, 0, policy);
    t.equal(nextRegion(world.snapshot, decision, [regionIndex(0)]), NO_REGION);
  }
});

t.test('distances are great circles', async (t) => {
  t.ok(Math.abs(kilometresBetween(places.dublin, places.ashburn) - 5450) < 30);
  t.equal(kilometresBetween(places.dublin, places.dublin), 0);
  t.ok(
    Math.abs(kilometresBetween({ lat: 0, lon: 179 }, { lat: 0, lon: -179 }) - 222.4) < 0.1,
    'across the date line',
  );
  t.ok(Math.abs(kilometresBetween({ lat: 90, lon: 0 }, { lat: -90, lon: 123 }) - Math.PI * 6371) < 1e-6);
  const anyPlace = fc.record({
    lat: fc.double({ min: -90, max: 90, noNaN: true }),
    lon: fc.double({ min: -180, max: 180, noNaN: true }),
  });
  fc.assert(
    fc.property(anyPlace, anyPlace, (a, b) => {
      const distance = kilometresBetween(a, b);
      return (
        distance >= 0 &&
        distance <= Math.PI * 6371 + 1e-6 &&
        Math.abs(distance - kilometresBetween(b, a)) < 1e-6
      );
    }),
  );
});

t.test('regions without a location come last, in their own order', async (t) => {
  const world = new World({
    regions: [
      { id: 'a' },
      { id: 'b', location: places.oregon },
      { id: 'c' },
      { id: 'd', location: places.dublin },
    ],
  });
  t.strictSame([...distanceOrder(world.snapshot.regions, places.frankfurt)], [3, 1, 0, 2]);
});

t.test("a client's location is believed only when it is one", async (t) => {
  t.strictSame(parseLocation('53.3,-6.3'), { lat: 53.3, lon: -6.3 });
  t.strictSame(parseLocation(' 0 , 180 '), { lat: 0, lon: 180 });
  for (const text of ['', '53.3', '91,0', '0,181', '1,2,3', 'a,b', '1e1,2', '53.3;6', 'NaN,0']) {
    t.equal(parseLocation(text), undefined, text);
  }
});
