// What strangers send: documents, pages, headers and calendars are read whole or refused, nothing throws,
// nothing grows without bound.

import fc from 'fast-check';
import t from 'tap';
import { CounterRates } from '../../src/analytics/ingest/counter-rates.ts';
import { EventCalendar } from '../../src/analytics/ingest/event-calendar.ts';
import { parseExposition } from '../../src/analytics/ingest/exposition.ts';
import { type ExternalEvent, readEvent } from '../../src/analytics/ingest/external-event.ts';
import { readAlerts } from '../../src/analytics/ingest/geojson-alerts.ts';
import { readICalendar } from '../../src/analytics/ingest/icalendar.ts';
import { parseOrca } from '../../src/analytics/ingest/orca.ts';
import { readPromAnswer } from '../../src/analytics/ingest/promql.ts';
import { ScrapeMetrics } from '../../src/analytics/ingest/scrape-metrics.ts';
import { readDocuments } from '../../src/analytics/ingest/telemetry-document.ts';

const AT = '2026-01-01T00:00:00Z';
const doc = (metrics: object, more: object = {}): object => ({ region: 'us-east', at: AT, metrics, ...more });

t.test('a telemetry document gives one sample a metric, nested ones by joined names', async (t) => {
  const read = readDocuments(
    doc({ cpu: 0.5, latency_ms: { p50: 3, p99: 20 } }, { server: 'a', proxy: 'p1' }),
  );
  if (!read.ok) return t.fail(read.problem);
  t.strictSame(
    read.samples.map(({ entity, metric, at, value, source }) => [entity.key, metric, at, value, source]),
    [
      ['server/us-east/a', 'cpu', Date.parse(AT), 0.5, 'p1'],
      ['server/us-east/a', 'latency_ms.p50', Date.parse(AT), 3, 'p1'],
      ['server/us-east/a', 'latency_ms.p99', Date.parse(AT), 20, 'p1'],
    ],
  );
  const demand = readDocuments([
    { route: 'orders', at: AT, metrics: { rps: 4 } },
    { shardGroup: 63, at: AT, metrics: { rps: 2 } },
  ]);
  t.ok(demand.ok && demand.samples.map(({ entity }) => entity.key).join() === 'route/orders,group/63');
});

t.test('a wrong document is refused with the path of its first wrong field', async (t) => {
  const cases: [unknown, string][] = [
    ['text', ''],
    [null, ''],
    [[doc({ cpu: 0.1 }), doc({ cpu: 1.1 })], '[1].metrics.cpu'],
    [doc({ cpu: '0.5' }), 'metrics.cpu'],
    [doc({ latency_ms: { p50: null } }), 'metrics.latency_ms.p50'],
    [doc({ latency_ms: { p50: { deep: 1 } } }), 'metrics.latency_ms.p50'],
    [doc({ bytes: 1e308 }), 'metrics.bytes'],
    [doc({ rps: -1 }), 'metrics.rps'],
    [doc({ 'a b': 1 }), 'metrics.a b'],
    [doc({}, { at: 'yesterday' }), 'at'],
    [doc({}, { at: undefined }), 'at'],
    [doc({}, { region: 7 }), 'region'],
    [doc({}, { colour: 'red' }), 'colour'],
    [{ at: AT, metrics: {} }, 'region'],
    [{ shardGroup: 64, at: AT, metrics: {} }, 'shardGroup'],
    [[[]], '[0]'],
  ];
  for (const [body, path] of cases) {
    const read = readDocuments(body);
    t.equal(read.ok, false, JSON.stringify(body));
    if (!read.ok) t.equal(read.path, path, `${JSON.stringify(body)}: ${read.problem}`);
  }
  fc.assert(
    fc.property(fc.jsonValue(), (body) => {
      const read = readDocuments(body);
      return read.ok || typeof read.path === 'string';
    }),
  );
});

t.test('exposition text is read with escapes, labels, types and stamps', async (t) => {
  const page = [
    '# HELP http_requests_total The "total".',
    '# TYPE http_requests_total counter',
    'http_requests_total{method="post",code="200"} 1027 1395066363000',
    'http_requests_total{ method = "po\\"st\\\\\\n" , code="400", } 3',
    'metric_without_timestamp_and_labels 12.47',
    'something_weird{problem="division by zero"} +Inf -3982045',
    '# TYPE rpc histogram',
    'rpc_bucket{le="+Inf"} 7',
    'rpc_sum 1.5e+3 # {trace_id="x"} 1',
    'nan_value NaN',
    '# EOF',
  ].join('\r\n');
  const { points, malformed, dropped } = parseExposition(page, 100);
  t.equal(malformed, 0);
  t.equal(dropped, 0);
  t.strictSame(
    points.map(({ name, value, at, type }) => [name, value, at, type]),
    [
      ['http_requests_total', 1027, 1395066363000, 'counter'],
      ['http_requests_total', 3, undefined, 'counter'],
      ['metric_without_timestamp_and_labels', 12.47, undefined, 'untyped'],
      ['something_weird', Infinity, -3982045, 'untyped'],
      ['rpc_bucket', 7, undefined, 'histogram'],
      ['rpc_sum', 1500, undefined, 'histogram'],
      ['nan_value', Number.NaN, undefined, 'untyped'],
    ],
  );
  t.equal(points[1]!.labels.get('method'), 'po"st\\\n');
});

t.test('hostile exposition text is counted, bounded and fast', async (t) => {
  const bad = [
    'x{',
    'x{a="b} 1',
    'x 0x10',
    'x{a="1",a="2"} 1',
    '{} 1',
    'x',
    'x 1 2 3',
    'x{a="b"c="d"} 1',
    '9x 1',
  ];
  t.equal(parseExposition(bad.join('\n'), 10).malformed, bad.length);
  const long = `x{a="${'b'.repeat(10_000)}"} 1\n`;
  t.equal(parseExposition(long, 10).malformed, 1, 'an endless line is no sample');
  const flood = Array.from({ length: 5000 }, (_, i) => `x{i="${i}"} ${i}`).join('\n');
  const cut = parseExposition(flood, 100);
  t.equal(cut.points.length, 100);
  t.equal(cut.dropped, 4900);
  fc.assert(
    fc.property(
      fc.string(),
      fc.string({ unit: fc.constantFrom('x', '{', '}', '"', '\\', ' ', '1', ',', '=', '\n') }),
      (a, b) => {
        parseExposition(a, 10);
        parseExposition(b, 10);
      },
    ),
  );
});

t.test('a counter that begins anew is no negative rate', async (t) => {
  const rates = new CounterRates(2);
  t.match(rates.rate('a', 0, 100), { kind: 'first' });
  t.match(rates.rate('a', 10_000, 150), { kind: 'rate', perSecond: 5, wasReset: false });
  t.match(rates.rate('a', 20_000, 30), { kind: 'rate', perSecond: 3, wasReset: true });
  t.match(rates.rate('a', 20_000, 31), { kind: 'late' });
  rates.rate('b', 0, 0);
  t.match(rates.rate('c', 0, 0), { kind: 'too_many' });
  rates.forget(10_000);
  t.match(rates.rate('c', 0, 0), { kind: 'first' }, 'what is gone makes room');
});

t.test('a scraped page becomes few metrics of our names, whatever its cardinality', async (t) => {
  const page = (idle: number, busy: number): string =>
    [
      '# TYPE node_cpu_seconds_total counter',
      `node_cpu_seconds_total{cpu="0",mode="idle"} ${idle}`,
      `node_cpu_seconds_total{cpu="0",mode="user"} ${busy}`,
      'node_memory_MemTotal_bytes 1000',
      'node_memory_MemAvailable_bytes 250',
      'node_filesystem_size_bytes{mountpoint="/"} 100',
      'node_filesystem_avail_bytes{mountpoint="/"} 10',
      'queue_depth{queue="a"} 4',
      'broken NaN',
    ].join('\n');
  const scrape = new ScrapeMetrics();
  scrape.read(parseExposition(page(100, 0), 100).points, 0);
  const { metrics, counts } = scrape.read(parseExposition(page(160, 20), 100).points, 10_000);
  t.same(Object.fromEntries(metrics), { cpu: 0.25, memory: 0.75, disk: 0.9, queue_depth: 4 });
  t.equal(counts.absurd, 1);
  const flood = Array.from({ length: 3000 }, (_, i) => `family_${i}{x="1"} 1`).join('\n');
  const flooded = scrape.read(parseExposition(flood, 10_000).points, 20_000);
  t.ok(flooded.metrics.size <= 48);
  t.ok(flooded.counts.tooMany > 2900);
});

t.test('an ORCA report is read in both forms, and nothing of a broken one', async (t) => {
  t.same(
    Object.fromEntries(parseOrca('TEXT cpu_utilization=0.3, mem_utilization=0.8,named_metrics.queue=7')!),
    {
      cpu: 0.3,
      memory: 0.8,
      'named_metrics.queue': 7,
    },
  );
  t.same(
    Object.fromEntries(
      parseOrca('JSON {"cpuUtilization": 1.4, "rpsFractional": 10, "namedMetrics": {"Foo": 1}}')!,
    ),
    { cpu: 1, rps: 10, 'named_metrics.foo': 1 },
  );
  for (const bad of [
    '',
    'TEXT',
    'TEXT cpu=high',
    'JSON [1]',
    'JSON {',
    'BIN AAAA',
    `TEXT ${'a=1,'.repeat(3000)}`,
  ]) {
    t.equal(parseOrca(bad), undefined, bad.slice(0, 20));
  }
  t.equal(parseOrca('TEXT cpu_utilization=-1'), undefined, 'out of bounds');
  t.equal(parseOrca(`TEXT ${'x'.repeat(97)}=1`), undefined, 'a name that the engine would refuse');
});

t.test('a PromQL answer is checked like any stranger', async (t) => {
  const answer = (result: unknown, resultType = 'vector'): string =>
    JSON.stringify({ status: 'success', data: { resultType, result } });
  const good = readPromAnswer(
    answer([
      { metric: { region: 'eu-west' }, value: [1000.5, '0.25'] },
      { metric: { region: 'eu-west', server: 's' }, value: [1000.5, '0.5'] },
      { metric: {}, value: [1000, '0.1'] },
      { metric: { region: 'us-east' }, value: [1000, 'NaN'] },
    ]),
    'cpu',
  );
  if (!good.ok) return t.fail(good.detail);
  t.same(
    good.samples.map(({ entity, at, value }) => [entity.key, at, value]),
    [
      ['region/eu-west', 1_000_500, 0.25],
      ['server/eu-west/s', 1_000_500, 0.5],
    ],
  );
  t.equal(good.skipped, 2);
  for (const bad of ['', '<html>', '{}', answer([], 'matrix'), answer([{ metric: {}, value: 1 }])]) {
    t.match(readPromAnswer(bad, 'cpu'), { ok: false, reason: 'malformed' });
  }
  t.match(readPromAnswer('{"status":"error","error":"parse error"}', 'cpu'), {
    reason: 'query',
    detail: 'parse error',
  });
});

const CALENDAR = (event: string): string =>
  ['BEGIN:VCALENDAR', 'VERSION:2.0', ...event.split('\n'), 'END:VCALENDAR', ''].join('\r\n');

t.test('a calendar gives maintenance windows, with recurrence, zones and exceptions', async (t) => {
  const window = {
    kind: 'maintenance' as const,
    regions: ['eu-west', 'us-east'],
    from: Date.parse('2026-01-01T00:00:00Z'),
    to: Date.parse('2026-02-01T00:00:00Z'),
  };
  const weekly = CALENDAR(`BEGIN:VEVENT
UID:db
DTSTART;TZID=Europe/Berlin:20251201T020000
DURATION:PT1H
RRULE:FREQ=WEEKLY;BYDAY=MO
EXDATE;TZID=Europe/Berlin:20260112T020000
SUMMARY:Database
LOCATION:eu-west
END:VEVENT
BEGIN:VEVENT
UID:net
DTSTART:20260115T100000Z
DTEND:20260115T110000Z
SUMMARY:Network
CATEGORIES:us-east,urgent
END:VEVENT
BEGIN:VEVENT
UID:broken
DTSTART:notadate
END:VEVENT
BEGIN:VEVENT
UID:gone
STATUS:CANCELLED
DTSTART:20260115T100000Z
DTEND:20260115T110000Z
END:VEVENT`);
  const read = readICalendar(weekly, window);
  if (!read.ok) return t.fail(read.problem);
  t.equal(read.skipped, 1);
  t.same(
    read.events.map(({ title, regions, start, end }) => [
      title,
      regions,
      new Date(start).toISOString(),
      end - start,
    ]),
    [
      ['Database', ['eu-west'], '2026-01-05T01:00:00.000Z', 3_600_000],
      ['Database', ['eu-west'], '2026-01-19T01:00:00.000Z', 3_600_000],
      ['Database', ['eu-west'], '2026-01-26T01:00:00.000Z', 3_600_000],
      ['Network', ['us-east'], '2026-01-15T10:00:00.000Z', 3_600_000],
    ],
  );
  const endless = CALENDAR(
    'BEGIN:VEVENT\nUID:x\nDTSTART:19700101T000000Z\nDURATION:PT1S\nRRULE:FREQ=SECONDLY\nEND:VEVENT',
  );
  t.same(readICalendar(endless, window), { ok: true, events: [], skipped: 0 }, 'an endless rule ends');
  for (const bad of ['', 'x', 'BEGIN:VCALENDAR']) t.match(readICalendar(bad, window), { ok: false });
  fc.assert(fc.property(fc.string(), (text) => typeof readICalendar(text, window).ok === 'boolean'));
});

t.test('a weather alert is about the regions that its area covers', async (t) => {
  const regions = [
    { id: 'eu-west', location: { lat: 53.3, lon: -6.3 } },
    { id: 'us-east', location: { lat: 39, lon: -77.5 } },
    { id: 'nowhere', location: undefined },
  ];
  const window = { kind: 'weather' as const, from: 0, to: Number.MAX_SAFE_INTEGER };
  const times = { onset: '2026-01-01T00:00:00Z', expires: '2026-01-01T06:00:00Z' };
  const ring = [
    [-8, 52],
    [-5, 52],
    [-5, 55],
    [-8, 55],
    [-8, 52],
  ];
  const hole = [
    [-7, 53],
    [-6, 53],
    [-6, 54],
    [-7, 54],
    [-7, 53],
  ];
  const features = [
    {
      properties: { ...times, severity: 'Severe', event: 'Storm' },
      geometry: { type: 'Polygon', coordinates: [ring] },
    },
    { properties: times, geometry: { type: 'Polygon', coordinates: [ring, hole] } },
    { properties: times, geometry: { type: 'Point', coordinates: [-77, 39] } },
    { properties: times, geometry: null },
    { properties: { ...times, onset: 'soon' }, geometry: { type: 'Point', coordinates: [0, 0] } },
    { properties: times, geometry: { type: 'Polygon', coordinates: 'x' } },
  ];
  const read = readAlerts(JSON.stringify({ type: 'FeatureCollection', features }), window, regions);
  if (!read.ok) return t.fail(read.problem);
  t.same(
    read.events.map(({ regions, severity, title }) => [regions, severity, title]),
    [
      [['eu-west'], 0.75, 'Storm'],
      [['us-east'], 0.25, ''],
    ],
  );
  t.equal(read.skipped, 3);
  t.match(readAlerts('[]', window, regions), { ok: false });
});

t.test('a posted event is taken whole or refused with the path of what is wrong', async (t) => {
  const good = { kind: 'campaign', start: AT, end: '2026-01-02T00:00:00Z', regions: ['a'], title: 'Sale' };
  const isRegion = (id: string): boolean => id === 'a';
  t.match(readEvent(good, isRegion), {
    ok: true,
    event: { kind: 'campaign', severity: 0.5, start: Date.parse(AT) },
  });
  const cases: [object, string][] = [
    [{ ...good, kind: 'party' }, 'kind'],
    [{ ...good, end: AT }, 'end'],
    [{ ...good, regions: ['a', 'b'] }, 'regions.1'],
    [{ ...good, severity: 2 }, 'severity'],
    [{ ...good, colour: 1 }, 'colour'],
    [[], ''],
  ];
  for (const [body, path] of cases) t.match(readEvent(body, isRegion), { ok: false, path });
});

t.test('the size of a campaign is learnt from earlier ones of its kind', async (t) => {
  const calendar = new EventCalendar();
  const sale = (year: number): ExternalEvent => ({
    id: String(year),
    kind: 'campaign',
    regions: ['a'],
    start: 1000,
    end: 2000,
    title: `Sale ${year}`,
    severity: 0.5,
    loadFactor: undefined,
  });
  t.equal(calendar.factorOf(sale(2025)), 1);
  calendar.learn(sale(2025), 3);
  calendar.learn(sale(2026), 2);
  calendar.learn(sale(2026), Number.NaN);
  t.equal(calendar.factorOf(sale(2027)), 2.5);
  calendar.add(sale(2027));
  t.equal(calendar.near('a', 500, 1000).loadFactor, 2.5);
  t.equal(calendar.near('b', 500, 1000).loadFactor, 1);
  t.equal(calendar.near('a', 500, 100).events.length, 0, 'not within the horizon');
  calendar.forget(3000);
  t.equal(calendar.size, 0);
  const again = new EventCalendar();
  again.restore([sale(2027)], calendar.learnt());
  t.equal(again.near('a', 500, 1000).loadFactor, 2.5, 'learnt sizes outlive a restart');
});
