// The bench's reading of /proc, its plan, its medians, and the configurations that the rivals get.

import t from 'tap';
import { parseAutocannonOutput } from '../../bench/load/autocannon.ts';
import { parseCompareOptions } from '../../bench/load/compare-options.ts';
import { CASES, type Measurement, planRuns, rotate } from '../../bench/load/compare-plan.ts';
import { summarise } from '../../bench/load/compare-report.ts';
import { EVERYTHING, featureCosts, featureSection } from '../../bench/load/feature-cost.ts';
import { bytesPerConnection } from '../../bench/load/idle.ts';
import {
  descendants,
  parseMachineBusyMicros,
  parseProcessStat,
  parseRssBytes,
  readTreeUsage,
} from '../../bench/load/proc-stat.ts';
import { foreshardVariant, knownProxies } from '../../bench/load/proxies/catalogue.ts';
import { FEATURES, foreshardConfig } from '../../bench/load/proxies/foreshard.ts';
import { parseWrkOutput, wrkScript } from '../../bench/load/wrk.ts';

const STAT =
  '4021 (nginx: a (b) c) S 4020 4021 4021 0 -1 4194560 900 0 0 0 250 130 7 3 20 0 1 0 8123 12345678 500 1 1 0';

t.test('a stat line is read although its name holds brackets and blanks', async (t) => {
  t.strictSame(parseProcessStat(STAT), {
    pid: 4021,
    parentPid: 4020,
    startTicks: 8123,
    cpuMicros: (250 + 130 + 7 + 3) * 10_000,
  });
  t.equal(parseProcessStat(''), null);
  t.equal(parseProcessStat('12 (cut'), null);
  t.equal(parseRssBytes('Name:\tnode\nVmHWM:\t  999 kB\nVmRSS:\t  2048 kB\n'), 2 * 1024 * 1024);
  t.equal(parseRssBytes('Name:\tkthreadd\n'), 0);
  t.equal(
    parseMachineBusyMicros('cpu  10 1 5 1000 50 2 3 4 0 0\ncpu0 1 1 1 1\n'),
    25 * 10_000,
    'no idle, no iowait',
  );
});

t.test('a tree is the process and all below it, no one else', async (t) => {
  const stat = (pid: number, parentPid: number) => ({ pid, parentPid, startTicks: 0, cpuMicros: 1 });
  const all = [stat(1, 0), stat(5, 3), stat(2, 1), stat(3, 2), stat(4, 1), stat(6, 5)];
  t.strictSame(
    descendants(all, 2).map((member) => member.pid),
    [2, 3, 5, 6],
  );
  t.strictSame(descendants(all, 77), []);
});

t.test(
  'our own cost can be read where there is a /proc',
  { skip: process.platform !== 'linux' },
  async (t) => {
    const usage = readTreeUsage(process.pid)!;
    t.ok(usage.rssBytes > 10 * 1024 ** 2, `${usage.rssBytes} bytes resident`);
    t.ok(usage.cpuMicros > 0);
    t.equal(readTreeUsage(2 ** 30), null);
  },
);

t.test('generators are asked and understood', async (t) => {
  const script = wrkScript({
    url: 'http://127.0.0.1:1/',
    connections: 1,
    seconds: 1,
    method: 'POST',
    bodyBytes: 16_384,
    keyHeader: 'x-user-id',
    keys: 3,
  });
  t.match(script, /wrk\.method = "POST"\nwrk\.body = string\.rep\("x", 16384\)/);
  t.match(script, /wrk\.headers\["x-user-id"\] = "user-" \.\. i/);
  const summary =
    '{"requests":300,"micros":2000000,"bytes":1,"connect":1,"read":2,"write":3,"status":5,"timeout":4,"p50":10,"p99":20}';
  t.strictSame(parseWrkOutput(`Running 2s test\n${summary}\n`), {
    kind: 'done',
    requests: 300,
    seconds: 2,
    p50Micros: 10,
    p99Micros: 20,
    errors: 10,
    badStatuses: 5,
  });
  t.equal(parseWrkOutput('nothing\n'), null);
  const cannon = { duration: 2, errors: 3, timeouts: 1, '2xx': 90, non2xx: 10, latency: { p50: 1, p99: 4 } };
  t.match(parseAutocannonOutput(JSON.stringify(cannon)), {
    requests: 100,
    errors: 3,
    badStatuses: 10,
    p99Micros: 4000,
  });
});

t.test('rounds are interleaved, and no proxy always goes first', async (t) => {
  const { sections } = parseCompareOptions(
    ['--only', 'nginx,haproxy,caddy', '--workers', '1', '--no-sharded'],
    [],
  );
  const runs = planRuns(sections, 3).map((run) => `${run.round} ${run.subject.id}`);
  t.strictSame(runs, [
    ...['0 no proxy', '0 nginx', '0 haproxy', '0 caddy'],
    ...['1 nginx', '1 haproxy', '1 caddy', '1 no proxy'],
    ...['2 haproxy', '2 caddy', '2 no proxy', '2 nginx'],
  ]);
  t.strictSame(rotate([], 3), []);
});

t.test('the whole comparison has every case, both worker counts, hashing and features', async (t) => {
  const { sections, features } = parseCompareOptions([], FEATURES);
  t.strictSame(
    sections.map((section) => section.id),
    ['workers-1', 'workers-2', 'sharded'],
  );
  t.strictSame(sections[0]!.cases, CASES);
  t.strictSame(features, FEATURES);
  t.strictSame(parseCompareOptions(['--only', 'nginx'], FEATURES).features, [], 'only with Foreshard');
  const quick = parseCompareOptions(['--quick'], FEATURES).sections;
  t.equal(quick.length, 1);
  t.strictSame(
    quick[0]!.subjects.map((subject) => subject.id),
    ['nginx', 'haproxy', 'caddy', 'http-proxy-3', 'foreshard'],
  );
  for (const wrong of [['--only', 'apache'], ['--duration', '1500ms'], ['--rounds', '0'], ['--fast']]) {
    t.throws(() => parseCompareOptions(wrong, []), wrong.join(' '));
  }
});

function measured(fields: Partial<Measurement>): Measurement {
  return {
    section: 'workers-1',
    round: 0,
    subject: 'foreshard',
    case: 'get-1k',
    requests: 1000,
    seconds: 1,
    requestsPerSecond: 1000,
    cpuMicrosPerRequest: 30,
    p50Micros: 1,
    p99Micros: 2,
    rssBytes: 1,
    errors: 0,
    badStatuses: 0,
    foreignCpuShare: 0,
    ...fields,
  };
}

t.test('a summary is the median of the rounds with its range, and the sum of the errors', async (t) => {
  const rounds = [31, 90, 30].map((cpuMicrosPerRequest, round) =>
    measured({ round, cpuMicrosPerRequest, errors: 1 }),
  );
  const summary = summarise(rounds, 'workers-1', 'get-1k', 'foreshard')!;
  t.strictSame(summary.cpuMicrosPerRequest, { median: 31, low: 30, high: 90 });
  t.equal(summary.errors, 3);
  t.equal(summarise(rounds, 'workers-1', 'get-1m', 'foreshard'), null);
});

t.test('what a feature costs is the difference within a pair', async (t) => {
  const features = FEATURES.filter((feature) => feature.id === 'log');
  const pairs = [
    { feature: 'log', round: 0, onMicros: 30, offMicros: 28 },
    { feature: 'log', round: 1, onMicros: 60, offMicros: 57 },
    { feature: EVERYTHING, round: 0, onMicros: 31, offMicros: 20 },
  ];
  const costs = featureCosts(pairs, features);
  t.match(costs, [
    { feature: 'log', deltas: [2, 3] },
    { feature: EVERYTHING, deltas: [11] },
  ]);
  const { table } = featureSection(pairs, features, 'GET 1 KiB');
  t.strictSame(table?.rows[0]?.slice(2), ['2.5', '2.0..3.0']);
  t.match(table?.notes[0], /Everything on: 31.0 us per request; everything off: 20.0/);
});

t.test('memory that was free at the start does not make connections look free', async (t) => {
  t.equal(bytesPerConnection([100, 200, 300], 10), 20, 'steady growth: the average');
  t.equal(bytesPerConnection([100, 100, 200], 10), 20, 'the first half found free memory: the second counts');
  t.equal(bytesPerConnection([100, 300, 320], 10), 22, 'the second half found it: the average');
});

const SETUP = {
  port: 4001,
  controlPort: 4002,
  origins: [5001, 5002],
  workers: 2,
  job: 'sharded',
  folder: '/run/here',
} as const;

t.test('every proxy is told its port, its origins and its workers', async (t) => {
  for (const definition of knownProxies(FEATURES)) {
    const { files, command } = definition.launch(SETUP);
    const said = [...files.map((file) => file.text), ...command.args, JSON.stringify(command.env ?? {})].join(
      '\n',
    );
    t.match(said, /4001/, `${definition.id} listens`);
    t.match(said, /5001/, `${definition.id} forwards`);
    t.match(said, /5002/, `${definition.id} knows the second origin`);
    t.match(
      said,
      /worker_processes 2;|nbthread 2\n|GOMAXPROCS":"2"|"workers": ?2\b/,
      `${definition.id} has two workers`,
    );
  }
});

t.test("Foreshard's variants differ in the one feature", async (t) => {
  const all = foreshardConfig(SETUP, FEATURES, new Set());
  t.match(all, { workers: 2, debugHeaders: true, forwardedHeader: 'x', log: { access: 'sampled' } });
  t.match(all.routes, [{ policy: 'consistent_hash', retry: { attempts: 2 } }]);
  const noLog = foreshardConfig(SETUP, FEATURES, new Set(['log']));
  t.strictSame({ ...noLog, log: all.log }, all);
  t.match(noLog.log, { access: 'off' });
  t.equal(foreshardVariant(FEATURES, new Set()).id, 'foreshard', 'the headline has everything on');
});
