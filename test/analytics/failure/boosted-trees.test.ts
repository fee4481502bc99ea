import { Worker } from 'node:worker_threads';
import t from 'tap';
import {
  BOOST_DEFAULTS,
  type BoostedTrees,
  predictBoostedTrees,
  type TrainingRows,
  trainBoostedTrees,
} from '../../../src/analytics/failure/boosted-trees.ts';
import { seededRandom } from '../../../src/core/random.ts';

/** Two of four columns matter, and only together: no single split finds it. */
function corners(count: number, seed: number, noise = 0.05): TrainingRows {
  const random = seededRandom(seed);
  const features = Float64Array.from({ length: count * 4 }, () => random.next());
  const labels = Uint8Array.from({ length: count }, (_, row) => {
    const both = features[row * 4]! > 0.7 && features[row * 4 + 2]! > 0.6;
    return (both ? 1 - noise : noise) > random.next() ? 1 : 0;
  });
  return { features, columns: 4, labels };
}

function logLoss(model: BoostedTrees, { features, columns, labels }: TrainingRows): number {
  let loss = 0;
  for (let row = 0; row < labels.length; row += 1) {
    const p = predictBoostedTrees(model, features.subarray(row * columns, (row + 1) * columns));
    loss -= Math.log(labels[row] === 1 ? p : 1 - p);
  }
  return loss / labels.length;
}

t.test('the trees learn what no single column tells, and it holds on rows never seen', async (t) => {
  const model = trainBoostedTrees(corners(3000, 1));
  t.ok(predictBoostedTrees(model, [0.9, 0.5, 0.9, 0.5]) > 0.8, 'both columns high');
  t.ok(predictBoostedTrees(model, [0.9, 0.5, 0.2, 0.5]) < 0.2, 'one of them low');
  t.ok(predictBoostedTrees(model, [0.2, 0.5, 0.9, 0.5]) < 0.2, 'the other low');
  const unseen = corners(3000, 2);
  const base = trainBoostedTrees({ ...unseen, features: new Float64Array(unseen.features.length) });
  t.ok(logLoss(model, unseen) < 0.6 * logLoss(base, unseen), 'far better than the base rate');
});

t.test('the youngest rows stop it before it learns noise by heart', async (t) => {
  const noise = corners(1200, 3, 0.5);
  const stopped = trainBoostedTrees(noise);
  const unstopped = trainBoostedTrees(noise, { ...BOOST_DEFAULTS, judgingShare: 0 });
  t.ok(stopped.treeCount < 20, `${stopped.treeCount} trees on pure noise`);
  t.equal(unstopped.treeCount, BOOST_DEFAULTS.maxTrees, 'without them it goes on to the end');
  const unseen = corners(1200, 4, 0.5);
  t.ok(logLoss(stopped, unseen) < logLoss(unstopped, unseen), 'and is worse for it');
});

t.test('rows without anything to learn give the base rate, finite', async (t) => {
  const constant = { features: new Float64Array(400), columns: 2, labels: new Uint8Array(200) };
  const labels = constant.labels.map((_, row) => (row % 4 === 0 ? 1 : 0));
  for (const [rows, expected] of [
    [{ ...constant, labels }, 0.25],
    [constant, 0],
    [{ features: new Float64Array(2), columns: 2, labels: new Uint8Array(1) }, 0.25],
    [{ features: new Float64Array(0), columns: 2, labels: new Uint8Array(0) }, 0.5],
  ] as const) {
    const model = trainBoostedTrees(rows);
    t.equal(model.treeCount, 0);
    t.ok(Math.abs(predictBoostedTrees(model, [1, 2]) - expected) < 0.05, `${expected}`);
  }
});

t.test('unknown and absurd values are values like others', async (t) => {
  const rows = corners(2000, 5);
  for (let row = 0; row < 2000; row += 7) rows.features[row * 4 + 1] = row % 2 ? Number.NaN : 1e308;
  rows.features[0] = Number.NEGATIVE_INFINITY;
  const model = trainBoostedTrees(rows);
  for (const row of [
    [Number.NaN, Number.NaN, Number.NaN, Number.NaN],
    [1e308, -1e308, Number.POSITIVE_INFINITY, 0],
  ]) {
    const p = predictBoostedTrees(model, row);
    t.ok(p >= 0 && p <= 1, `${p}`);
  }
  t.ok(predictBoostedTrees(model, [0.9, Number.NaN, 0.9, 0.5]) > 0.7, 'what is known still counts');
});

t.test('the same rows give the same trees in another thread, by plain messages', async (t) => {
  const rows = corners(1000, 6);
  const url = new URL('../../../src/analytics/failure/boosted-trees.ts', import.meta.url).href;
  const code = `const { parentPort, workerData } = require('node:worker_threads');
    import(${JSON.stringify(url)}).then((m) => parentPort.postMessage(m.trainBoostedTrees(workerData)));`;
  const worker = new Worker(code, {
    eval: true,
    workerData: rows,
    resourceLimits: { maxOldGenerationSizeMb: 64 },
  });
  const model = await new Promise((resolve, reject) => {
    worker.once('message', resolve);
    worker.once('error', reject);
  });
  await worker.terminate();
  t.strictSame(model, trainBoostedTrees(rows));
});
