// Entry of a disposable thread: trains a challenger, compares it with the model in force and ends with its answer.

import { parentPort, workerData } from 'node:worker_threads';
import { challengeTrees } from './failure/challenge.ts';
import { OverloadPredictor } from './failure/overload.ts';
import type { TrainingAnswer, TrainingJob } from './models.ts';

function train(job: TrainingJob): TrainingAnswer {
  switch (job.kind) {
    case 'failure':
      return challengeTrees(job.rows, job.champion);
    case 'overload':
      return OverloadPredictor.train(job.rows, job.champion);
  }
}

if (parentPort === null) throw new Error('training-thread.ts runs as a worker thread only');
parentPort.postMessage(train(workerData as TrainingJob));
