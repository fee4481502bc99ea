// What workers count, what becomes of it in the one registry, and whether the table of metrics is that of
// the contract.

import t from 'tap';
import { type Delta, HistogramCell, MetricDeltas } from '../../src/telemetry/deltas.ts';
import { bucketsOf, METRICS, type MetricInfo } from '../../src/telemetry/metric-table.ts';
import { MetricsRegistry } from '../../src/telemetry/registry.ts';
import { HandClock } from '../rig/clock.ts';

// Contract, "Metrics": name without prefix -> labels, where it gives any.
const CONTRACT: Readonly<Record<string, readonly string[] | undefined>> = {
  requests_total: ['route', 'region', 'code_class', 'priority'],
  request_seconds: undefined,
  overhead_seconds: undefined,
  region_weight: ['region', 'kind'],
  risk: ['region'],
  failure_probability: ['region'],
  forecast_error: ['region', 'model'],
  brier: ['region'],
  plan_generation: undefined,
  plan_age_seconds: undefined,
  plan_rejected_total: ['reason'],
  shard_moves_total: ['reason'],
  moved_keyspace_ratio: undefined,
  shift_progress: undefined,
  retries_total: ['reason', 'from', 'to'],
  retry_budget_remaining: undefined,
  shed_total: ['priority', 'reason'],
  key_missing_total: ['route'],
  residency_block_total: ['stage'],
  server_health: ['region', 'server'],
  ejections_total: undefined,
  lease_expired_total: undefined,
  shadow_total: ['result'],
  queue_depth: undefined,
  queue_age_seconds: undefined,
  event_loop_delay_seconds: ['thread'],
};
// What nothing can measure yet: there is no shadow and no queue.
const NOT_BUILT = ['shadow_total', 'queue_depth', 'queue_age_seconds'];

const table: Readonly<Record<string, MetricInfo>> = METRICS;

async function linesOf(registry: MetricsRegistry, prefix: string): Promise<string[]> {
  return (await registry.text()).split('\n').filter((line) => line.startsWith(prefix));
}

t.test(
  'metrics have the names and labels of the contract; what cannot be measured yet is absent',
  async (t) => {
    for (const [name, labels] of Object.entries(CONTRACT)) {
      const info = table[`foreshard_${name}`];
      t.equal(info === undefined, NOT_BUILT.includes(name), name);
      for (const label of (info && labels) ?? []) t.ok(info?.labels.includes(label), `${name}{${label}}`);
    }
    for (const [name, { kind, labels, help, buckets }] of Object.entries(table)) {
      t.match(name, /^foreshard_[a-z0-9_]+$/);
      t.equal(name.endsWith('_total'), kind === 'counter', `${name}: counters alone are totals`);
      t.notMatch(labels.join(), /shard|key/, `${name}: neither shards nor keys are labels`);
      t.match(help, /^[A-Z0-9].*\.$/, name);
      t.equal(buckets !== undefined, kind === 'histogram', name);
      t.strictSame(
        buckets,
        buckets?.toSorted((a, b) => a - b),
      );
    }
  },
);

t.test(
  'a worker sends what it counted since the last time, and nothing when there was nothing',
  async (t) => {
    const metrics = new MetricDeltas(() => [1, 2]);
    const cell = metrics.counter('c', ['a', 'b']);
    t.equal(metrics.counter('c', ['a', 'b']), cell, 'one cell for the same labels');
    t.strictSame(metrics.take(), []);
    cell.value += 2;
    const histogram = metrics.histogram('h', []);
    for (const value of [0.5, 1, 1.5, 99]) histogram.observe(value);
    t.strictSame(metrics.take(), [
      { kind: 'counter', metric: 'c', labels: ['a', 'b'], value: 2 },
      { kind: 'histogram', metric: 'h', labels: [], counts: [2, 1, 1], sum: 102 },
    ]);
    t.strictSame(metrics.take(), []);
    cell.value += 1;
    t.match(metrics.take(), [{ value: 1 }], 'the cell goes on');
  },
);

t.test('a bound belongs to its bucket, as Prometheus has it', async (t) => {
  const cell = new HistogramCell([0.001, 0.01]);
  for (const value of [0.001, 0.0010001, 0.01, 0.02]) cell.observe(value);
  t.strictSame([...cell.counts], [1, 2, 1]);
});

t.test('the registry adds up what workers send, in the text form of Prometheus', async (t) => {
  const registry = new MetricsRegistry();
  const requests: Delta = {
    kind: 'counter',
    metric: 'foreshard_requests_total',
    labels: ['orders', 'eu', '2xx', 'normal'],
    value: 3,
  };
  const buckets = bucketsOf('foreshard_request_seconds').length + 1;
  const counts = Array.from({ length: buckets }, (_, i) => (i === 0 || i === buckets - 1 ? 2 : 0));
  const seconds: Delta = {
    kind: 'histogram',
    metric: 'foreshard_request_seconds',
    labels: ['orders'],
    counts,
    sum: 120.5,
  };
  registry.apply([requests, seconds]);
  registry.apply([
    requests,
    seconds,
    { kind: 'gauge', metric: 'foreshard_connections', labels: [], value: 4 },
  ]);
  t.strictSame(await linesOf(registry, 'foreshard_requests_total'), [
    'foreshard_requests_total{route="orders",region="eu",code_class="2xx",priority="normal"} 6',
  ]);
  t.strictSame(await linesOf(registry, 'foreshard_connections'), ['foreshard_connections 4']);
  const series = await linesOf(registry, 'foreshard_request_seconds');
  t.equal(series[0], 'foreshard_request_seconds_bucket{le="0.001",route="orders"} 4');
  t.equal(
    series.at(-4),
    'foreshard_request_seconds_bucket{le="60",route="orders"} 4',
    'buckets are cumulative',
  );
  t.strictSame(series.slice(-3), [
    'foreshard_request_seconds_bucket{le="+Inf",route="orders"} 8',
    'foreshard_request_seconds_sum{route="orders"} 241',
    'foreshard_request_seconds_count{route="orders"} 8',
  ]);
  t.match(await registry.text(), '# TYPE foreshard_request_seconds histogram');
  t.match(registry.contentType, /^text\/plain; version=0\.0\.4/);
});

t.test('a gauge that is reset forgets its series, and odd label values cannot break the text', async (t) => {
  const registry = new MetricsRegistry();
  registry.set('foreshard_server_health', ['eu', 'http://a:1'], 1);
  registry.reset('foreshard_server_health');
  registry.set('foreshard_server_health', ['e"u\n', 'http://b:1'], 0);
  t.strictSame(await linesOf(registry, 'foreshard_server_health'), [
    'foreshard_server_health{region="e\\"u\\n",server="http://b:1"} 0',
  ]);
});

t.test('a metric that is in no table is dropped, not thrown on', async (t) => {
  const registry = new MetricsRegistry();
  registry.apply([{ kind: 'histogram', metric: 'nobody', labels: [], counts: [1], sum: 1 }]);
  t.strictSame(await linesOf(registry, 'nobody'), []);
});

t.test('a gauge that is reset keeps what is set behind it', async (t) => {
  const registry = new MetricsRegistry();
  const error = (model: string, value: number): Delta => ({
    kind: 'gauge',
    metric: 'foreshard_forecast_error',
    labels: ['a', model],
    value,
  });
  registry.apply([error('ridge', 1)]);
  registry.apply([{ kind: 'reset', metric: 'foreshard_forecast_error' }, error('median', 2)]);
  const text = await registry.text();
  t.match(text, 'foreshard_forecast_error{region="a",model="median"} 2');
  t.notMatch(text, 'ridge');
});

t.test('what is counted is always fresh; what a process says of itself is read once a second', async (t) => {
  const clock = new HandClock();
  const registry = new MetricsRegistry(clock);
  const ofProcess = async (): Promise<string[]> => linesOf(registry, 'process_cpu_seconds_total');
  const first = await ofProcess();
  t.equal(first.length, 1);
  // Time on the processor, so that a reading anew must differ.
  for (const until = process.cpuUsage().user + 50_000; process.cpuUsage().user < until; ) Math.random();
  registry.set('foreshard_connections', [], 4);
  clock.pass(999);
  t.strictSame(await ofProcess(), first);
  t.strictSame(await linesOf(registry, 'foreshard_connections'), ['foreshard_connections 4']);
  clock.pass(1);
  t.notSame(await ofProcess(), first);
});
