// A server that was slow once, between the cells that remember it and the choice that reads them.

import t from 'tap';
import { seededRandom } from '../../src/core/random.ts';
import { chooseServer } from '../../src/region/choose-server.ts';
import { LiveCells } from '../../src/state/live-cells.ts';

const SERVERS = [
  { slot: 0, weight: 1 },
  { slot: 1, weight: 1 },
];
const SLOW_MS = 2000;
const FAST_MS = 5;

/** Seconds of one request per second until the slow server is asked again; 60 when it never is. */
function secondsUntilAskedAgain(fades: boolean): number {
  const cells = new LiveCells(1);
  const column = cells.column(0);
  for (const { slot } of SERVERS) cells.resetSlot(slot);
  const answer = (slot: number, ms: number): void => {
    column.attemptBegan(slot, 0);
    column.attemptJudged(slot, cells.incarnation(slot), 'success', ms);
    column.attemptEnded(slot, 0);
  };
  answer(0, SLOW_MS);
  answer(1, FAST_MS);
  column.fadeLatencies();
  const random = seededRandom(1);
  const loads = {
    inFlight: (slot: number) => cells.serverInFlight(slot),
    latencyUs: (slot: number) => column.latencyUs(slot),
    expectedUs: (slot: number) => column.expectedUs(slot),
    failuresInARow: (slot: number) => column.failuresInARow(slot),
    ramp: () => 1,
  };
  for (let second = 1; second < 60; second++) {
    const chosen = chooseServer(SERVERS, {
      loads,
      random,
      inFlightLimit: 256,
      tried: [],
      lateUs: Number.POSITIVE_INFINITY,
    });
    if (typeof chosen === 'string') throw new Error(`nobody was chosen: ${chosen}`);
    if (chosen.slot === 0) return second;
    answer(chosen.slot, FAST_MS);
    if (fades) column.fadeLatencies();
  }
  return 60;
}

t.test('a server that was 400 times slower is asked again within ten seconds', async (t) => {
  const seconds = secondsUntilAskedAgain(true);
  t.ok(seconds > 5 && seconds <= 10, `after ${seconds} s`);
  t.equal(secondsUntilAskedAgain(false), 60, 'without fading it never would be');
});

t.test('fading touches neither a server that is asked nor one without a sample', async (t) => {
  const column = new LiveCells(1).column(0);
  column.attemptBegan(3, 0);
  column.attemptJudged(3, 0, 'success', SLOW_MS);
  column.fadeLatencies();
  column.fadeLatencies();
  t.equal(column.latencyUs(3), SLOW_MS * 1000, 'a request is under way');
  t.equal(column.latencyUs(4), 0);
  column.attemptEnded(3, 0);
  column.fadeLatencies();
  t.equal(column.latencyUs(3), SLOW_MS * 500, 'nobody asks any more');
});
