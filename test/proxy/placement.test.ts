import t from 'tap';
import { seededRandom } from '../../src/core/random.ts';
import { type Placing, placeAttempt, placeHedge, type Target } from '../../src/proxy/placement.ts';
import { decide, type Forward } from '../../src/routing/decide.ts';
import { runSchedules } from '../rig/residency-schedules.ts';
import { type ContextParts, contextOf, factsOf, World } from '../rig/world.ts';

// `npm run bench:residency` runs a million.
const SCHEDULES = 100_000;

t.test('no fault, retry, fallback or panic lets a locked key out of its regions', async (t) => {
  const seed = Math.floor(Math.random() * 2 ** 31);
  const counts = runSchedules(SCHEDULES, seed);
  t.comment(`seed ${seed}: ${JSON.stringify({ ...counts, escapes: counts.escapes.length })}`);
  t.same(counts.escapes, [], `seed ${seed}`);
  // What is shown is only as good as what was tried.
  t.ok(counts.locked > SCHEDULES / 2, 'most requests were held by a lock');
  t.ok(counts.retries > SCHEDULES / 4, 'many were tried again');
  t.ok(counts.hedges > SCHEDULES / 10, 'many beside the first try');
  t.ok(counts.elsewhere > SCHEDULES / 4, 'many of them in another region');
  t.ok(counts.panics > SCHEDULES / 10, 'and many in panic mode');
});

/** A keyed request and three regions; more than 0.6 s is too late for it: its time-out is a second, its priority normal. */
function decided() {
  const world = new World({
    regions: ['a', 'b', 'c'].map((id) => ({ id, servers: 2, capacity: 100 })),
    routes: [
      {
        key: { from: [{ header: 'x-key' }] },
        policy: 'consistent_hash',
        timeouts: { response: '1s' },
      },
    ],
  });
  for (const { id } of world.config.regions) world.setHealthy(id, 2);
  const facts = factsOf({ fields: ['x-key', 'k'] });
  return { world, decision: decide(world.snapshot, world.live(), facts, contextOf()) as Forward };
}

type Expected = (region: number) => number;

/** @param expected microseconds to an answer of a server of each region. */
function placingOf(
  { world, decision }: ReturnType<typeof decided>,
  expected: Expected,
  loads: ContextParts = {},
): Placing {
  const slots = world.snapshot.regions.map(({ servers }) => servers.map(({ slot }) => slot));
  return {
    snapshot: world.snapshot,
    decision,
    loads: {
      inFlight: () => 1,
      latencyUs: () => 1000,
      expectedUs: (slot) => expected(slots.findIndex((own) => own.some((one) => one === slot))),
      failuresInARow: () => 0,
      ramp: () => 1,
    },
    regionLoads: contextOf(loads).loads,
    random: seededRandom(1),
    triedRegions: [],
    triedSlots: [],
  };
}

t.test('a second try beside the first goes where it takes no room from others', async (t) => {
  const scene = decided();
  const { world, decision } = scene;
  const [first, second] = world.snapshot.regions[decision.region]!.servers;
  const hedge = (
    toRegion: boolean,
    loads: ContextParts = {},
    { expected = () => 1000, slots = [first!.slot] }: { expected?: Expected; slots?: number[] } = {},
  ): Target | undefined => {
    const placing = placingOf(scene, expected, loads);
    return placeHedge({ ...placing, triedRegions: [decision.region], triedSlots: slots }, toRegion);
  };
  t.equal(hedge(false)?.server.slot, second!.slot, 'the other server of the region');
  t.equal(hedge(false, {}, { slots: [first!.slot, second!.slot] }), undefined, 'that is all there is');
  const elsewhere = hedge(true)!.region;
  t.not(elsewhere, decision.region);
  const third = hedge(true, { utilisation: (region) => (region === elsewhere ? 0.8 : 0.7) })!.region;
  t.ok(third !== elsewhere && third !== decision.region, 'the next one, which has more to spare');
  const busy = { utilisation: (region: number) => (region === decision.region ? 0.7 : 0.8) };
  t.equal(hedge(true, busy)?.server.slot, second!.slot, 'none has, but the region itself');
  t.equal(hedge(true, { utilisation: () => 0.8 }), undefined, 'nobody has');
  t.equal(hedge(true, {}, { expected: () => 600_001 }), undefined, 'nobody has time');
});

t.test('who would be served too late goes where there is time', async (t) => {
  const scene = decided();
  const { decision } = scene;
  const place = (expected: Expected, loads: ContextParts = {}, changes: Partial<Placing> = {}) => {
    const placed = placeAttempt(decision.region, { ...placingOf(scene, expected, loads), ...changes });
    if (typeof placed === 'string') throw new Error(placed);
    return placed.region;
  };
  const isOwn = (region: number): boolean => region === decision.region;
  t.equal(
    place(() => 600_000),
    decision.region,
    'in time',
  );
  const next = place((region) => (isOwn(region) ? 600_001 : 600_000));
  t.not(next, decision.region);
  const last = place((region) => (isOwn(region) || region === next ? 600_001 : 600_000));
  t.ok(last !== decision.region && last !== next);
  t.equal(
    place(() => 600_001),
    decision.region,
    'nobody has time: it stays',
  );
  const late = (region: number): number => (isOwn(region) ? 600_001 : 600_000);
  t.equal(place(late, { utilisation: () => 0.96 }), decision.region, 'nobody has room');
  t.equal(place(late, { utilisation: (region) => (region === next ? 0.96 : 0) }), last);
  const laden = { utilisation: (region: number) => (isOwn(region) ? 0.9 : 0) };
  t.equal(place(late, laden), decision.region, 'its region has as much as it is said to carry');
  t.equal(place(late, { waiting: () => 60 }), decision.region, 'others are too late as well');
  const sparing = new Uint8Array(decision.view.takesOverflow).fill(1);
  sparing[next] = 0;
  const spared = { ...decision, view: { ...decision.view, takesOverflow: sparing } };
  t.equal(place(late, {}, { decision: spared }), last, 'a region that is emptied is not filled');
  const patient = {
    ...decision,
    route: { ...decision.route, timeouts: { ...decision.route.timeouts, response: 0 } },
  };
  t.equal(place(late, {}, { decision: patient }), decision.region, 'without a time-out nothing is too late');
});
