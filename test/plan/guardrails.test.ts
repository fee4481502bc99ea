import t from 'tap';
import { rollBack } from '../../src/plan/planner.ts';
import { inPeace, ownersOf, ROUND_MS, THIRDS } from '../rig/rounds.ts';

t.test('who has the say', async (t) => {
  t.test('shadow mode computes weights and moves nothing', async (t) => {
    const site = inPeace();
    site.mode = 'shadow';
    const before = ownersOf(site);
    site.risk('a', 0.95).pass(120_000);
    t.strictSame(site.weights, { a: 1, b: 1, c: 1 });
    t.equal(site.record('a').projected, 0);
    t.equal(ownersOf(site), before);
  });

  t.test('advisory mode waits for a yes, which counts once', async (t) => {
    const site = inPeace();
    site.mode = 'advisory';
    site.risk('a', 0.8).pass(120_000);
    t.strictSame(site.weights, { a: 1, b: 1, c: 1 });
    site.accepted = true;
    site.pass(ROUND_MS);
    site.accepted = false;
    t.strictSame(site.weights, { a: 0.1, b: 1, c: 1 });
    site.risk('a', 0.95).pass(120_000);
    t.strictSame(site.weights, { a: 0.1, b: 1, c: 1 }, 'a further wish needs a further yes');
    t.ok(site.owned().a! < 20, 'what was accepted is in force');
  });

  t.test('in advisory mode health needs no yes, neither to go nor to come back', async (t) => {
    const site = inPeace();
    site.mode = 'advisory';
    site.say('a', { healthFactor: 0 }).pass(ROUND_MS);
    t.strictSame(site.owned(), { a: 0, b: 128, c: 128 });
    site.say('a', { healthFactor: 1 }).pass(200_000);
    t.strictSame(site.weights, { a: 1, b: 1, c: 1 });
    t.strictSame(site.owned(), THIRDS);
  });

  t.test('frozen: nothing moves but what is unavailable', async (t) => {
    const site = inPeace();
    site.frozen = true;
    const before = ownersOf(site);
    site.risk('a', 0.95).pass(120_000);
    t.equal(ownersOf(site), before);
    site.say('b', { healthFactor: 0 }).pass(ROUND_MS);
    t.equal(site.owned().b, 0);
  });

  t.test('frozen is frozen also while the engine is distrusted', async (t) => {
    const site = inPeace();
    site.risk('a', 0.8).pass(120_000);
    const before = ownersOf(site);
    site.frozen = true;
    site.score = { brierSkill: -0.1, falseShiftsPerDay: 0, observedDays: 1 };
    site.pass(120_000);
    t.equal(ownersOf(site), before);
  });

  t.test('an engine that predicts worse than the base rate is put back to shadow', async (t) => {
    const site = inPeace();
    site.risk('a', 0.8).pass(120_000);
    site.score = { brierSkill: -0.1, falseShiftsPerDay: 0, observedDays: 1 };
    const { notes } = site.pass(120_000);
    t.match(notes, ['acting like shadow mode: no_skill']);
    t.strictSame(site.weights, { a: 1, b: 1, c: 1 });
    t.strictSame(site.owned(), THIRDS);
    site.score = { brierSkill: 0.1, falseShiftsPerDay: 10, observedDays: 1 };
    t.match(site.pass(ROUND_MS).notes, ['acting like shadow mode: too_many_false_shifts']);
    site.score = { brierSkill: 0.1, falseShiftsPerDay: 10, observedDays: 0.1 };
    t.strictSame(site.pass(ROUND_MS).notes, [], 'a rate over a few minutes says nothing');
  });

  t.test('a drained region is emptied by a ramp, and a weight set by hand is followed', async (t) => {
    const site = inPeace();
    const { moves } = site.say('a', { admin: 'drain' }).pass(ROUND_MS);
    t.strictSame(moves, { human: 86 });
    t.equal(site.progress(), 0);
    site.pass(60_000);
    t.equal(site.served('a'), 0);
    site.say('a', { admin: 'active' }).say('b', { weightOverride: 0.5 }).pass(120_000);
    t.strictSame(site.weights, { a: 1, b: 0.5, c: 1 });
  });

  t.test('a region that fails and returns while frozen has its weight again', async (t) => {
    const site = inPeace();
    site.risk('b', 0.5).pass(120_000);
    site.frozen = true;
    site.say('b', { healthFactor: 0 }).pass(120_000);
    t.strictSame(site.weights, { a: 1, b: 0, c: 1 });
    site.say('b', { healthFactor: 1 }).pass(200_000);
    t.strictSame(site.weights, { a: 1, b: 0.55, c: 1 });
  });

  t.test('a rollback brings back the weights before; frozen, they stay', async (t) => {
    const site = inPeace();
    site.risk('a', 0.8).pass(120_000);
    const back = rollBack(site.state);
    t.ok(back);
    site.state = back!;
    site.frozen = true;
    site.pass(ROUND_MS);
    t.strictSame(site.weights, { a: 1, b: 1, c: 1 });
    t.equal(site.progress(), 0, 'by a ramp as for any other change');
    site.pass(120_000);
    t.strictSame(site.owned(), THIRDS);
    t.equal(rollBack(site.state, 4711), undefined);
    const further = rollBack(site.state, 2);
    t.equal(further!.weights.get('a')!.toFixed(2), '0.10', 'and forward again');
  });
});
