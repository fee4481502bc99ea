import { Worker } from 'node:worker_threads';
import t from 'tap';
import { systemClock, wallTimestamp } from '../../src/core/clock.ts';
import { HandClock } from '../rig/clock.ts';

t.test('all threads share one count of monotonic milliseconds', async (t) => {
  const url = new URL('../../src/core/clock.ts', import.meta.url).href;
  const code = `import(${JSON.stringify(url)}).then(({ systemClock }) =>
    require('node:worker_threads').parentPort.postMessage(systemClock.monotonicMs()));`;
  const before = systemClock.monotonicMs();
  const worker = new Worker(code, { eval: true });
  const there = await new Promise<number>((resolve) => worker.once('message', resolve));
  const after = systemClock.monotonicMs();
  t.ok(before - 1 <= there && there <= after + 1, `${before} <= ${there} <= ${after}`);
});

t.test('the wall clock is for stamps, in the form of RFC 3339', async (t) => {
  const before = Date.now();
  const wall = systemClock.wallMs();
  t.ok(before <= wall && wall <= Date.now());
  t.equal(wallTimestamp(new HandClock()), '2026-01-01T00:00:00.000Z');
});
