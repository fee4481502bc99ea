// A model that is trained anew is compared with the one in force on rows that neither has learnt from.

import t from 'tap';
import { type TrainingRows, trainBoostedTrees } from '../../../src/analytics/failure/boosted-trees.ts';
import { challengeTrees, challengeWeights } from '../../../src/analytics/failure/challenge.ts';
import { fitLogistic, type WeightedRows } from '../../../src/analytics/failure/logistic-regression.ts';
import { isBetter } from '../../../src/analytics/train.ts';
import { seededRandom } from '../../../src/core/random.ts';

/** Rows of one column; from `turn` on the world is upside down. A tenth of the labels is wrong. */
function world(rows: number, turn: number): TrainingRows {
  const random = seededRandom(8);
  const features = Float64Array.from({ length: rows }, () => random.next());
  const labels = Uint8Array.from(features, (x, row) => {
    const truth = x > 0.7 === row < turn;
    return truth === random.next() < 0.9 ? 1 : 0;
  });
  return { features, columns: 1, labels };
}

const part = (rows: TrainingRows, to: number): TrainingRows => ({
  ...rows,
  features: rows.features.subarray(0, to),
  labels: rows.labels.subarray(0, to),
});

t.test(
  'when the world has changed the newcomer is taken, although the old one knows the past by heart',
  async (t) => {
    const rows = world(1600, 1000);
    const champion = trainBoostedTrees(part(rows, 1000));
    const answer = challengeTrees({ ...rows, unseen: 600 }, champion);
    t.equal(isBetter(answer), true, `${answer.challenger} against ${answer.champion}`);
  },
);

t.test('rows that the model in force has learnt from do not speak for it', async (t) => {
  const rows = world(1200, 1150);
  const champion = trainBoostedTrees(part(rows, 1100));
  const { champion: error } = challengeTrees({ ...rows, unseen: 100 }, champion);
  t.ok(error! > 0.6, `only the younger half of what it has not seen, where it is wrong: ${error}`);
  t.ok(challengeTrees(rows, champion).champion! < 0.3, 'of all rows it would be right');
  t.equal(challengeTrees(rows, undefined).champion, undefined);
});

t.test('weights are judged by the youngest moments, whatever the order of the rows', async (t) => {
  const random = seededRandom(9);
  const moments = 800;
  const order = Array.from({ length: moments }, (_, i) => (i * 337) % moments);
  const x = order.map(() => random.next() * 4 - 2);
  const labels = Uint8Array.from(order, (time, row) => (x[row]! > 0 === time < 500 ? 1 : 0));
  const rows: WeightedRows = {
    features: Float64Array.from(x.flatMap((value) => [1, value])),
    columns: 2,
    labels,
    quietWeight: 1,
    times: Int32Array.from(order),
    unseenFrom: 500,
  };
  const early = order.flatMap((time, row) => (time < 500 ? [row] : []));
  const champion = fitLogistic(
    {
      ...rows,
      features: Float64Array.from(early.flatMap((row) => [1, x[row]!])),
      labels: Uint8Array.from(early, (row) => labels[row]!),
    },
    3,
  );
  const { challenger, champion: old } = challengeWeights(rows, champion, 3);
  t.ok(old! > 0.5, `it is wrong about the youngest, and nothing else is asked: ${old}`);
  t.ok(challenger < old!);
});
