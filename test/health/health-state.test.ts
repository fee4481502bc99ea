// The pure machines around a probe: verdict, pace and ramp.

import fc from 'fast-check';
import t from 'tap';
import type { Random } from '../../src/core/random.ts';
import { afterProbe, INITIAL_STATE, isInTransition, type ProbeState } from '../../src/health/health-state.ts';
import { FASTEST_MS, firstProbeMs, nextProbeMs } from '../../src/health/probe-schedule.ts';
import { slowStartFactor } from '../../src/health/slow-start.ts';

const THRESHOLDS = { unhealthyThreshold: 3, healthyThreshold: 2 };
const fixed = (value: number): Random => ({ next: () => value, u32: () => value * 2 ** 32 });

/** Verdicts after each of `results` (p = pass, f = failure): u, h, x for unhealthy. */
function verdicts(results: string): string {
  let state: ProbeState = INITIAL_STATE;
  const letters = { unknown: 'u', healthy: 'h', unhealthy: 'x' };
  return [...results]
    .map((result) => {
      state = afterProbe(state, result === 'p', THRESHOLDS);
      return letters[state.health];
    })
    .join('');
}

t.test('a verdict changes after so many results in a row, and at first sight after one pass', async (t) => {
  t.equal(verdicts('p'), 'h', 'one pass suffices at first');
  t.equal(verdicts('fff'), 'uux', 'one failure does not');
  t.equal(verdicts('pfff'), 'hhhx');
  t.equal(verdicts('pffpffp'), 'hhhhhhh', 'a pass begins the count anew');
  t.equal(verdicts('fffpfpp'), 'uuxxxxh', 'and so does a failure on the way back');
});

t.test('no run shorter than its threshold changes a verdict', async () => {
  fc.assert(
    fc.property(fc.array(fc.boolean(), { maxLength: 60 }), (results) => {
      let state: ProbeState = { health: 'healthy', against: 0 };
      let run = 0;
      for (const passed of results) {
        const before = state.health;
        run = passed === (before === 'healthy') ? 0 : run + 1;
        state = afterProbe(state, passed, THRESHOLDS);
        const needed = before === 'healthy' ? 3 : 2;
        if ((state.health !== before) !== (run === needed)) return false;
        if (state.health !== before) run = 0;
      }
      return true;
    }),
  );
});

t.test('in transition a server is asked four times as often, never without pause', async (t) => {
  const steady: ProbeState = { health: 'healthy', against: 0 };
  const doubted: ProbeState = { health: 'healthy', against: 1 };
  t.notOk(isInTransition(steady));
  t.ok(isInTransition(doubted));
  t.ok(isInTransition(INITIAL_STATE));
  t.equal(nextProbeMs(steady, 2000, fixed(0.5)), 2000);
  t.equal(nextProbeMs(doubted, 2000, fixed(0.5)), 500);
  t.equal(nextProbeMs(doubted, 200, fixed(0.5)), FASTEST_MS);
});

t.test('pauses spread over a tenth to both sides, first probes over one fast pause', async (t) => {
  const steady: ProbeState = { health: 'unhealthy', against: 0 };
  t.equal(nextProbeMs(steady, 2000, fixed(0)), 1800);
  t.ok(Math.abs(nextProbeMs(steady, 2000, fixed(1 - 2 ** -32)) - 2200) < 0.001);
  t.equal(firstProbeMs(2000, fixed(0)), 0);
  t.equal(firstProbeMs(2000, fixed(0.5)), 250);
  t.equal(firstProbeMs(100, fixed(0.5)), FASTEST_MS / 2);
});

t.test('a server that comes back gets a tenth, then more by the time, then all', async (t) => {
  t.equal(slowStartFactor(0, 30_000), 0.1);
  t.equal(slowStartFactor(1500, 30_000), 0.1);
  t.equal(slowStartFactor(15_000, 30_000), 0.5);
  t.equal(slowStartFactor(30_000, 30_000), 1);
  t.equal(slowStartFactor(Number.POSITIVE_INFINITY, 30_000), 1, 'it never was away');
  t.equal(slowStartFactor(0, 0), 1, 'switched off');
});
