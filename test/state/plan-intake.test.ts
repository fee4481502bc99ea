import t from 'tap';
import { PlanIntake } from '../../src/state/plan-intake.ts';
import { inPeace, ROUND_MS } from '../rig/rounds.ts';

const site = inPeace();
const first = site.last.plan;
const second = site.say('a', { healthFactor: 0 }).pass(ROUND_MS).plan;
const fits = { misfit: () => undefined, ageMs: 0 };

t.test('the greater generation of an incarnation wins, and the greater incarnation of all', async (t) => {
  const intake = new PlanIntake(0);
  t.equal(intake.plan, undefined);
  t.equal(intake.offer(second, { ...fits, now: 1 }).kind, 'taken');
  t.equal(intake.offer(first, { ...fits, now: 2 }).kind, 'known', 'an older one');
  t.equal(intake.offer(second, { ...fits, now: 3 }).kind, 'known', 'the same');
  const later = { ...first, incarnation: '01JE0000000000000000000000' };
  t.equal(intake.offer(later, { ...fits, now: 4 }).kind, 'taken', 'stamps are no part of the digest');
  t.equal(intake.offer(second, { ...fits, now: 5 }).kind, 'known');
  t.equal(intake.plan!.incarnation, later.incarnation);
});

t.test('what is malformed or does not fit is refused, and the plan in force stays', async (t) => {
  const intake = new PlanIntake(0);
  intake.offer(first, { ...fits, now: 1 });
  for (const document of [null, 7, 'plan', {}, { ...second, tables: [] }, { ...second, digest: 'x' }]) {
    t.match(intake.offer(document, { ...fits, now: 2 }), { kind: 'refused', reason: 'invalid' });
  }
  const misfit = { misfit: () => 'regions: differ', ageMs: 0, now: 3 };
  t.strictSame(intake.offer(second, misfit), {
    kind: 'refused',
    reason: 'misfit',
    problem: 'regions: differ',
  });
  t.equal(intake.plan!.generation, 1);
  t.equal(intake.ageMs(1001), 1000, 'a refused plan is no sign of an engine that can be followed');
});

t.test('age counts from the evaluation, whichever answer told of it', async (t) => {
  const intake = new PlanIntake(1000);
  t.equal(intake.staleSince(500, 1499), Number.POSITIVE_INFINITY, 'a whole ttl after the start');
  t.equal(intake.staleSince(500, 1500), 1500);
  intake.offer(first, { ...fits, ageMs: 200, now: 2000 });
  t.equal(intake.ageMs(2000), 200);
  t.equal(intake.staleSince(500, 2400), 2300);
  intake.renew(900, 2100);
  t.equal(intake.ageMs(2100), 300, 'an older word takes nothing back');
  intake.renew(-50, 2100);
  t.equal(intake.ageMs(2100), 0, 'nor does one from the future give more');
  intake.offer(first, { ...fits, ageMs: 0, now: 2500 });
  t.equal(intake.ageMs(2500), 0, 'the same plan again is news of its engine');
  intake.forget(3000);
  t.strictSame([intake.plan, intake.ageMs(3000)], [undefined, 0]);
  t.equal(intake.offer(first, { ...fits, now: 3001 }).kind, 'taken');
});
