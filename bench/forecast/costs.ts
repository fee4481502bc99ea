// What forecasting costs: retraining of one series, one cycle of all series, and how long the event loop of a thread waits
// while another one retrains without a pause. On generated series; CPU time, because the machine is shared.

import { monitorEventLoopDelay } from 'node:perf_hooks';
import { Worker } from 'node:worker_threads';
import { Engine } from '../../src/analytics/engine.ts';
import { naiveMethods, trainedMethods } from '../../src/analytics/forecast/method-sets.ts';
import { SeriesForecaster } from '../../src/analytics/forecast/series-forecaster.ts';
import { regionEntity } from '../../src/analytics/ingest/sample.ts';
import { createModels } from '../../src/analytics/model-set.ts';
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

const REGIONS = 200;
const METRICS = ['rps', 'cpu', 'memory', 'disk', 'latency_ms', 'queue_depth', 'in_flight', 'network'];
/** An hour: detectors, slots and scores are no longer new. */
export const MEMORY_ROWS = 120;
const STEP_MS = 30_000;
/** A Monday, with the grace of a slot on top. */
const START_MS = Date.UTC(2026, 0, 5) + 6000;

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

/**
 * Megabytes of an engine that watches 200 regions with 8 metrics each, after so many rows: objects and buffers, without
 * what the process takes by itself. Needs --expose-gc; NaN without it.
 */
export function engineMemoryMb(): number {
  const { gc } = globalThis;
  if (gc === undefined) return Number.NaN;
  const used = (): number => {
    for (let i = 0; i < 3; i++) gc();
    const { heapUsed, arrayBuffers } = process.memoryUsage();
    return (heapUsed + arrayBuffers) / 1e6;
  };
  const before = used();
  const engine = fedEngine();
  const after = used();
  // It must be alive when it is measured.
  return engine.counts.rows === 0 ? Number.NaN : after - before;
}

function fedEngine(): Engine {
  const random = seededRandom(11);
  const options = { stepMs: STEP_MS, horizonMs: HORIZON_STEPS * STEP_MS, horizonSteps: HORIZON_STEPS };
  let now = START_MS;
  const none = (): void => {};
  const regions = Array.from({ length: REGIONS }, (_, i) => ({ id: `r${i}`, capacity: 500 }));
  const engine = new Engine(
    { ...options, hourlyMethods: [], regions },
    {
      clock: { wallMs: () => now, monotonicMs: () => now - START_MS },
      log: { debug: none, info: none, warn: none, error: none, setLevel: none, flush: async () => {} },
      models: createModels(options),
      onRow: none,
      onDrift: none,
    },
  );
  for (let row = 0; row < MEMORY_ROWS; row++) {
    const samples = regions.flatMap(({ id }) =>
      METRICS.map((metric) => ({
        entity: regionEntity(id),
        metric,
        at: now + STEP_MS / 2,
        value: metric === 'rps' ? loadAt(row, random) : 0.3 + 0.1 * random.next(),
        source: '',
      })),
    );
    engine.ingest(samples);
    now += STEP_MS;
    engine.advance();
  }
  return engine;
}

function cpuMs(work: () => void): number {
  const before = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}
