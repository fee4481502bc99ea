import t from 'tap';
import { placeRetry } from '../../src/proxy/placement.ts';
import { type Decision, decide, type Forward } from '../../src/routing/decide.ts';
import { type ContextParts, contextOf, factsOf, IDLE_SERVERS, World } from '../rig/world.ts';

const capacity = 100;
const REGIONS = ['a', 'b', 'c'].map((id) => ({ id, capacity }));
/** Half a second of 100 requests/s are 50, of which four fifths may wait. */
const ROUTE = { timeouts: { response: '500ms' } };

const worldOf = (route: Record<string, unknown> = {}): World =>
  new World({ regions: REGIONS, routes: [{ ...ROUTE, ...route }] });

const REQUEST = factsOf({ fields: ['x-shard-key', 'k'] });

const decided = (world: World, parts: ContextParts = {}): Decision =>
  decide(world.snapshot, world.live(), REQUEST, contextOf(parts));

function ownerOf(world: World): number {
  const decision = decided(world);
  if (decision.kind !== 'forward') throw new Error(decision.kind);
  return decision.region;
}

t.test('a region with a longer queue than it can answer in time is passed over', async (t) => {
  const world = worldOf();
  const own = ownerOf(world);
  const queued = (most: number) =>
    decided(world, { waiting: (region) => (region === own ? most : 0) }) as Forward;
  t.equal(queued(29).region, own);
  t.not(queued(30).region, own);
  t.equal(queued(30).choice, 'headroom');
});

t.test('where no region could answer in time the request is refused at once', async (t) => {
  const world = worldOf();
  t.match(decided(world, { waiting: () => 30 }), { kind: 'refuse', reason: 'shed', priority: 'normal' });
  t.match(decided(world, { waiting: () => 29, utilisation: () => 2 }), { kind: 'forward' });
});

t.test('half of the servers answer half as many in time', async (t) => {
  const large = new World({
    regions: REGIONS.map((region) => ({ ...region, capacity: 1000 })),
    routes: [ROUTE],
  });
  const healthyShare = (): number => 0.5;
  t.match(decided(large, { waiting: () => 149, healthyShare }), { kind: 'forward' });
  t.match(decided(large, { waiting: () => 150, healthyShare }), { reason: 'shed' });
});

t.test('what matters less makes room first', async (t) => {
  const most = { sheddable: 20, normal: 30, high: 36, critical: 40 };
  for (const [priority, limit] of Object.entries(most)) {
    const world = worldOf({ priority });
    t.match(decided(world, { waiting: () => Math.ceil(limit) - 1 }), { kind: 'forward' }, priority);
    t.match(decided(world, { waiting: () => Math.ceil(limit) }), { reason: 'shed', priority });
  }
});

t.test('without a time-out, or without a capacity, nothing is too late', async (t) => {
  t.match(decided(worldOf({ timeouts: { response: '0' } }), { waiting: () => 1e6 }), { kind: 'forward' });
  const unknown = new World({ regions: [{ id: 'a' }], routes: [ROUTE] });
  t.match(decided(unknown, { waiting: () => 1e6 }), { kind: 'forward' });
});

t.test('a few are no queue, however little a region can do', async (t) => {
  const small = new World({ regions: [{ id: 'a', capacity: 1 }], routes: [ROUTE] });
  t.match(decided(small, { waiting: () => 15 }), { kind: 'forward' });
  t.match(decided(small, { waiting: () => 16 }), { reason: 'shed' });
});

t.test('second tries', async (t) => {
  const world = worldOf({ retry: { attempts: 3 } });
  const decision = decided(world) as Forward;
  const again = (parts: ContextParts, isMore = true) => {
    const { loads, random } = contextOf(parts);
    const placing = { snapshot: world.snapshot, decision, random, loads: IDLE_SERVERS, regionLoads: loads };
    return placeRetry(1, { ...placing, triedRegions: [decision.region], triedSlots: [] }, isMore)?.region;
  };

  t.test('do not go where the load is at capacity already, and never make it more everywhere', async (t) => {
    t.equal(again({}), decision.region);
    const elsewhere = again({ utilisation: (region) => (region === decision.region ? 1 : 0.9) });
    t.ok(elsewhere !== undefined && elsewhere !== decision.region);
    const third = again({ utilisation: (region) => (region === elsewhere ? 0.9 : 1) });
    t.equal(third, elsewhere);
    t.equal(again({ utilisation: () => 1 }), undefined);
  });

  t.test('of what never reached a server are no further load', async (t) => {
    t.equal(again({ utilisation: () => 1 }, false), decision.region);
    t.equal(again({ waiting: () => 50 }, false), undefined, 'but would come too late like any other');
  });
});
