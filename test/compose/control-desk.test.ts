// What operators change, with a real database below it.

import t, { type Test } from 'tap';
import { ControlDesk } from '../../src/compose/control-desk.ts';
import type { Cause } from '../../src/control/desk-port.ts';
import { HandClock } from '../rig/clock.ts';
import { World } from '../rig/world.ts';

const AT = '1970-01-01T00:00:00.000Z';

async function open(t: Test, regions: readonly string[]): Promise<ControlDesk> {
  const desk = await ControlDesk.open(t.testdir(), new HandClock());
  t.teardown(() => desk.close());
  desk.written = new World({ regions: regions.map((id) => ({ id })), routes: [{}] }).config;
  return desk;
}

const cause = (what: string, target: string): Cause => ({
  who: 'ann',
  what,
  target,
  from: null,
  to: null,
  why: 'x',
});

t.test('an entry says what it found, also where two came at once', async (t) => {
  const desk = await open(t, ['east', 'west']);
  const drain = { kind: 'drain', reason: 'x', by: 'ann', at: AT } as const;
  const weight = { kind: 'weight', weight: 0.5, reason: 'x', by: 'bob', at: AT } as const;
  await Promise.all([
    desk.override('east', drain, { ...cause('region.drain', 'east'), to: drain }),
    desk.override('east', weight, { ...cause('region.weight', 'east'), to: weight }),
  ]);
  t.match(await desk.audit(2), [
    { what: 'region.weight', from: drain, to: weight },
    { what: 'region.drain', from: null, to: drain },
  ]);
  const put = (name: string, document: object) =>
    desk.changePolicies(
      (before) => ({ ...before, [name]: document }),
      () => true,
      (from, to) => ({ ...cause('policy.put', name), from, to }),
    );
  await Promise.all([put('gold', {}), put('gold', { policy: 'round_robin' })]);
  t.match(await desk.audit(2), [
    { from: { gold: {} }, to: { gold: { policy: 'round_robin' } } },
    { from: {}, to: { gold: {} } },
  ]);
});

t.test('what was changed elsewhere is kept in the order in which it came', async (t) => {
  const desk = await open(t, ['east']);
  await Promise.all([desk.note(cause('plan.freeze', '1')), desk.note(cause('plan.unfreeze', '1'))]);
  t.match(await desk.audit(9), [{ what: 'plan.unfreeze' }, { what: 'plan.freeze' }]);
  t.equal(desk.revision, 0, 'that is no change of policies');
});

t.test('a region may have a name that objects know', async (t) => {
  const desk = await open(t, ['constructor', 'west']);
  const made = desk.effective(desk.written);
  t.match(made, { regions: [{ id: 'constructor', weight: 1 }, {}] });
});
