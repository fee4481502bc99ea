// Entry of a disposable thread: fits the hours of some slices of demand, answers, ends.

import { parentPort, workerData } from 'node:worker_threads';
import { fitHourly, type HourlyFit, type HourlyRequest } from './hourly-fit.ts';

const fits: HourlyFit[] = [];
for (const request of workerData as readonly HourlyRequest[]) fits.push(await fitHourly(request));
parentPort?.postMessage(fits);
