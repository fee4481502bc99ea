// What the dashboard decides without a browser: words, the shard map, the chart's columns, what a message changes.

import t from 'tap';
import { chartColumns, eventsOf, withPoint } from '../../src/control/dashboard/chart-data.js';
import {
  eventReader,
  NOTHING_KNOWN,
  regionRows,
  withMessage,
} from '../../src/control/dashboard/live-state.js';
import { columnsOf, progressAt, shardWords, stepTo } from '../../src/control/dashboard/shards.js';
import { stepSentence, stepTitle } from '../../src/control/dashboard/trace-words.js';
import { duration, percent, rate, weight } from '../../src/control/dashboard/words.js';

t.test('numbers have units, three digits that count, and a dash where nothing is known', async (t) => {
  t.equal(rate(12_345), '12.3\u00a0k\u00a0req/s');
  t.equal(rate(undefined), '–');
  t.equal(percent(0.4251, 1), '42.5\u00a0%');
  t.equal(percent(Number.NaN), '–');
  t.equal(duration(0.119), '119\u00a0µs');
  t.equal(duration(12.345), '12.3\u00a0ms');
  t.equal(duration(600_000), '10\u00a0min');
  t.equal(weight(0.4249), '0.42');
});

t.test('a stream of events is cut into messages wherever its pieces end', async (t) => {
  const text =
    'retry: 2000\n\nevent: plan\ndata: {"tag":"a.1"}\n\n: still here\n\nevent: risk\ndata: {"n":2}\n\n';
  for (const size of [1, 3, 7, text.length]) {
    const read = eventReader();
    const messages = [];
    for (let at = 0; at < text.length; at += size) messages.push(...read(text.slice(at, at + size)));
    t.strictSame(messages, [
      { event: 'plan', data: { tag: 'a.1' } },
      { event: 'risk', data: { n: 2 } },
    ]);
  }
});

t.test('a shard says who owns it and from whom it comes; arrow keys stay on the map', async (t) => {
  const table = {
    id: 'all',
    owners: [0, 1, 65_535, 0],
    owned: { a: 2, b: 1 },
    shift: { id: '7', moving: [[1, 0] as [number, number]], progress: [] },
  };
  t.equal(shardWords(table, ['a', 'b'], 0), 'Shard 0: owned by a');
  t.equal(shardWords(table, ['a', 'b'], 1), 'Shard 1: owned by b, moving from a');
  t.equal(shardWords(table, ['a', 'b'], 2), 'Shard 2: owned by nobody');
  t.equal(columnsOf(4096), 64);
  t.equal(stepTo('ArrowDown', 0, 4096), 64);
  t.equal(stepTo('ArrowUp', 5, 4096), 5);
  t.equal(stepTo('End', 5, 4096), 4095);
  t.equal(stepTo('a', 5, 4096), undefined);
});

t.test('progress is linear between the published points', async (t) => {
  const points: [string, number][] = [
    ['2026-01-01T00:00:00Z', 0],
    ['2026-01-01T00:00:10Z', 1],
  ];
  const start = Date.parse('2026-01-01T00:00:00Z');
  t.strictSame(
    [-5, 0, 2.5, 10, 99].map((seconds) => progressAt(points, start + seconds * 1000)),
    [0, 0, 0.25, 1, 1],
  );
});

t.test('the chart has what came, what was forecast, and the interval up to the horizon', async (t) => {
  const at = (seconds: number): string => new Date(seconds * 1000).toISOString();
  const points = withPoint([{ at: at(10), actual: 5, forecast: 6 }], { at: at(20), actual: 7 });
  t.equal(withPoint(points, { at: at(20), actual: 9 }), points, 'a time is taken once');
  t.same(withPoint(points, { at: at(4000) }), [{ at: at(4000) }], 'an hour is kept');
  const forecast = { atHorizon: { value: 8, lower: 4, upper: 12 } };
  t.same(chartColumns(points, forecast, { now: 25_000, horizonMs: 60_000 }), [
    [10, 20, 25, 85],
    [5, 7, null, null],
    [6, null, 6, 8],
    [null, null, 6, 4],
    [null, null, 6, 12],
  ]);
  const events = [{ regions: [] }, { regions: ['a'] }, { regions: ['b'] }];
  t.same(eventsOf(events, 'a'), events.slice(0, 2));
});

t.test('messages make the rows; a decision is listed once, newest first, 200 at most', async (t) => {
  const weights = { base: 1, risk: 1, desired: 0.4, effective: 0.4 };
  const region = { id: 'a', weight: weights, healthy: 2, registered: 2, requestsPerSecond: 3 };
  let state = withMessage(NOTHING_KNOWN, 'health', { regions: [region] }, 1000);
  state = withMessage(
    state,
    'risk',
    { now: '1970-01-01T00:00:03Z', regions: [{ id: 'a', capacity: { value: 9 } }] },
    1000,
  );
  t.equal(state.clockOffset, 2000);
  t.match(regionRows(state), [{ id: 'a', word: 'lowered', capacity: 9 }]);
  const words = [
    { ...region, override: { kind: 'drain' } },
    { ...region, healthy: 0 },
    { ...region, healthy: 1 },
    { ...region, weight: { ...weights, effective: 0.9 } },
    { ...region, weight: { ...weights, desired: 1, effective: 1 } },
  ].map((one) => regionRows(withMessage(NOTHING_KNOWN, 'health', { regions: [one] }, 0))[0]!.word);
  t.strictSame(words, ['draining', 'down', 'degraded', 'shifting', 'serving']);
  const traces = Array.from({ length: 300 }, (_, i) => ({
    requestId: `r${i}`,
    at: new Date(i).toISOString(),
  }));
  state = withMessage(state, 'decisions', { traces }, 2000);
  state = withMessage(state, 'decision', traces[299]!, 2000);
  t.equal(state.decisions.length, 200);
  t.equal(state.decisions[0]!.requestId, 'r299');
});

t.test('every step of a trace is a sentence', async (t) => {
  t.equal(stepTitle({ stage: 'attempt', number: 2 }), 'Attempt 2');
  t.equal(stepSentence({ stage: 'route', chosen: null, reason: 'no_route' }), 'no route: no_route');
  t.equal(
    stepSentence({ stage: 'shard', chosen: 12, table: ['a', 'b'], isMoving: true }),
    'shard 12 of the table for a, b; it is on the move',
  );
  t.equal(
    stepSentence({
      stage: 'gate',
      candidates: ['a', 'b'],
      removed: [{ region: 'a', reason: 'no_healthy_server' }],
    }),
    'removed a (no_healthy_server)',
  );
  t.equal(
    stepSentence({
      stage: 'pick',
      policy: 'consistent_hash',
      chosen: 'b',
      candidates: [{ region: 'b', weight: 1, healthy: 2, registered: 3, risk: 0.25 }],
    }),
    'consistent_hash took b of b: weight 1, 2/3 healthy, risk 25\u00a0%',
  );
  t.equal(
    stepSentence({
      stage: 'attempt',
      region: 'b',
      server: 's1',
      outcome: 'connect_failed',
      durationMs: 2,
      retryCause: 'reset',
    }),
    'b, s1: connect_failed in 2\u00a0ms, because of reset',
  );
  t.equal(
    stepSentence({ stage: 'answer', status: 502, reason: 'connect_failed', atMs: 5 }),
    '502 (connect_failed) after 5\u00a0ms',
  );
});
