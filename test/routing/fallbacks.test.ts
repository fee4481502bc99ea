// Who stands in for a region that is full, or may not be chosen: not the one that the plan has emptied, unless nobody
// else can.

import t from 'tap';
import { type Decision, decide } from '../../src/routing/decide.ts';
import { type ContextParts, contextOf, factsOf, World } from '../rig/world.ts';

const IDS = ['a', 'b', 'c'];
const CAPACITY = 100;
const ROUTE = { policy: 'consistent_hash', timeouts: { response: '500ms' } };

const worldOf = (weights?: Record<string, number>): World =>
  new World({
    regions: IDS.map((id) => ({ id, capacity: CAPACITY })),
    routes: [ROUTE],
    ...(weights !== undefined && { weights }),
  });

/** Where 200 keys go, counted. */
function answers(world: World, parts: ContextParts): Record<string, number> {
  const counts: Record<string, number> = {};
  for (let i = 0; i < 200; i++) {
    const facts = factsOf({ fields: ['x-shard-key', `key-${i}`] });
    const decision: Decision = decide(world.snapshot, world.live(), facts, contextOf(parts));
    const name = decision.kind === 'forward' ? world.snapshot.regions[decision.region]!.id : 'refused';
    counts[name] = (counts[name] ?? 0) + 1;
  }
  return counts;
}

const of = (world: World, values: Record<string, number>, rest = 0) => {
  const byIndex = new Map(
    Object.entries(values).map(([id, value]) => [Number(world.region(id).index), value]),
  );
  return (region: number): number => byIndex.get(region) ?? rest;
};

t.test('what is too much for one region is shared by those that the plan has not demoted', async (t) => {
  const world = worldOf({ a: 1, b: 1, c: 0.02 });
  const { c: own = 0, ...others } = answers(world, {});
  t.ok(own < 20 && others.a! > 50 && others.b! > 50);
  const full = answers(world, { utilisation: of(world, { a: 0.96 }, 0.5) });
  t.equal(full.a, undefined);
  t.equal(full.c ?? 0, own, 'no more than its own');
  const bothFull = answers(world, { utilisation: of(world, { a: 0.96, b: 0.96, c: 0 }) });
  t.strictSame(bothFull, { c: own, ...others }, 'everybody keeps what is its own');
});

t.test('a demoted region takes what would be refused otherwise', async (t) => {
  const world = worldOf({ a: 1, b: 1, c: 0.02 });
  const late = answers(world, { waiting: of(world, { a: 1000, b: 1000 }) });
  t.strictSame(late, { c: 200 });
  t.strictSame(answers(world, { waiting: () => 1000 }), { refused: 200 });
});

t.test('a demoted region stands in where no other is healthy', async (t) => {
  const world = worldOf({ a: 1, b: 1, c: 0.02 });
  world.setHealth('a', 'unhealthy').setHealth('b', 'unhealthy');
  t.strictSame(answers(world, {}), { c: 200 });
});

t.test('weights count against each other: where all are low nobody has been emptied', async (t) => {
  const world = worldOf({ a: 0.3, b: 0.3, c: 0.3 });
  const { a, c, b } = answers(world, { utilisation: of(world, { a: 0.96 }, 0.5) });
  t.equal(a, undefined);
  t.ok(b! > 50 && c! > 50);
});
