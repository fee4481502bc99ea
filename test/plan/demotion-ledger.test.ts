import t from 'tap';
import {
  type DemotedRegion,
  type DemotionLedger,
  EMPTY_LEDGER,
  falseShiftRate,
  observeDemotions,
} from '../../src/plan/demotion-ledger.ts';

const MINUTE = 60_000;
const DAY = 86_400_000;
const HORIZON = 5 * MINUTE;

interface Moment {
  readonly minutes: number;
  readonly demoted?: readonly DemotedRegion[];
  readonly troubled?: readonly string[];
}

function observe(moments: readonly Moment[], start: DemotionLedger = EMPTY_LEDGER): DemotionLedger {
  return moments.reduce(
    (ledger, { minutes, demoted = [], troubled = [] }) =>
      observeDemotions(ledger, demoted, {
        now: minutes * MINUTE,
        horizon: HORIZON,
        troubled: new Set(troubled),
      }),
    start,
  );
}

const quiet = (id: string): DemotedRegion => ({ id, isInTrouble: false });
const ill = (id: string): DemotedRegion => ({ id, isInTrouble: true });

t.test('a demotion that nothing followed is false once the horizon after its end has passed', async (t) => {
  const begun = observe([{ minutes: 0 }, { minutes: 1, demoted: [quiet('a')] }, { minutes: 10 }]);
  t.strictSame(begun.falseEnds, [], 'the trouble may still come');
  const judged = observe([{ minutes: 15 }], begun);
  t.strictSame(judged.falseEnds, [10 * MINUTE]);
  t.equal(judged.episodes.size, 0);
  t.strictSame(observe([{ minutes: 16 }, { minutes: 60 }], judged).falseEnds, [10 * MINUTE], 'counted once');
});

t.test('trouble during the demotion or within the horizon after it makes it right', async (t) => {
  const during = observe([
    { minutes: 0, demoted: [quiet('a')] },
    { minutes: 1, demoted: [ill('a')] },
    { minutes: 2, demoted: [quiet('a')] },
    { minutes: 3 },
    { minutes: 30 },
  ]);
  t.strictSame(during.falseEnds, []);
  const after = observe([
    { minutes: 0, demoted: [quiet('a')] },
    { minutes: 3 },
    { minutes: 6, troubled: ['a'] },
    { minutes: 30 },
  ]);
  t.strictSame(after.falseEnds, []);
  const elsewhere = observe([
    { minutes: 0, demoted: [quiet('a')] },
    { minutes: 3 },
    { minutes: 6, troubled: ['b'] },
    { minutes: 30 },
  ]);
  t.strictSame(elsewhere.falseEnds, [3 * MINUTE], "another region's trouble excuses nothing");
});

t.test('one that comes back within the horizon is the same demotion', async (t) => {
  const ledger = observe([
    { minutes: 0, demoted: [quiet('a')] },
    { minutes: 2 },
    { minutes: 4, demoted: [quiet('a')] },
    { minutes: 6 },
    { minutes: 30 },
  ]);
  t.strictSame(ledger.falseEnds, [6 * MINUTE]);
});

t.test('the rate is per day of observation, over a week at most', async (t) => {
  t.strictSame(falseShiftRate(EMPTY_LEDGER, 5), { falseShiftsPerDay: 0, observedDays: 0 });
  const ledger = { startedAt: 0, episodes: new Map(), falseEnds: [1, 2, 3] };
  t.strictSame(falseShiftRate(ledger, DAY / 2), { falseShiftsPerDay: 6, observedDays: 0.5 });
  t.strictSame(falseShiftRate(ledger, 30 * DAY).observedDays, 7);
  const old = observe([{ minutes: (8 * DAY) / MINUTE }], ledger);
  t.strictSame(old.falseEnds, [], 'what is older than a week is forgotten');
});
