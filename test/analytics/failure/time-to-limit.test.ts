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
