import t from 'tap';
import { adoptPlan } from '../../src/plan/adopt-plan.ts';
import { validatePlan } from '../../src/plan/plan.ts';
import { progressAt } from '../../src/plan/shift.ts';
import { inPeace, ownersOf, ROUND_MS, type Rounds } from '../rig/rounds.ts';

t.test('another engine takes over', async (t) => {
  const LATER = '01JE0000000000000000000000';
  /** The same site under an engine that has only the plan to go by. */
  const restarted = (site: Rounds): Rounds => {
    const verdict = validatePlan(JSON.parse(JSON.stringify(site.last.plan)));
    if (!verdict.ok) throw new Error(verdict.problem);
    site.state = adoptPlan(LATER, verdict.plan);
    return site;
  };

  t.test('nothing moves because of it, and its plan is a new one', async (t) => {
    const site = inPeace();
    site.risk('a', 0.8).pass(120_000);
    const before = ownersOf(site);
    restarted(site).pass(ROUND_MS);
    t.equal(ownersOf(site), before);
    t.equal(site.last.plan.incarnation, LATER);
    t.ok(site.last.isNew);
    t.equal(site.last.plan.generation, 1);
    t.strictSame(site.last.moves, {});
  });

  t.test('nothing moves while it has nothing to say yet', async (t) => {
    const site = inPeace(undefined, { critical: true });
    site.risk('a', 0.8).pass(120_000);
    const before = [ownersOf(site), ownersOf(site, 'all!critical')];
    restarted(site).say('a', { assessment: undefined }).pass(30_000);
    t.strictSame([ownersOf(site), ownersOf(site, 'all!critical')], before);
    site.risk('a', 0.8).pass(120_000);
    t.strictSame([ownersOf(site), ownersOf(site, 'all!critical')], before);
  });

  t.test('a ramp under way goes on by the same points', async (t) => {
    const site = inPeace();
    site.risk('a', 0.8).pass(35_000);
    const { id, progress, moving } = site.table().shift!;
    restarted(site).pass(ROUND_MS);
    const after = site.table().shift!;
    t.equal(after.id, id);
    t.strictSame([...after.progress], [...progress]);
    t.strictSame([...after.moving], [...moving]);
    site.pass(30_000);
    t.equal(site.progress(), undefined);
  });

  t.test('a ramp that was held or taken back stays so', async (t) => {
    const site = inPeace();
    site.risk('a', 0.8).pass(35_000);
    site.signals('b', { p99: 100 }).pass(ROUND_MS);
    const at = site.progress()!;
    restarted(site);
    site.now += ROUND_MS;
    site.plan();
    t.ok(site.progress()! >= at);
    t.equal(progressAt(site.table().shift!.progress, site.now), at, 'resumed where it was held');
  });

  t.test('a ramp that it took over and takes back ends where the first engine had begun', async (t) => {
    const site = inPeace();
    const before = ownersOf(site);
    site.risk('a', 0.8).pass(20_000);
    restarted(site).pass(ROUND_MS);
    site.signals('b', { p99: 100 }).pass(35_000);
    site.signals('b', {}).pass(40_000);
    t.equal(ownersOf(site), before);
    t.equal(site.progress(), undefined);
    t.ok(site.weights.a! > 0.98, `weight ${site.weights.a}`);
  });
});
