// Entry of the thread that disposable-fit.ts starts: fits, answers, ends.

import { parentPort, workerData } from 'node:worker_threads';
import { fitSlowly, type SlowFitRequest } from './slow-fits.ts';

parentPort?.postMessage(fitSlowly(workerData as SlowFitRequest));
