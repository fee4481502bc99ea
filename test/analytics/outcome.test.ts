import t from 'tap';
import { regionEntity } from '../../src/analytics/ingest/sample.ts';
import { NO_OUTCOME, type OutcomeState, observeOutcome } from '../../src/analytics/outcome.ts';

const STEP_MS = 1000;

/** Plays rows of a region, one a second; says for each whether it is failing. */
function failing(rows: readonly Readonly<Record<string, number>>[], capacity?: number): boolean[] {
  let state: OutcomeState = NO_OUTCOME;
  return rows.map((values, i) => {
    const row = {
      entity: regionEntity('a'),
      slot: i,
      at: i * STEP_MS,
      values: new Map(Object.entries(values)),
    };
    ({ state } = observeOutcome(state, row, {
      capacity: undefined,
      statedCapacity: capacity,
      isConfirmed: false,
      stepMs: STEP_MS,
    }));
    return state.since.failure !== undefined;
  });
}

const many = <T>(count: number, one: T): T[] => Array.from({ length: count }, () => one);

t.test('a tenth of many answers as errors is a failure, one of three is not', async (t) => {
  t.strictSame(failing([{ rps: 60, error_rate: 0.1 }]), [true]);
  t.strictSame(failing([{ rps: 60, error_rate: 0.09 }]), [false]);
  t.strictSame(failing([{ rps: 3, error_rate: 0.34 }]), [false]);
  t.strictSame(failing([{ error_rate: 0.2 }]), [true], 'whoever tells shares alone is believed');
  t.strictSame(failing([{ error_rate: 0.05 }, { error_rate: 0 }, {}]), [false, false, false]);
});

t.test('errors of a region at its capacity are those of too much load', async (t) => {
  const shown = (rps: number): boolean[] => failing([{ rps, error_rate: 0.5 }], 100);
  t.strictSame(shown(91), [false]);
  t.strictSame(shown(90), [true]);
  t.strictSame(failing([{ rps: 91, error_rate: 0.5, healthy_share: 0 }], 100), [true], 'down is down');
});

t.test('what a few requests do not tell, those of several rows do', async (t) => {
  const few = { rps: 3, error_rate: 0.34 };
  t.strictSame(failing([few, few, few]), [false, false, true]);
  t.strictSame(
    failing([few, { rps: 60, error_rate: 0 }, few, few]),
    [false, false, false, false],
    'many tell more',
  );
  const rare = [few, ...many(10, { rps: 0.5, error_rate: 0 }), few, few];
  t.notOk(failing(rare).some(Boolean), 'what is long ago is another matter');
});

t.test('three rows of calm end it', async (t) => {
  const calm = { rps: 60, error_rate: 0 };
  t.strictSame(failing([{ rps: 60, error_rate: 0.5 }, calm, calm, calm]), [true, true, true, false]);
});

t.test('without requests nobody sees whether the errors are over: it lasts, but not for ever', async (t) => {
  const shown = failing([{ rps: 60, error_rate: 0.5 }, ...many(12, { rps: 2, error_rate: 0 })]);
  t.ok(shown.slice(0, 10).every(Boolean), 'two requests a second are no calm');
  t.equal(shown.at(-1), false, 'requests have to find out in the end');
});

t.test('silence is not what made it: a region that was down and is up again has recovered', async (t) => {
  const shown = failing([{ healthy_share: 0 }, ...many(4, { rps: 0, healthy_share: 1 })]);
  t.strictSame(shown, [true, true, true, false, false]);
});
