import t from 'tap';
import {
  accusation,
  eject,
  type FailureRuns,
  joinRuns,
  mayEject,
  NO_RUNS,
  newOutlierState,
  type OutlierState,
  settleOutlier,
} from '../../src/health/outlier.ts';

const SETTINGS = {
  enabled: true,
  consecutive5xx: 5,
  consecutiveConnectFailures: 3,
  baseEjection: 30_000,
  maxEjection: 70_000,
  maxEjected: 0.5,
};
const runs = (run5xx: number, runConnect = 0): FailureRuns => ({ run5xx, runConnect });

t.test('failures in a row accuse, one less does not, and a switched-off detector never', async (t) => {
  const state = newOutlierState(0);
  t.equal(accusation(state, runs(4), SETTINGS), undefined);
  t.equal(accusation(state, runs(5), SETTINGS), 'consecutive_5xx');
  t.equal(accusation(state, runs(0, 2), SETTINGS), undefined);
  t.equal(accusation(state, runs(0, 3), SETTINGS), 'consecutive_connect_failures');
  t.equal(accusation(state, runs(9, 9), { ...SETTINGS, enabled: false }), undefined);
  t.equal(accusation(eject(state, runs(5), 0, SETTINGS), runs(50), SETTINGS), undefined, 'it is out already');
});

t.test('runs of workers are one row as long as none of them sees a success', async (t) => {
  const perWorker = [runs(3, 1), runs(2, 2)];
  t.strictSame(joinRuns(perWorker, false), runs(5, 3));
  t.strictSame(joinRuns(perWorker, true), runs(3, 2), 'with a success elsewhere each counts for itself');
  t.strictSame(joinRuns([], true), NO_RUNS);
});

t.test('each ejection is longer by the base, up to the longest', async (t) => {
  let state: OutlierState = newOutlierState(0);
  const lengths: number[] = [];
  let now = 0;
  for (let i = 1; i <= 4; i++) {
    state = eject(state, runs(5 * i), now, SETTINGS);
    lengths.push(state.ejectedUntil! - now);
    now = state.ejectedUntil!;
    state = settleOutlier(state, runs(5 * i), now, SETTINGS);
    t.equal(state.ejectedUntil, undefined);
  }
  t.strictSame(lengths, [30_000, 60_000, 70_000, 70_000]);
});

t.test('an ejection lasts to its end, and what was held against a server does not count twice', async (t) => {
  let state = eject(newOutlierState(0), runs(5), 1000, SETTINGS);
  t.equal(settleOutlier(state, runs(5), 30_999, SETTINGS).ejectedUntil, 31_000);
  // Requests that were under way when it was ejected failed as well.
  state = settleOutlier(state, runs(8), 31_000, SETTINGS);
  t.equal(state.ejectedUntil, undefined);
  t.equal(accusation(state, runs(12), SETTINGS), undefined, 'four more');
  t.equal(accusation(state, runs(13), SETTINGS), 'consecutive_5xx', 'five more');
  t.equal(accusation(state, runs(4), SETTINGS), undefined, 'a success began a new row');
  t.equal(accusation(state, runs(5), SETTINGS), 'consecutive_5xx', 'and that row is full');
});

t.test('good times forgive one step for each base period', async (t) => {
  let state: OutlierState = { ejectedUntil: undefined, ejections: 2, calmSince: 0, judged: NO_RUNS };
  state = settleOutlier(state, NO_RUNS, 29_999, SETTINGS);
  t.equal(state.ejections, 2);
  state = settleOutlier(state, NO_RUNS, 30_000, SETTINGS);
  t.equal(state.ejections, 1);
  state = settleOutlier(state, NO_RUNS, 45_000, SETTINGS);
  t.equal(state.ejections, 1);
  state = settleOutlier(state, NO_RUNS, 60_000, SETTINGS);
  t.equal(state.ejections, 0);
  t.equal(settleOutlier(state, NO_RUNS, 999_000, SETTINGS).ejections, 0);
});

t.test(
  'at most the share of a region goes, one at least unless it is 0, never the last that serves',
  async (t) => {
    t.equal(mayEject(10, 4, 6, SETTINGS), true);
    t.equal(mayEject(10, 5, 5, SETTINGS), false, 'half of ten are out');
    t.equal(mayEject(2, 0, 2, { ...SETTINGS, maxEjected: 0.1 }), true, 'one of two');
    t.equal(mayEject(2, 0, 2, { ...SETTINGS, maxEjected: 0 }), false, 'none is none');
    t.equal(mayEject(10, 0, 1, SETTINGS), false, 'the last one in rotation');
    t.equal(mayEject(1, 0, 1, SETTINGS), false);
  },
);
