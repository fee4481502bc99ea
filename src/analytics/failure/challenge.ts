// Whether a model that is trained anew deserves the place of the one in force: both are judged on the youngest rows,
// which neither has learnt from, and the newcomer has learnt from what is older. Live training (in its thread) and
// backtests take this one way.

import {
  type BoostedTrees,
  predictBoostedTrees,
  type TrainingRows,
  trainBoostedTrees,
} from './boosted-trees.ts';
import { fitLogistic, predictLogistic, type WeightedRows } from './logistic-regression.ts';

export interface Trained<Model> {
  /** Brier scores on the rows held back; lower is better. */
  readonly challenger: number;
  /** undefined = there was none in force. */
  readonly champion: number | undefined;
  /** Trained on all rows. */
  readonly model: Model;
}

// The youngest quarter judges at most; of what the model in force has not seen, the younger half.
const HELD_BACK = 0.25;

export function challengeTrees(
  rows: TrainingRows,
  champion: BoostedTrees | undefined,
): Trained<BoostedTrees> {
  const { columns, labels, features, unseen = labels.length } = rows;
  const most = Math.ceil(labels.length * HELD_BACK);
  const from = labels.length - (champion === undefined ? most : Math.min(most, Math.ceil(unseen / 2)));
  const early = { columns, labels: labels.subarray(0, from), features: features.subarray(0, from * columns) };
  const judged = Array.from({ length: labels.length - from }, (_, i) => from + i);
  const errorOf = (model: BoostedTrees): number =>
    brier(labels, judged, (row) =>
      predictBoostedTrees(model, features.subarray(row * columns, (row + 1) * columns)),
    );
  return {
    challenger: errorOf(trainBoostedTrees(early)),
    champion: champion === undefined ? undefined : errorOf(champion),
    model: trainBoostedTrees(rows),
  };
}

/** @param ridge as the model is fitted with. */
export function challengeWeights(
  rows: WeightedRows,
  champion: Float64Array | undefined,
  ridge: number,
): Trained<Float64Array> {
  const { features, columns, labels, times, unseenFrom } = rows;
  const [first, last] = ends(times);
  const end = last + 1;
  const youngest = end - (end - first) * HELD_BACK;
  const cut = champion === undefined ? youngest : Math.max(youngest, (unseenFrom + end) / 2);
  const early: number[] = [];
  const judged: number[] = [];
  for (const [row, time] of times.entries()) (time < cut ? early : judged).push(row);
  const errorOf = (weights: Float64Array): number =>
    brier(labels, judged, (row) => predictLogistic(weights, features, row * columns));
  const known: WeightedRows = {
    ...rows,
    labels: Uint8Array.from(early, (row) => labels[row]!),
    features: Float64Array.from({ length: early.length * columns }, (_, i) => {
      return features[early[Math.floor(i / columns)]! * columns + (i % columns)]!;
    }),
    times: Int32Array.from(early, (row) => times[row]!),
  };
  return {
    challenger: errorOf(fitLogistic(known, ridge, champion)),
    champion: champion === undefined ? undefined : errorOf(champion),
    model: fitLogistic(rows, ridge, champion),
  };
}

/** Spreading a hundred thousand numbers into Math.min would overflow the stack. */
function ends(times: Int32Array): [number, number] {
  let [least, most] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const time of times) {
    least = Math.min(least, time);
    most = Math.max(most, time);
  }
  return [least, most];
}

function brier(labels: ArrayLike<number>, rows: readonly number[], predict: (row: number) => number): number {
  let sum = 0;
  for (const row of rows) sum += (predict(row) - labels[row]!) ** 2;
  return sum / Math.max(1, rows.length);
}
