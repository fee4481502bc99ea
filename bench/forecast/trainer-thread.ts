// Entry of the thread that costs.ts starts: retrains without a pause at the priority of the analytics thread, until it
// is terminated.

import { constants, setPriority } from 'node:os';
import { parentPort } from 'node:worker_threads';
import { trainedCase } from './costs.ts';

setPriority(constants.priority.PRIORITY_LOW);
const forecaster = trainedCase();
forecaster.retrain();
parentPort?.postMessage('ready');
for (;;) forecaster.retrain();
