// Routes may have risk thresholds of their own: their table follows other weights than that of all, by the same rules.

import t from 'tap';
import { adoptPlan } from '../../src/plan/adopt-plan.ts';
import { validatePlan } from '../../src/plan/plan.ts';
import { rollBack } from '../../src/plan/planner.ts';
import { inPeace, ownersOf, ROUND_MS, THIRDS } from '../rig/rounds.ts';

/** Leaves a region at half of the risk at which others do. */
const CAREFUL = { low: 0.1, high: 0.3, evict: 0.5, critical: 0.05 };
/** Stays nearly until the end. */
const BOLD = { low: 0.8, high: 0.95, evict: 1, critical: 0.9 };
const OF_CAREFUL = 'all@0.1/0.3/0.5/0.05';
const OF_BOLD = 'all@0.8/0.95/1/0.9';

t.test('careful traffic leaves a region that all others still use', async (t) => {
  const site = inPeace(undefined, { own: CAREFUL });
  t.strictSame(site.owned(OF_CAREFUL), THIRDS);
  t.notOk(site.planned(OF_CAREFUL).weights, 'in peace its weights are those of all');
  site.risk('a', 0.25).pass(120_000);
  t.strictSame(site.owned(), THIRDS);
  t.strictSame(site.weights, { a: 1, b: 1, c: 1 });
  t.strictSame(site.planned(OF_CAREFUL).weights, { a: 0.325, b: 1, c: 1 });
  t.strictSame(site.owned(OF_CAREFUL), { a: 36, b: 110, c: 110 });
  t.match(site.planned(OF_CAREFUL).thresholds, CAREFUL);
  t.strictSame([...site.last.demotedForSome], ['a'], 'what it would have done unmoved nobody sees');
  site.risk('a', 0.6).pass(120_000);
  t.strictSame(site.owned(OF_CAREFUL), { a: 0, b: 128, c: 128 });
  t.strictSame(site.weights, { a: 0.33, b: 1, c: 1 }, 'while others begin to leave');
  site.risk('a', 0).pass(300_000);
  t.strictSame(site.owned(OF_CAREFUL), THIRDS, 'and it comes back');
});

t.test('bold traffic stays where all others leave', async (t) => {
  const site = inPeace(undefined, { own: BOLD });
  site.risk('a', 0.75).pass(120_000);
  t.strictSame(site.weights, { a: 0.1, b: 1, c: 1 });
  t.strictSame(site.owned(OF_BOLD), THIRDS);
  t.strictSame(site.planned(OF_BOLD).weights, { a: 1, b: 1, c: 1 });
});

t.test('its keys cross by a ramp, and new thresholds begin with the owners of all', async (t) => {
  const site = inPeace();
  site.risk('a', 0.25).pass(120_000);
  const before = ownersOf(site);
  site.own = CAREFUL;
  site.pass(ROUND_MS);
  const { shift } = site.planned(OF_CAREFUL);
  t.equal(site.progress(OF_CAREFUL), 0, 'nobody has moved yet');
  t.ok(shift!.moving.length > 0);
  t.equal(ownersOf(site), before);
  t.equal(site.served('a', OF_CAREFUL), THIRDS.a / 256);
  site.pass(120_000);
  t.strictSame(site.owned(OF_CAREFUL), { a: 36, b: 110, c: 110 });
});

t.test('thresholds have no say over health, the operator, capacity and the mode', async (t) => {
  const sick = inPeace(undefined, { own: BOLD });
  sick.say('a', { healthFactor: 0 }).pass(120_000);
  t.strictSame(sick.owned(OF_BOLD), sick.owned());
  t.equal(sick.owned(OF_BOLD).a, 0);

  const drained = inPeace(undefined, { own: BOLD });
  drained.say('a', { admin: 'drain' }).pass(120_000);
  t.equal(drained.owned(OF_BOLD).a, 0);

  const full = inPeace(undefined, { own: CAREFUL });
  for (const id of ['a', 'b', 'c']) full.say(id, { capacity: 100 });
  full.demand = 240;
  full.risk('a', 0.6).pass(120_000);
  t.strictSame(full.owned(OF_CAREFUL), THIRDS, 'nobody has room for more');

  const shadow = inPeace(undefined, { own: CAREFUL });
  shadow.mode = 'shadow';
  shadow.risk('a', 0.6).pass(120_000);
  t.strictSame(shadow.owned(OF_CAREFUL), THIRDS);

  const frozen = inPeace(undefined, { own: CAREFUL });
  frozen.frozen = true;
  frozen.risk('a', 0.6).pass(120_000);
  t.strictSame(frozen.owned(OF_CAREFUL), THIRDS);
});

t.test('critical requests of such routes avoid a region from their own threshold on', async (t) => {
  const site = inPeace(undefined, { own: { ...BOLD, critical: 0.05 }, critical: true });
  site.risk('a', 0.1).pass(120_000);
  t.strictSame(site.owned('all!critical'), THIRDS);
  t.strictSame(site.owned('all@0.8/0.95/1/0.05!critical'), { a: 0, b: 128, c: 128 });
  t.match(site.planned('all@0.8/0.95/1/0.05!critical').weights, { a: 0, b: 1, c: 1 });
});

t.test('a rollback and a revert take back their weights too', async (t) => {
  const site = inPeace(undefined, { own: CAREFUL });
  site.risk('a', 0.25).pass(120_000);
  t.not(site.owned(OF_CAREFUL).a, THIRDS.a);
  site.state = rollBack(site.state)!;
  site.frozen = true;
  site.pass(120_000);
  t.strictSame(site.owned(OF_CAREFUL), THIRDS);

  const shifting = inPeace(undefined, { own: CAREFUL });
  shifting.risk('a', 0.25).pass(ROUND_MS);
  const notes: string[] = [];
  shifting.signals('b', { errorShare: 0.5 });
  for (let round = 0; round < 18; round++) notes.push(...shifting.pass(ROUND_MS).notes);
  t.ok(notes.some((note) => note.startsWith('shift reverted: ')));
  t.strictSame(shifting.owned(OF_CAREFUL), THIRDS, 'its destination fails: the shift is taken back');
});

t.test('who takes over goes on where the engine before it stopped, and nothing moves', async (t) => {
  const site = inPeace(undefined, { own: CAREFUL, critical: true });
  site.risk('a', 0.25).pass(120_000);
  const { plan } = site.last;
  const heir = inPeace(undefined, { own: CAREFUL, critical: true });
  heir.state = adoptPlan('01JE0000000000000000000000', plan);
  heir.mode = 'advisory';
  heir.now = site.now;
  heir.pass(120_000);
  for (const { id, owners } of plan.tables) t.equal(heir.planned(id).owners, owners, id);
});

t.test('a plan says whose thresholds a table is for; two of the same are refused', async (t) => {
  const site = inPeace(undefined, { own: CAREFUL });
  const { plan } = site.last;
  const twice = { ...plan, tables: [...plan.tables, plan.tables[1]!] };
  t.match(validatePlan(JSON.parse(JSON.stringify(twice))), {
    ok: false,
    problem: /another table has the same regions/,
  });
  const [table, own] = plan.tables;
  const stranger = { ...plan, tables: [table, { ...own!, weights: { d: 1 } }] };
  t.match(validatePlan(JSON.parse(JSON.stringify(stranger))), { ok: false, problem: /d is not one of/ });
});
