// Entry of a disposable thread: trains a challenger on the older rows, compares it with the model in force on the
// youngest quarter, and trains the model itself on all of them. Ends with its answer.

import { parentPort, workerData } from 'node:worker_threads';
import {
  type BoostedTrees,
  predictBoostedTrees,
  type TrainingRows,
  trainBoostedTrees,
} from './failure/boosted-trees.ts';
import { predictLogistic, type WeightedRows } from './failure/logistic-regression.ts';
import { OverloadPredictor } from './failure/overload.ts';
import type { TrainingAnswer, TrainingJob } from './models.ts';

const HELD_BACK = 0.25;

function trainFailure(rows: TrainingRows, champion: BoostedTrees | undefined): TrainingAnswer {
  const { columns, labels, features } = rows;
  const from = Math.floor(labels.length * (1 - HELD_BACK));
  const early = { columns, labels: labels.subarray(0, from), features: features.subarray(0, from * columns) };
  const challenger = trainBoostedTrees(early);
  const errorOf = (model: BoostedTrees): number =>
    brier(labels, from, (row) =>
      predictBoostedTrees(model, features.subarray(row * columns, (row + 1) * columns)),
    );
  return {
    challenger: errorOf(challenger),
    champion: champion === undefined ? undefined : errorOf(champion),
    model: trainBoostedTrees(rows),
  };
}

function trainOverload(rows: WeightedRows, champion: Float64Array | undefined): TrainingAnswer {
  const { features, columns, labels, quietWeight } = rows;
  const from = Math.floor(labels.length * (1 - HELD_BACK));
  const early = {
    columns,
    quietWeight,
    labels: labels.subarray(0, from),
    features: features.subarray(0, from * columns),
  };
  const errorOf = (weights: Float64Array): number =>
    brier(labels, from, (row) => predictLogistic(weights, features, row * columns));
  return {
    challenger: errorOf(OverloadPredictor.fit(early)),
    champion: champion === undefined ? undefined : errorOf(champion),
    model: OverloadPredictor.fit(rows, champion),
  };
}

function brier(labels: ArrayLike<number>, from: number, predict: (row: number) => number): number {
  let sum = 0;
  for (let row = from; row < labels.length; row++) sum += (predict(row) - labels[row]!) ** 2;
  return sum / Math.max(1, labels.length - from);
}

const job = workerData as TrainingJob;
if (parentPort === null) throw new Error('training-thread.ts runs as a worker thread only');
parentPort.postMessage(
  job.kind === 'failure' ? trainFailure(job.rows, job.champion) : trainOverload(job.rows, job.champion),
);
