// A second try where only a region without weight is left.

import t from 'tap';
import { regionIndex } from '../../src/core/ids.ts';
import { seededRandom } from '../../src/core/random.ts';
import { type Placing, placeRetry } from '../../src/proxy/placement.ts';
import { placeInReserve } from '../../src/proxy/reserve.ts';
import { decide, type Forward } from '../../src/routing/decide.ts';
import { policyDocument } from '../../src/routing/regional-policy.ts';
import {
  contextOf,
  factsOf,
  IDLE_SERVERS,
  type RequestParts,
  World,
  type WorldOptions,
} from '../rig/world.ts';

/** A request that was tried in `b`; the plan has left `a` no weight. */
function triedInB(options: Partial<WorldOptions> = {}, request: RequestParts = {}, utilisation = 0): Placing {
  const world = new World({
    regions: [{ id: 'a' }, { id: 'b' }],
    weights: { a: 0, b: 1 },
    routes: [{ key: { onMissing: 'random' }, policy: 'weighted_random' }],
    ...options,
  });
  for (const { id } of world.config.regions) world.setHealthy(id, 1);
  const decision = decide(world.snapshot, world.live(), factsOf(request), contextOf()) as Forward;
  if (decision.region !== world.region('b').index) throw new Error('it was not decided for b');
  return {
    snapshot: world.snapshot,
    decision,
    loads: IDLE_SERVERS,
    regionLoads: {
      inFlight: () => 0,
      waiting: () => 0,
      healthyShare: () => 1,
      utilisation: () => utilisation,
    },
    random: seededRandom(1),
    triedRegions: [decision.region],
    triedSlots: [decision.view.servers[decision.region]![0]!.slot],
  };
}

t.test('it goes where the plan has left no weight when nobody else is there', async (t) => {
  const placing = triedInB();
  t.equal(placeRetry(1, placing, true), undefined, 'among those with weight there is none');
  t.equal(placeInReserve(placing, true)?.region, regionIndex(0));
  t.equal(placeInReserve({ ...placing, triedRegions: [regionIndex(1), regionIndex(0)] }, true), undefined);
});

t.test('not where nobody serves, an operator has said no, it is full, or a lock forbids it', async (t) => {
  const ill = triedInB({ regions: [{ id: 'a', servers: 0 }, { id: 'b' }] });
  t.equal(placeInReserve(ill, true), undefined);
  const drained = triedInB({ regions: [{ id: 'a', weight: 0 }, { id: 'b' }] });
  t.equal(placeInReserve(drained, true), undefined);
  t.equal(placeInReserve(triedInB({}, {}, 2), true), undefined);
  const policies = { b: policyDocument.parse({ residency: [{ path: '/x', regions: ['b'] }] }) };
  t.equal(placeInReserve(triedInB({ policies }, { target: '/x' }), true), undefined);
  t.equal(placeInReserve(triedInB({ policies }, { target: '/y' }), true)?.region, regionIndex(0));
});
