// Training in a disposable thread: it may diverge, hang or eat memory, and nobody is harmed.

import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import t from 'tap';
import { Drift, PROBABILITIES } from '../../src/analytics/drift.ts';
import type { TrainingAnswer } from '../../src/analytics/models.ts';
import { isBetter, TrainingQueue, trainInThread } from '../../src/analytics/train.ts';
import { seededRandom } from '../../src/core/random.ts';

const THREAD = new URL('../../src/analytics/training-thread.ts', import.meta.url);

t.test('trees are trained in a thread and compared on rows that the challenger has not seen', async (t) => {
  const random = seededRandom(1);
  const rows = 1200;
  const features = Float64Array.from({ length: rows * 2 }, () => random.next());
  const labels = Uint8Array.from({ length: rows }, (_, row) => (features[row * 2]! > 0.8 ? 1 : 0));
  const job = { kind: 'failure', rows: { features, columns: 2, labels }, champion: undefined };
  const end = await trainInThread(THREAD, job);
  if (end.kind !== 'trained') return t.fail(end.why);
  const answer = end.result as TrainingAnswer;
  t.ok(answer.challenger < 0.05, `Brier ${answer.challenger}`);
  t.equal(isBetter(answer), true, 'the first model is taken');
  const upsideDown = await trainInThread(THREAD, {
    ...job,
    rows: { ...job.rows, labels: labels.map((label) => 1 - label) },
    champion: answer.model,
  });
  if (upsideDown.kind !== 'trained') return t.fail(upsideDown.why);
  const { challenger, champion } = upsideDown.result as TrainingAnswer;
  t.ok(challenger < 0.05 && champion! > 0.9, 'on a world turned upside down the model in force is wrong');
});

t.test('a training that hangs, fails or eats memory is ended and said so', async (t) => {
  const folder = t.testdir({
    'hangs.ts': 'for (;;) {}',
    'fails.ts': "throw new Error('diverged');",
    'eats.ts': 'const all: unknown[] = []; for (;;) all.push(new Array(1e4).fill(0.5).map((x) => ({ x })));',
    'ends.ts': 'export {};',
  });
  const url = (name: string): URL => pathToFileURL(join(folder, name));
  // The test runner loads itself into every thread: with much less that alone would be too much.
  const limits = { timeMs: 20_000, memoryMb: 128 };
  t.match(await trainInThread(url('hangs.ts'), null, { ...limits, timeMs: 500 }), { kind: 'timeout' });
  t.match(await trainInThread(url('fails.ts'), null, limits), { kind: 'failed', why: 'diverged' });
  t.match(await trainInThread(url('eats.ts'), null, limits), { kind: 'out_of_memory' });
  t.match(await trainInThread(url('ends.ts'), null, limits), { kind: 'failed' });
});

t.test('a new model takes over only when it is better by more than chance', async (t) => {
  t.equal(isBetter({ champion: 0.1, challenger: 0.0995 }), false);
  t.equal(isBetter({ champion: 0.1, challenger: 0.09 }), true);
  t.equal(isBetter({ champion: undefined, challenger: 0.5 }), true);
  t.equal(isBetter({ champion: 0.1, challenger: Number.NaN }), false);
});

t.test('models are trained in turn, and sooner after a drift', async (t) => {
  const queue = new TrainingQueue({ everyMs: 1000, restMs: 100 });
  t.equal(queue.due(['a', 'b'], 0), 'a');
  queue.began('a', 0);
  t.equal(queue.due(['a', 'b'], 0), 'b');
  queue.began('b', 10);
  t.equal(queue.due(['a', 'b'], 500), undefined);
  queue.drifted('b');
  t.equal(queue.due(['a', 'b'], 105), undefined, 'not twice in a row');
  t.equal(queue.due(['a', 'b'], 500), 'b');
  t.strictSame([queue.isDrifted('a'), queue.isDrifted('b')], [false, true]);
  queue.began('b', 500);
  t.equal(queue.isDrifted('b'), false);
  t.equal(queue.due(['a', 'b'], 1000), 'a');
});

t.test('a drift is seen, noise is not', async (t) => {
  const random = seededRandom(2);
  const drift = new Drift();
  let alarms = 0;
  for (let i = 0; i < 5000; i++) if (drift.observe(random.next())) alarms += 1;
  t.equal(alarms, 0);
  let after = 0;
  while (!drift.observe(0.6 + random.next()) && after < 1000) after += 1;
  t.ok(after < 60, `noticed after ${after} errors`);
  t.equal(drift.observe(Number.NaN), false);
});

t.test(
  'probabilities drift by failures missed and by alarms without one, not by a first surprise',
  async (t) => {
    const quiet = (drift: Drift, count: number): boolean => {
      let said = false;
      for (let i = 0; i < count; i++) said = drift.observe(0.0001) || said;
      return said;
    };
    const missed = (drift: Drift): boolean => {
      let said = false;
      for (let i = 0; i < 10; i++) said = drift.observe(0.98) || said;
      return said;
    };
    const drift = new Drift(PROBABILITIES);
    t.equal(quiet(drift, 1000), false);
    t.equal(missed(drift), false, 'one');
    t.equal(quiet(drift, 100), false);
    t.equal(missed(drift), true, 'another within the hour');
    const alarmed = new Drift(PROBABILITIES);
    quiet(alarmed, 1000);
    let alarms = 0;
    while (!alarmed.observe(0.49) && alarms < 1000) alarms += 1;
    t.ok(alarms < 120, `${alarms} alarms of 0.7 without a failure`);
  },
);
