import { Worker } from 'node:worker_threads';
import fc from 'fast-check';
import t from 'tap';
import { HEALTH_STATES, MAX_SERVERS } from '../../src/core/model.ts';
import { MAX_REGIONS } from '../../src/state/cell-layout.ts';
import { LiveCells } from '../../src/state/live-cells.ts';
import type { Outcome } from '../../src/state/worker-column.ts';

const LAST_SLOT = MAX_SERVERS - 1;
const LAST_REGION = MAX_REGIONS - 1;

t.test(
  'new cells know nothing: health unknown, no load, utilisation not known, the plan fresh',
  async (t) => {
    const cells = new LiveCells(2);
    cells.resetSlot(5);
    t.equal(cells.health(5), 'unknown');
    t.equal(cells.isEjected(5), false);
    t.equal(cells.ramp(5), 1);
    t.equal(cells.incarnation(5), 1);
    t.ok(Number.isNaN(cells.utilisation(LAST_REGION)));
    t.equal(cells.staleSince, Number.POSITIVE_INFINITY);
    t.equal(cells.connections() + cells.requestsInFlight() + cells.serverInFlight(5), 0);
  },
);

t.test('what the main thread writes is read from the same memory, first and last cell alike', async (t) => {
  const cells = new LiveCells(3);
  const other = new LiveCells(3, cells.buffer);
  for (const slot of [0, LAST_SLOT]) {
    for (const health of HEALTH_STATES) {
      cells.setHealth(slot, health);
      t.equal(other.health(slot), health);
    }
    cells.setEjected(slot, true);
    t.equal(other.isEjected(slot), true);
    cells.setRamp(slot, 0.1);
    t.equal(other.ramp(slot), 0.1);
  }
  cells.setLoad(0, 0.25, 0.5);
  cells.setLoad(LAST_REGION, 1.5, 1);
  cells.setStaleSince(12.5);
  t.strictSame([other.utilisation(0), other.utilisation(LAST_REGION), other.staleSince], [0.25, 1.5, 12.5]);
  t.strictSame([other.healthyShare(0), other.healthyShare(1), other.healthyShare(LAST_REGION)], [0.5, 1, 1]);
  const before = other.version;
  cells.publish();
  t.equal(other.version, before + 1);
});

t.test('a limit per process sees all columns, and a dead worker takes only its own with it', async (t) => {
  const cells = new LiveCells(3);
  cells.resetSlot(LAST_SLOT);
  const columns = [0, 1, 2].map((worker) => cells.column(worker));
  for (const [i, column] of columns.entries()) {
    for (let n = 0; n <= i; n++) {
      column.addConnections(1);
      column.addRequests(1);
      column.attemptBegan(LAST_SLOT, LAST_REGION);
      column.attemptJudged(LAST_SLOT, 1, 'error5xx', 1);
    }
  }
  const sums = (): number[] => [
    cells.connections(),
    cells.requestsInFlight(),
    cells.serverInFlight(LAST_SLOT),
    cells.regionInFlight(LAST_REGION),
  ];
  t.strictSame(sums(), [6, 6, 6, 6]);
  cells.clearWorker(1);
  t.strictSame(sums(), [4, 4, 4, 4]);
  t.equal(cells.counts(1, LAST_SLOT).errors5xx, 0);
  t.equal(cells.counts(0, LAST_SLOT).errors5xx, 1);
  t.equal(cells.counts(2, LAST_SLOT).errors5xx, 3);
  columns[2]!.attemptEnded(LAST_SLOT, LAST_REGION);
  columns[2]!.addConnections(-1);
  columns[2]!.addRequests(-1);
  t.strictSame(sums(), [3, 3, 3, 3]);
});

t.test('outcomes count, and rows break as the detectors want it', async (t) => {
  const cells = new LiveCells(1);
  cells.resetSlot(1);
  const column = cells.column(0);
  const judge = (...outcomes: Outcome[]) => {
    for (const outcome of outcomes) column.attemptJudged(1, 1, outcome, 2);
    const { run5xx, runConnect } = cells.counts(0, 1);
    return [run5xx, runConnect];
  };
  t.strictSame(judge('error5xx', 'error5xx'), [2, 0]);
  t.strictSame(judge('connect_failure'), [2, 1], 'not reached says nothing about its answers');
  t.strictSame(judge('other_failure'), [3, 1]);
  t.equal(column.failuresInARow(1), 4);
  t.strictSame(judge('error5xx'), [4, 0], 'an answer proves that it can be reached');
  t.strictSame(judge('success'), [0, 0]);
  const { successes, errors5xx, connectFailures, otherFailures } = cells.counts(0, 1);
  t.strictSame([successes, errors5xx, connectFailures, otherFailures], [1, 3, 1, 1]);
});

t.test('latency is a moving average of successes, 0 while there is none', async (t) => {
  const cells = new LiveCells(1);
  cells.resetSlot(1);
  const column = cells.column(0);
  column.attemptJudged(1, 1, 'error5xx', 1);
  t.equal(column.latencyUs(1), 0, 'a server that fails fast does not look fast');
  column.attemptJudged(1, 1, 'success', 10);
  t.equal(column.latencyUs(1), 10_000);
  column.attemptJudged(1, 1, 'success', 20);
  t.equal(column.latencyUs(1), 12_000);
  cells.resetSlot(1);
  column.attemptJudged(1, 2, 'success', 0);
  t.equal(column.latencyUs(1), 1, 'an answer in no time is a sample too');
});

t.test('what one more request would take grows with what is in flight beyond the usual', async (t) => {
  const cells = new LiveCells(1);
  cells.resetSlot(1);
  const column = cells.column(0);
  t.equal(column.expectedUs(1), 0, 'nothing is known');
  const serve = (others: number): void => {
    for (let i = 0; i < others; i++) column.attemptBegan(1, 0);
    for (let i = 0; i < others; i++) column.attemptEnded(1, 0);
  };
  column.attemptBegan(1, 0);
  column.attemptJudged(1, 1, 'success', 10);
  column.attemptEnded(1, 0);
  t.equal(column.expectedUs(1), 10_000, 'alone it takes what it took alone');
  for (let i = 0; i < 3; i++) column.attemptBegan(1, 0);
  const crowded = column.expectedUs(1);
  t.ok(crowded > 20_000 && crowded < 40_000, `behind three others: ${crowded}`);
  for (let i = 0; i < 3; i++) column.attemptEnded(1, 0);
  for (let i = 0; i < 20; i++) serve(4);
  const usual = column.expectedUs(1);
  t.ok(usual < 10_000, `fewer than usual: ${usual}`);
});

t.test('who was overtaken takes at least as long as it was waited for', async (t) => {
  const cells = new LiveCells(1);
  cells.resetSlot(1);
  const column = cells.column(0);
  column.attemptOvertaken(1, 1, 1);
  t.equal(column.latencyUs(1), 0, 'of one that never answered it is not known');
  column.attemptJudged(1, 1, 'success', 20);
  column.attemptOvertaken(1, 1, 10);
  t.equal(column.latencyUs(1), 20_000, 'it may well take longer than that');
  column.attemptOvertaken(1, 1, 120);
  t.equal(column.latencyUs(1), 40_000);
  column.attemptOvertaken(1, 2, 1000);
  t.equal(column.latencyUs(1), 40_000, 'that was another server');
  t.equal(cells.counts(0, 1).run5xx, 0, 'it is to blame for nothing');
});

t.test('a slot that has a new server forgets the old one, whose late reports are dropped', async (t) => {
  const cells = new LiveCells(2);
  cells.resetSlot(3);
  const column = cells.column(1);
  column.attemptBegan(3, 0);
  column.attemptBegan(3, 0);
  column.attemptJudged(3, 1, 'error5xx', 1);
  cells.setHealth(3, 'unhealthy');
  cells.setEjected(3, true);
  cells.setRamp(3, 0.2);
  cells.resetSlot(3);
  t.strictSame([cells.health(3), cells.isEjected(3), cells.ramp(3)], ['unknown', false, 1]);
  t.equal(cells.incarnation(3), 2);
  t.equal(cells.attempts(1, 3), 0);
  column.attemptJudged(3, 1, 'error5xx', 1);
  t.equal(cells.counts(1, 3).run5xx, 0, 'that was about the server before');
  t.equal(cells.serverInFlight(3), 2, 'its requests are still under way');
  column.attemptEnded(3, 0);
  column.attemptEnded(3, 0);
  t.equal(cells.serverInFlight(3), 0);
});

t.test('no cell touches another: what was written is what is read, in any order', async () => {
  const write = fc.record({
    worker: fc.nat(2),
    slot: fc.constantFrom(0, 1, 2, LAST_SLOT),
    region: fc.constantFrom(0, 1, LAST_REGION),
  });
  fc.assert(
    fc.property(fc.array(write, { maxLength: 40 }), (writes) => {
      const cells = new LiveCells(3);
      for (const { worker, slot, region } of writes) cells.column(worker).attemptBegan(slot, region);
      const count = (matches: (one: (typeof writes)[number]) => boolean): number =>
        writes.filter(matches).length;
      for (const slot of [0, 1, 2, 3, LAST_SLOT]) {
        if (cells.serverInFlight(slot) !== count((one) => one.slot === slot)) return false;
        if (cells.health(slot) !== 'unknown' || cells.incarnation(slot) !== 0) return false;
        for (const worker of [0, 1, 2])
          if (cells.attempts(worker, slot) !== count((one) => one.slot === slot && one.worker === worker))
            return false;
      }
      return [0, 1, 2, LAST_REGION].every(
        (region) => cells.regionInFlight(region) === count((one) => one.region === region),
      );
    }),
    { numRuns: 40 },
  );
});

t.test('another thread sees the same cells', async (t) => {
  const cells = new LiveCells(2);
  cells.resetSlot(9);
  const url = new URL('../../src/state/live-cells.ts', import.meta.url).href;
  const code = `
    const { workerData } = require('node:worker_threads');
    import(workerData.url).then(({ LiveCells }) => {
      const column = new LiveCells(2, workerData.buffer).column(1);
      for (let i = 0; i < 1000; i++) column.attemptBegan(9, 4);
    });`;
  const worker = new Worker(code, { eval: true, workerData: { buffer: cells.buffer, url } });
  const mine = cells.column(0);
  for (let i = 0; i < 1000; i++) mine.attemptBegan(9, 4);
  await new Promise((resolve) => worker.once('exit', resolve));
  t.equal(cells.serverInFlight(9), 2000);
  t.equal(cells.attempts(1, 9), 1000);
});
