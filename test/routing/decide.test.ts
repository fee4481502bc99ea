import fc from 'fast-check';
import t from 'tap';
import { NO_REGION, type RegionIndex } from '../../src/core/ids.ts';
import { POLICY_KINDS } from '../../src/core/model.ts';
import { seededRandom } from '../../src/core/random.ts';
import { decodeOwners } from '../../src/plan/plan.ts';
import { type Decision, decide, type Forward } from '../../src/routing/decide.ts';
import { fallbacksOf, nextRegion } from '../../src/routing/fallbacks.ts';
import { JsonScan } from '../../src/routing/json-scan.ts';
import { anyKeyRule, anySent, expectedShard, requestOf } from '../rig/naive-keys.ts';
import { type ContextParts, contextOf, factsOf, type RequestParts, World } from '../rig/world.ts';

function decided(world: World, request: RequestParts, parts: ContextParts = {}): Decision {
  return decide(world.snapshot, world.live(), factsOf(request), contextOf(parts));
}

function forwarded(world: World, request: RequestParts, parts: ContextParts = {}): Forward {
  const decision = decided(world, request, parts);
  if (decision.kind !== 'forward') throw new Error(`not forwarded: ${decision.kind}`);
  return decision;
}

const nameOf = (world: World, region: RegionIndex): string =>
  region === NO_REGION ? 'none' : world.snapshot.regions[region]!.id;
const keyed = (i: number): RequestParts => ({ fields: ['x-shard-key', `user-${i}`] });
const three = { regions: ['a', 'b', 'c'].map((id) => ({ id, servers: 10 })) };

t.test(
  'no route, no key where one is demanded, and nobody to serve are refused with their reason',
  async (t) => {
    const world = new World({
      ...three,
      routes: [{ match: { path: '/a/**' }, key: { onMissing: 'reject' } }],
      weights: { a: 1, b: 1, c: 1 },
    });
    t.match(decided(world, { target: '/b' }), { kind: 'refuse', reason: 'no_route', route: undefined });
    t.match(decided(world, { target: '/a' }), {
      kind: 'refuse',
      reason: 'no_shard_key',
      route: world.route(),
    });
    t.equal(forwarded(world, { target: '/a', ...keyed(1) }).hadKey, true);
    const closed = new World({ regions: three.regions.map((region) => ({ ...region, weight: 0 })) });
    for (const request of [{}, keyed(1)]) {
      t.match(decided(closed, request), { kind: 'refuse', reason: 'no_eligible_region' });
    }
  },
);

t.test('a request without a key gets a random shard, the same shard as others, or a cookie', async (t) => {
  const choose = (onMissing: string) => {
    const world = new World({ ...three, routes: [{ key: { onMissing } }] });
    const context = contextOf({ random: seededRandom(9) });
    const live = world.live();
    return (request: RequestParts = {}): Forward =>
      decide(world.snapshot, live, factsOf(request), context) as Forward;
  };
  const shards = (choose: () => Forward): number =>
    new Set(Array.from({ length: 60 }, () => choose().shard)).size;
  const random = choose('random');
  t.ok(shards(random) > 20, 'random');
  t.match(random(), { isKeyed: false, hadKey: false, newCookie: null });
  const same = choose('default');
  t.equal(shards(same), 1, 'default');
  t.match(
    same(),
    { isKeyed: true, hadKey: false, newCookie: null, shard: 59 },
    'the shard of a key without parts',
  );
  const sticky = choose('cookie');
  const first = sticky();
  t.match(first.newCookie, /^[0-9a-f]{32}$/);
  t.match(first, { isKeyed: true, hadKey: false });
  const again = sticky({ fields: ['cookie', `foreshard=${first.newCookie}`] });
  t.match(
    again,
    { isKeyed: true, shard: first.shard, region: first.region, newCookie: null },
    'it comes back',
  );
  t.not(sticky().newCookie, first.newCookie, 'another client gets another');
  t.match(sticky({ fields: ['cookie', 'foreshard='] }).newCookie, /^[0-9a-f]{32}$/, 'an empty one is none');
});

t.test('the request type chooses the sources of the key', async (t) => {
  const world = new World({
    ...three,
    routes: [
      {
        key: {
          from: [{ header: 'x-user' }],
          perType: { search: [{ query: 'q' }], update: [{ json: '/id' }] },
          onMissing: 'reject',
        },
        type: { header: 'x-request-type' },
        match: { path: '/typed/**' },
      },
      { key: { from: [{ header: 'x-user' }], perType: { POST: [{ query: 'q' }] }, onMissing: 'reject' } },
    ],
  });
  const kind = (request: RequestParts): string => {
    const decision = decided(world, request);
    return decision.kind === 'refuse' ? decision.reason : decision.kind;
  };
  const typed = (type: string, ...fields: string[]) => ['x-request-type', type, ...fields];
  t.equal(kind({ target: '/typed?q=1', fields: typed('search') }), 'forward');
  t.equal(kind({ target: '/typed', fields: typed('search', 'x-user', 'u') }), 'no_shard_key');
  t.equal(kind({ target: '/typed', fields: typed('update') }), 'need_body');
  t.equal(
    kind({ target: '/typed', fields: typed('other', 'x-user', 'u') }),
    'forward',
    'else the usual ones',
  );
  t.equal(kind({ target: '/typed', fields: ['x-user', 'u'] }), 'forward', 'no type at all');
  t.equal(kind({ target: '/?q=1', method: 'POST' }), 'forward', 'without a header the method is the type');
  t.equal(kind({ target: '/?q=1', method: 'GET' }), 'no_shard_key');
  t.equal(
    kind({ target: '/typed', fields: typed('constructor', 'x-user', 'u') }),
    'forward',
    'no name of a built-in',
  );
});

t.test('need_body asks once, names the pointers, and is answered by values or by none', async (t) => {
  const world = new World({
    ...three,
    routes: [
      {
        key: { from: [{ json: '/user/id' }, { header: 'x-user' }, { json: '/tenant' }], onMissing: 'reject' },
      },
    ],
  });
  const asked = decided(world, {});
  t.match(asked, { kind: 'need_body', key: { pointers: ['/user/id', '/tenant'] } });
  t.equal(decided(world, { body: [Buffer.from('u'), null] }).kind, 'forward');
  t.equal(decided(world, { body: [null, Buffer.from('t')] }).kind, 'forward');
  t.equal(decided(world, { body: [null, null], fields: ['x-user', 'u'] }).kind, 'forward');
  t.match(decided(world, { body: [null, null] }), { kind: 'refuse', reason: 'no_shard_key' });
  t.match(decided(world, { body: null }), { kind: 'refuse', reason: 'no_shard_key' });
});

t.test('a half-healthy region spills about its share of keys, and the same keys each time', async (t) => {
  const world = new World(three).setHealthy('a', 5);
  const own: number[] = [];
  for (let i = 0; own.length < 2000; i++)
    if (world.route().set.owners[forwarded(world, keyed(i)).shard] === 0) own.push(i);
  const spilled = own.filter((i) => forwarded(world, keyed(i)).choice === 'spill');
  t.ok(
    Math.abs(spilled.length / 2000 - 0.3) < 4 * Math.sqrt((0.3 * 0.7) / 2000),
    `${spilled.length} of 2000, 30 %`,
  );
  t.ok(
    spilled.every((i) => forwarded(world, keyed(i), { random: seededRandom(i) }).choice === 'spill'),
    'no dice',
  );
  t.ok(spilled.every((i) => forwarded(world, keyed(i)).region !== 0));
  world.setHealthy('a', 3);
  const more = new Set(own.filter((i) => forwarded(world, keyed(i)).choice === 'spill'));
  t.ok(
    spilled.every((i) => more.has(i)),
    'with less health the same keys and more',
  );
  world.setHealthy('a', 10);
  t.ok(
    own.every((i) => forwarded(world, keyed(i)).region === 0),
    'all come home',
  );
});

t.test('keys of a lost region spread over the others by their ring order, others stay', async (t) => {
  const world = new World({ regions: ['a', 'b', 'c', 'd', 'e'].map((id) => ({ id })) });
  const keys = Array.from({ length: 500 }, (_, i) => keyed(i));
  const before = keys.map((request) => forwarded(world, request));
  world.setHealthy('c', 0);
  const after = keys.map((request) => forwarded(world, request));
  const lost = before
    .map((decision, i) => [decision, after[i]!] as const)
    .filter(([decision]) => nameOf(world, decision.region) === 'c');
  t.ok(lost.every(([, now]) => now.choice === 'failover' && now.picked === 2 && now.region !== 2));
  t.equal(new Set(lost.map(([, now]) => now.region)).size, 4, 'every survivor takes some');
  const others = before.flatMap((decision, i) =>
    decision.region === 2 ? [] : [[decision, after[i]!] as const],
  );
  t.ok(others.every(([was, now]) => was.region === now.region && now.choice === 'policy'));
});

t.test(
  'a region at its stated capacity sheds to one below; when all are full it keeps its own',
  async (t) => {
    const world = new World({ regions: ['a', 'b', 'c'].map((id) => ({ id, capacity: 100 })) });
    const at = (...load: number[]): ContextParts => ({ utilisation: (region) => load[region]! });
    const ofA = Array.from({ length: 300 }, (_, i) => keyed(i)).filter(
      (request) => forwarded(world, request).region === 0,
    );
    const to = (parts: ContextParts): string[] =>
      [...new Set(ofA.map((request) => nameOf(world, forwarded(world, request, parts).region)))].sort();
    t.strictSame(to(at(0.94, 0.5, 0.5)), ['a']);
    t.strictSame(to(at(0.95, 0.5, 0.5)), ['b', 'c'], 'where it is full queues grow without end');
    t.strictSame(to(at(1, 0.5, 0.5)), ['b', 'c'], 'in ring order');
    t.strictSame(to(at(1, 1, 0.5)), ['c']);
    t.strictSame(to(at(1.2, 1, 1)), ['a']);
    t.strictSame(to(at(Number.NaN, 1, 1)), ['a'], 'an unknown capacity is not full');
    t.equal(forwarded(world, ofA[0]!, at(1, 0, 0)).choice, 'headroom');
    t.equal(forwarded(world, ofA[0]!, at(1, 1, 1)).choice, 'policy');
  },
);

t.test('a failing region does not push a full one over its capacity while another has room', async (t) => {
  const world = new World({ regions: ['a', 'b', 'c'].map((id) => ({ id, servers: 10, capacity: 100 })) });
  const ofA = Array.from({ length: 300 }, (_, i) => keyed(i)).filter(
    (request) => forwarded(world, request).region === 0,
  );
  world.setHealthy('a', 0);
  const to = (...load: number[]): string[] => {
    const parts = { utilisation: (region: number) => load[region]! };
    return [...new Set(ofA.map((request) => nameOf(world, forwarded(world, request, parts).region)))].sort();
  };
  t.strictSame(to(0, 0.9, 0.9), ['b', 'c']);
  t.strictSame(to(0, 1, 0.9), ['c'], 'failover');
  t.strictSame(to(0, 1, 1), ['b', 'c'], 'with no room anywhere the order alone decides');
  world.setHealthy('a', 5);
  t.strictSame(to(0, 1, 0.9), ['a', 'c'], 'spill');
  t.strictSame(to(0, 1, 1), ['a'], 'a half-healthy owner rather than a full stranger');
});

t.test('fallbacks name every usable region once, never a stranger, and not the chosen one', async () => {
  const names = ['a', 'b', 'c', 'd', 'e', 'f'];
  const routes = POLICY_KINDS.map((policy, i) => ({
    policy,
    regions: ['a', 'b', 'd', 'f'],
    match: { path: `/${i}` },
  }));
  const world = new World({
    regions: names.map((id, i) => ({ id, servers: 2, location: { lat: i * 9, lon: i * 7 } })),
    routes,
  });
  const health = fc.tuple(...names.map(() => fc.nat(2)));
  fc.assert(
    fc.property(
      health,
      fc.nat(4),
      fc.nat(1000),
      fc.boolean(),
      fc.boolean(),
      (healthy, policy, key, hasKey, hasPlace) => {
        for (const [i, id] of names.entries()) world.setHealthy(id, healthy[i]!);
        const decision = forwarded(world, {
          target: `/${policy}`,
          ...(hasKey ? keyed(key) : {}),
          clientLocation: hasPlace ? { lat: key % 90, lon: 5 } : undefined,
        });
        const eligible = [0, 1, 3, 5];
        const some = eligible.some((region) => healthy[region]! > 0);
        const usable = eligible.filter((region) => !some || healthy[region]! > 0);
        const all = [decision.region, ...fallbacksOf(world.snapshot, decision)].map(Number);
        return [...all].sort((a, b) => a - b).join() === usable.join();
      },
    ),
    { numRuns: 400 },
  );
});

t.test(
  'requests without a key, and policies that are not the table, fail over in the order of the plan',
  async (t) => {
    const world = new World({
      regions: ['c', 'a', 'b'].map((id) => ({ id })),
      routes: [{ policy: 'round_robin' }],
    });
    const decision = forwarded(world, keyed(1));
    const rest = ['c', 'a', 'b'].filter((id) => id !== nameOf(world, decision.region));
    t.strictSame(
      fallbacksOf(world.snapshot, decision).map((region) => nameOf(world, region)),
      rest,
    );
    t.equal(nextRegion(world.snapshot, decision, [0, 1, 2] as RegionIndex[]), NO_REGION);
  },
);

t.test('a decision changes nothing it was given: deciding twice gives the same', async () => {
  const world = new World({
    ...three,
    routes: [{ key: { from: [{ header: 'x-shard-key' }, { query: 'u' }] } }],
  });
  world.setHealthy('b', 4);
  fc.assert(
    fc.property(fc.string(), fc.nat(), (text, seed) => {
      const facts = factsOf({ target: `/?u=${encodeURIComponent(text)}` });
      const [once, again] = [1, 2].map(() =>
        JSON.stringify(
          decide(world.snapshot, world.live(), facts, contextOf({ random: seededRandom(seed) })),
        ),
      );
      return once === again;
    }),
    { numRuns: 100 },
  );
});

/** Decides as the walk does: the body is read when it is asked for. */
function decidedWithBody(world: World, request: RequestParts, json: unknown): Decision {
  const decision = decided(world, request);
  if (decision.kind !== 'need_body') return decision;
  const { pointers } = decision.key;
  const scan = new JsonScan(pointers);
  scan.push(Buffer.from(JSON.stringify(json)));
  scan.finish();
  return decided(world, { ...request, body: pointers.map((_, i) => scan.value(i)) });
}

/** What came of a decision, in the words of the naive reading. */
function outcomeOf(decision: Decision): number | 'refused' | 'drawn' {
  if (decision.kind === 'forward') {
    return decision.isKeyed && decision.newCookie === null ? decision.shard : 'drawn';
  }
  return decision.kind === 'refuse' && decision.reason === 'no_shard_key' ? 'refused' : -1;
}

t.test('shard and owner are those of a naive reading of the contract, for any key and request', async () => {
  const anyRequests = fc.array(anySent, { minLength: 5, maxLength: 15 });
  fc.assert(
    fc.property(anyKeyRule, fc.constantFrom(64, 4096), anyRequests, (key, shards, requests) => {
      const route = { key, policy: 'consistent_hash', regions: ['a', 'c'] };
      const world = new World({
        regions: [{ id: 'a', weight: 3 }, { id: 'b' }, { id: 'c' }],
        routes: [route],
        shards,
      });
      const owners = decodeOwners(world.plan.tables[0]!.owners);
      for (const sent of requests) {
        const decision = decidedWithBody(world, requestOf(sent), sent.json);
        const expected = expectedShard(key, sent, shards);
        const got = outcomeOf(decision);
        if (got !== expected) throw new Error(`expected ${expected}, got ${got}: ${JSON.stringify(sent)}`);
        if (decision.kind !== 'forward') continue;
        const owner = world.plan.regions[owners[decision.shard]!]!.id;
        if (nameOf(world, decision.region) !== owner)
          throw new Error(`shard ${decision.shard} is ${owner}'s`);
      }
    }),
    { numRuns: 250 },
  );
});
