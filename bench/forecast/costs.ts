// What forecasting costs: retraining of one series, one cycle of all series, and how long the event loop of a thread waits
// while another one retrains without a pause. On generated series; CPU time, because the machine is shared.

import { monitorEventLoopDelay } from 'node:perf_hooks';
import { Worker } from 'node:worker_threads';
import { naiveMethods, trainedMethods } from '../../src/analytics/forecast/method-sets.ts';
import { SeriesForecaster } from '../../src/analytics/forecast/series-forecaster.ts';
import { type Random, seededRandom } from '../../src/core/random.ts';
import { median } from '../report/table.ts';

const POINTS = 2000;
const RETRAININGS = 9;
const SERIES = 200 * 8;
/** A day of steps of 30 s, and five minutes ahead. */
const DAY_STEPS = 2880;
const HORIZON_STEPS = 10;
/** Cycles before the measured ones: models that have learnt cost more than new ones. */
const WARM_UP_CYCLES = 60;
const CYCLES = 5;
const DELAY_MS = 6000;
/** Resolution of the delay histogram; Node counts the delay from here. */
const RESOLUTION_MS = 1;

/** Load with a day and a week of hours, and noise. */
function loadAt(t: number, random: Random): number {
  const day = Math.sin((2 * Math.PI * t) / 24);
  const week = Math.sin((2 * Math.PI * t) / 168);
  return 200 + 60 * day + 20 * week + 20 * random.next();
}

/** A forecaster for hours ahead that has seen 2,000 points. */
export function trainedCase(): SeriesForecaster {
  const seasons = [24, 168];
  const forecaster = new SeriesForecaster({
    horizon: 48,
    seasons,
    capacity: POINTS,
    streaming: naiveMethods(seasons),
    trained: trainedMethods,
  });
  const random = seededRandom(8);
  for (let t = 0; t < POINTS; t++) forecaster.push(loadAt(t, random));
  return forecaster;
}

/** Milliseconds of CPU of one retraining, the median of several once compiled. */
export function retrainMs(): number {
  const forecaster = trainedCase();
  for (let i = 0; i < 3; i++) forecaster.retrain();
  return median(Array.from({ length: RETRAININGS }, () => cpuMs(() => void forecaster.retrain())));
}

/** Seconds of CPU of one cycle over all series: a value pushed and a forecast made for each. */
export function cycleSeconds(): number {
  const random = seededRandom(9);
  const all = Array.from(
    { length: SERIES },
    () => new SeriesForecaster({ horizon: HORIZON_STEPS, seasons: [DAY_STEPS] }),
  );
  const cycle = (t: number): void => {
    for (const forecaster of all) {
      forecaster.push(loadAt(t, random));
      forecaster.forecast();
    }
  };
  for (let t = 0; t < WARM_UP_CYCLES; t++) cycle(t);
  return median(Array.from({ length: CYCLES }, (_, i) => cpuMs(() => cycle(WARM_UP_CYCLES + i)))) / 1000;
}

/** p99 in milliseconds of the delay of this thread's event loop while another retrains without a pause; and idle. */
export async function loopDelayMs(): Promise<{ readonly idle: number; readonly training: number }> {
  const idle = await delayFor(DELAY_MS / 2);
  const worker = new Worker(new URL('./trainer-thread.ts', import.meta.url));
  await new Promise((resolve) => worker.once('message', resolve));
  const training = await delayFor(DELAY_MS);
  await worker.terminate();
  return { idle, training };
}

async function delayFor(ms: number): Promise<number> {
  const histogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  histogram.enable();
  await new Promise((resolve) => setTimeout(resolve, ms));
  histogram.disable();
  return Math.max(0, histogram.percentile(99) / 1e6 - RESOLUTION_MS);
}

function cpuMs(work: () => void): number {
  const before = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}
