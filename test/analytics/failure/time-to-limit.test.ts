// A limit made of the usual value: many times next to nothing is still nothing.

import t from 'tap';
import { metricKind } from '../../../src/analytics/failure/metric-kinds.ts';
import { MetricWatch } from '../../../src/analytics/failure/metric-watch.ts';
import { outlookToLimit } from '../../../src/analytics/failure/time-to-limit.ts';
import { seededRandom } from '../../../src/core/random.ts';

/** Time counts in horizons. */
const HORIZON_ROWS = 20;

/** P(limit) after a long usual time and ten rows at `last`. */
function after(metric: string, usual: number, last: number): number {
  const random = seededRandom(7);
  const watch = new MetricWatch();
  for (let i = 0; i < 600; i++) watch.push(i / HORIZON_ROWS, usual * (0.5 + random.next()));
  for (let i = 600; i < 610; i++) watch.push(i / HORIZON_ROWS, last);
  return outlookToLimit(watch, metricKind(metric), undefined).probability;
}

/** P(limit) at the end of rows of `values`, after a long time at `usual`. */
function through(
  metric: string,
  usual: number,
  values: readonly number[],
  limit?: number,
): { readonly probability: number; readonly used: number } {
  const watch = new MetricWatch();
  for (let i = 0; i < 600; i++) watch.push(i / HORIZON_ROWS, usual);
  values.forEach((value, i) => {
    watch.push((600 + i) / HORIZON_ROWS, value);
  });
  return outlookToLimit(watch, metricKind(metric, limit), undefined);
}

const risingBy = (step: number, rows: number, from = 0): number[] =>
  Array.from({ length: rows }, (_, i) => from + step * (i + 1));

t.test('errors that creep are taken for what they will be, long before a tenth fails', async (t) => {
  t.ok(through('error_rate', 0, risingBy(0.01, 7)).probability > 0.6);
  t.ok(through('error_rate', 0, [0.01]).probability < 0.2, 'one in a hundred, once');
});

t.test('what clients suffer already is a part of the failure, even where it goes no further', async (t) => {
  const half = through(
    'error_rate',
    0,
    Array.from({ length: 30 }, () => 0.05),
  );
  t.ok(half.probability > 0.4 && half.probability < 0.6, String(half.probability));
  t.ok(
    through(
      'error_rate',
      0,
      Array.from({ length: 30 }, () => 0.01),
    ).probability < 0.05,
  );
});

t.test('a usual share of errors is no sign, however it wavers', async (t) => {
  const random = seededRandom(3);
  const watch = new MetricWatch();
  for (let i = 0; i < 600; i++) watch.push(i / HORIZON_ROWS, 0.06 * random.next());
  t.ok(outlookToLimit(watch, metricKind('error_rate'), undefined).probability < 0.3);
});

t.test(
  'where every client gives up is a limit of latencies, unless they are unusual much earlier',
  async (t) => {
    const creeping = risingBy(8, 12, 140);
    t.ok(through('latency_ms.p50', 140, creeping, 300).probability > 0.5);
    t.ok(through('latency_ms.p50', 140, creeping, 10_000).probability < 0.05, 'ten times the usual is far');
    t.ok(through('latency_ms.p50', 140, [1500, 1500, 1500, 1500], 10_000).probability > 0.9);
  },
);

t.test('a queue of a few requests is no failure, however empty it usually is; a long one is', async (t) => {
  t.ok(after('queue_depth', 0.02, 3) < 0.5);
  t.ok(after('queue_depth', 0.02, 60) > 0.9);
});

t.test(
  'nobody notices a latency of some milliseconds; ten times a usual one that is felt is down',
  async (t) => {
    t.ok(after('latency_ms.p99', 2, 40) < 0.5);
    t.ok(after('latency_ms.p99', 40, 900) > 0.9);
  },
);
