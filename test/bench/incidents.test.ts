// The parts of bench:incidents that decide: scripts, traffic, accounts, verdicts, configurations; and one scripted server
// with the client before it, as processes.

import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import t, { type Test } from 'tap';
import { accountFor, type RunFigures, type RunRecord } from '../../bench/incidents/account.ts';
import { firstSet, INCIDENT_IDS, secondSet } from '../../bench/incidents/catalogue.ts';
import { sharesOf } from '../../bench/incidents/contestants/foreshard.ts';
import { maintenanceCalendar } from '../../bench/incidents/contestants/maintenance-calendar.ts';
import { judge } from '../../bench/incidents/goals.ts';
import { historyOf } from '../../bench/incidents/history.ts';
import { parseOptions } from '../../bench/incidents/options.ts';
import { portsBelowEphemeral } from '../../bench/incidents/port-range.ts';
import { incidentTable, type Run, voidReason } from '../../bench/incidents/report.ts';
import {
  CALM_SERVER,
  demandAt,
  type Incident,
  REGIONS,
  regionCapacity,
  type ServerTracks,
  stepAt,
  tracksOf,
  valueAt,
} from '../../bench/incidents/script.ts';
import { trafficOf } from '../../bench/incidents/traffic.ts';
import type { DriverResult, SeenRequest, ServerResult } from '../../bench/incidents/wire.ts';
import { readICalendar } from '../../src/analytics/ingest/icalendar.ts';
import { systemClock } from '../../src/core/clock.ts';
import { seededRandom } from '../../src/core/random.ts';
import { encodeOwners, type Plan } from '../../src/plan/plan.ts';

t.test('a track is linear between its points and stands still outside of them', async (t) => {
  const track = [
    [10, 1],
    [20, 3],
  ] as const;
  t.strictSame(
    [0, 10, 15, 20, 99].map((second) => valueAt(track, second)),
    [1, 1, 2, 3, 3],
  );
  t.strictSame(
    [0, 10, 15, 20, 99].map((second) => stepAt(track, second)),
    [1, 1, 1, 3, 3],
  );
});

t.test('every incident of both sets takes 60 to 90 seconds and fails where it says', async (t) => {
  t.strictSame(INCIDENT_IDS, [...'abcdefghijk']);
  for (const id of INCIDENT_IDS) {
    for (const incident of [firstSet(id, 1), ...[1, 2, 3].map((seed) => secondSet(id, seededRandom(seed)))]) {
      t.ok(incident.seconds >= 60 && incident.seconds <= 90, `${id}: ${incident.seconds} s`);
      if (incident.failing === null) continue;
      const { failing, failsAt } = incident;
      t.ok(failsAt !== null && failsAt > 15 && failsAt < incident.seconds, `${id} fails at ${failsAt}`);
      const calm = regionCapacity(incident, failing, 0);
      const worst = Math.min(
        ...Array.from({ length: incident.seconds * 4 }, (_, i) => regionCapacity(incident, failing, i / 4)),
      );
      if (!['b', 'd'].includes(id))
        t.ok(worst < 0.6 * calm, `${id}: ${worst} of ${calm} requests/s are left`);
      const others = REGIONS.flatMap((_, region) =>
        region === failing ? [] : [tracksOf(incident, region, 1)],
      );
      t.ok(
        others.every((tracks) => JSON.stringify(tracks) === JSON.stringify(CALM_SERVER)),
        `${id}: others are calm`,
      );
    }
  }
  t.strictSame(firstSet('a', 1), firstSet('a', 4), 'in set 1 the seed chooses the region alone');
  t.notSame(secondSet('a', seededRandom(1)), secondSet('a', seededRandom(2)));
  t.strictSame(secondSet('a', seededRandom(1)), secondSet('a', seededRandom(1)), 'and a shape is its seed');
});

t.test('survivors have room for the traffic of a region that is lost, in k for half of it', async (t) => {
  for (const id of INCIDENT_IDS) {
    const incident = firstSet(id, 1);
    const { failing } = incident;
    if (failing === null) continue;
    const survivors = REGIONS.map((_, region) =>
      region === failing ? 0 : regionCapacity(incident, region, 0),
    );
    const room = survivors.reduce((sum, capacity) => sum + capacity, 0);
    const demand = Math.max(
      ...Array.from({ length: incident.seconds }, (_, second) => demandAt(incident, second)),
    );
    if (id === 'k') t.ok(demand > room, 'a naive evacuation drowns them');
    else if (id !== 'b') t.ok(demand < 0.95 * room, `${id}: ${demand} of ${room}`);
  }
});

t.test('traffic follows the demand, half of it POST, and is the same for everybody', async (t) => {
  const incident = firstSet('j', 1);
  const requests = trafficOf(incident, 7);
  t.strictSame(requests, trafficOf(incident, 7));
  t.notSame(requests.slice(0, 10), trafficOf(incident, 8).slice(0, 10));
  let expected = 0;
  for (let second = 0.5; second < incident.seconds; second++) expected += demandAt(incident, second);
  t.ok(Math.abs(requests.length - expected) < 5 * Math.sqrt(expected), `${requests.length} of ${expected}`);
  const posts = requests.filter(({ method }) => method === 'POST').length;
  t.ok(Math.abs(posts / requests.length - 0.5) < 0.02);
  const late = requests.filter(({ dueMs }) => dueMs > 50_000);
  const hot = late.filter(({ key }) => key.startsWith('hot-')).length / late.length;
  t.ok(Math.abs(hot - 0.3) < 0.03, `${hot} of them are hot`);
  t.notOk(requests.some(({ key, dueMs }) => key.startsWith('hot-') && dueMs < 20_000));
  t.strictSame(
    requests.map(({ number }) => number),
    requests.map((_, i) => i),
  );
});

const seen = (number: number, more: Partial<SeenRequest>): SeenRequest => ({
  number,
  dueMs: number * 100,
  method: 'GET',
  key: `user-${number % 5}`,
  status: 200,
  latencyMs: 50,
  servedBy: `${number % 3}/0`,
  failure: '',
  ...more,
});

const incidentOf = (more: Partial<Incident>): Incident => ({
  ...firstSet('g', 1),
  seconds: 60,
  failing: 1,
  failsAt: 30,
  ...more,
});

function recordOf(requests: readonly SeenRequest[], more: Partial<RunRecord> = {}): RunRecord {
  const names = requests.map(({ servedBy }) => servedBy).filter((name) => name !== '');
  const servers = [...new Set(names)].map(
    (name): ServerResult => ({
      name,
      received: requests
        .filter(({ servedBy }) => servedBy === name)
        .map(({ number, dueMs }) => [number, dueMs]),
      deaths: 0,
      loopDelayMs: 1,
    }),
  );
  return { incident: incidentOf({}), driver: { requests, lateMs: 2 }, servers, shares: [], ...more };
}

t.test(
  'bad is no 2xx or too late; a POST that reached two servers and a number nobody sent are found',
  async (t) => {
    const requests = [
      seen(0, {}),
      seen(1, { latencyMs: 501, method: 'POST' }),
      seen(2, { status: 503 }),
      seen(3, { status: 0, servedBy: '', failure: 'ECONNRESET', method: 'POST' }),
      seen(4, { latencyMs: 500 }),
    ];
    const record = recordOf(requests);
    t.match(accountFor(record), {
      requests: 5,
      bad: 3,
      badPosts: 2,
      replayedPosts: 0,
      unaccounted: 0,
      delayMs: 2,
    });
    const [first, ...rest] = record.servers;
    const twice = { ...first!, received: [...first!.received, [1, 100] as const, [99, 100] as const] };
    t.match(accountFor({ ...record, servers: [twice, ...rest] }), { replayedPosts: 1, unaccounted: 1 });
    t.match(accountFor({ ...record, servers: [] }), { unaccounted: 3 }, 'answers that no server gave');
  },
);

t.test('keys and traffic that moved are told by the region that answered first', async (t) => {
  const requests = [0, 1, 2, 3].flatMap((round) =>
    ['a', 'b'].map((key, i) =>
      seen(round * 2 + i, { key, servedBy: key === 'b' && round >= 2 ? '2/1' : `0/${round % 2}` }),
    ),
  );
  t.match(accountFor(recordOf(requests)), { keysMoved: 0.5, trafficMoved: 2 / 8 });
});

t.test('lead counts from where the relief lasted until the failure', async (t) => {
  const at = (second: number, beta: number) => ({ second, shares: { alpha: 0.5, beta, gamma: 0.5 - beta } });
  const lead = (shares: RunRecord['shares'], more: Partial<Incident> = {}) =>
    accountFor(recordOf([seen(0, {})], { shares, incident: incidentOf(more) })).leadSeconds;
  t.equal(lead([at(0, 0.33), at(10, 0.1), at(12, 0.33), at(20, 0.2), at(29, 0), at(31, 0.33)]), 10);
  t.equal(lead([at(0, 0.33), at(29, 0.33), at(31, 0)]), 0, 'after the failure is no lead');
  t.equal(lead([]), null);
  t.equal(lead([at(0, 0.33)], { failing: null }), null);
});

t.test('the share at failure and the load of survivors are those that servers saw', async (t) => {
  // 100/s for 30 s on region 0, 50/s on region 1 until second 29, 20/s on region 2.
  const requests: SeenRequest[] = [];
  const add = (server: string, perSecond: number, until: number): void => {
    for (let i = 0; i < perSecond * until; i++) {
      requests.push(seen(requests.length, { dueMs: (i * 1000) / perSecond, servedBy: server }));
    }
  };
  add('0/0', 100, 30);
  add('1/0', 50, 29);
  add('2/0', 20, 30);
  const figures = accountFor(recordOf(requests));
  t.equal(figures.shareAtFailure, 50 / (200 + 50 + 40));
  const capacity = regionCapacity(incidentOf({}), 0, 0);
  t.ok(Math.abs(figures.survivorUtilisation - 100 / capacity) < 0.01);
});

const figures = (bad: number, more: Partial<RunFigures> = {}): RunFigures => ({
  ...accountFor(recordOf([seen(0, {})])),
  bad,
  survivorUtilisation: 0.8,
  trafficMoved: 0,
  ...more,
});

const runOf = (
  incident: string,
  contestant: string,
  of: RunFigures | null,
  problem: string | null = null,
): Run => ({
  incident,
  title: 'title',
  contestant,
  seed: 1,
  set: 1,
  figures: of,
  problem,
});

t.test('verdicts compare with the better of HAProxy and nginx, and void runs with nobody', async (t) => {
  const verdict = (incident: string, auto: RunFigures, haproxy: number, nginx: number): string =>
    judge(
      [
        runOf(incident, 'auto', auto),
        runOf(incident, 'haproxy', figures(haproxy)),
        runOf(incident, 'nginx', figures(nginx)),
      ],
      1,
    )[0]!.verdict;
  t.equal(verdict('a', figures(50), 1000, 5000), 'aim reached');
  t.equal(verdict('a', figures(100), 1000, 5000), 'reached');
  t.equal(verdict('a', figures(101), 1000, 5000), 'missed');
  t.equal(verdict('c', figures(5), 49, 90), 'reached', 'at most 5 where theirs are under 50');
  t.equal(verdict('c', figures(6), 49, 90), 'missed');
  t.equal(verdict('g', figures(90), 90, 100), 'reached');
  t.equal(verdict('i', figures(91), 90, 100), 'missed');
  t.equal(verdict('h', figures(0, { trafficMoved: 0.06 }), 0, 0), 'missed');
  t.equal(verdict('k', figures(0, { survivorUtilisation: 1.2 }), 0, 0), 'missed');
  t.equal(verdict('k', figures(0, { deaths: 1 }), 0, 0), 'missed');
  const late = voidReason(figures(0, { delayMs: 11 }), 10);
  t.match(late, /late by 11\.0 ms/);
  t.equal(voidReason(figures(0, { delayMs: 10 }), 10), null);
  t.equal(
    judge([runOf('a', 'auto', figures(0), late), runOf('a', 'nginx', figures(900))], 1)[0]!.verdict,
    'not measured',
  );
});

t.test('the table shows the median and the worst, and says why a run is missing', async (t) => {
  const runs = [1, 9, 5].map((bad) => runOf('a', 'auto', figures(bad, { leadSeconds: bad })));
  const { rows, notes } = incidentTable([...runs, runOf('a', 'nginx', null, 'it ended')], 1);
  t.equal(rows[0]![3], '5 (9)');
  t.equal(rows[0]![5], '5.0 (1.0)', 'the worst lead is the shortest');
  t.strictSame(rows[1], ['', 'nginx', '-']);
  t.ok(notes.includes('a nginx seed 1: it ended'));
});

t.test('history is calm, ends where it is told and knows nothing of the script', async (t) => {
  const until = Date.parse('2026-01-01T00:00:00Z');
  const urls = REGIONS.map((id) => [`http://${id}.test:1`, `http://${id}.test:2`]);
  const documents = historyOf({ beginsAt: until + 5000, until, serverUrls: urls, seed: 1, demand: 0.5 });
  t.equal(documents.at(-1)!.at, '2025-12-31T23:59:59.000Z');
  t.equal(documents.length, 900 * (REGIONS.length + 6));
  const regions = documents.filter(({ server, region }) => server === undefined && region === 'alpha');
  const mean = regions.reduce((sum, { metrics }) => sum + Number(metrics.rps), 0) / regions.length;
  t.ok(Math.abs(mean - 53.3) < 1.5, `${mean} requests/s`);
});

t.test('the announced maintenance is a calendar that the engine reads', async (t) => {
  const beginsAt = Date.parse('2026-01-01T00:00:00Z');
  const text = maintenanceCalendar({ beginsAt, maintenance: { region: 'beta', second: 54 } });
  const between = { from: beginsAt, to: beginsAt + 600_000 };
  const read = readICalendar(text, { kind: 'maintenance', regions: [...REGIONS], ...between });
  t.match(read, { events: [{ regions: ['beta'], start: beginsAt + 54_000 }] });
  t.notMatch(maintenanceCalendar({ beginsAt, maintenance: null }), /VEVENT/);
});

t.test('shares of a plan count what a shift has moved so far', async (t) => {
  const now = Date.parse('2026-01-01T00:00:30Z');
  const plan = {
    regions: [{ id: 'a' }, { id: 'b' }],
    tables: [
      {
        owners: encodeOwners(Uint16Array.from([0, 1, 1, 1])),
        shift: {
          id: 's',
          moving: [[3, 0]],
          progress: [
            ['2026-01-01T00:00:00Z', 0],
            ['2026-01-01T00:01:00Z', 1],
          ],
        },
      },
    ],
  } as unknown as Plan;
  t.strictSame(sharesOf(plan, now), { a: 0.375, b: 0.625 });
});

t.test('wrong options are refused with what is allowed', async (t) => {
  t.throws(() => parseOptions(['--only', 'z']), /--only must name some of a, b/);
  t.throws(() => parseOptions(['--set', '3']), /--set must be 1, 2 or both, not "3"/);
  t.equal(parseOptions(['--help']), null);
  t.match(parseOptions(['--seeds', '3', '--seed', '5', '--set', '2']), { seeds: [5, 6, 7], sets: [2] });
});

async function startServer(t: Test, tracks: Partial<ServerTracks>): Promise<{ url: string; admin: string }> {
  const [port] = await portsBelowEphemeral(1, seededRandom(systemClock.wallMs()));
  const setup = { name: '0/0', port, seed: 1, tracks: { ...CALM_SERVER, ...tracks } };
  const program = join(import.meta.dirname, '../../bench/incidents/server-process.ts');
  const child = spawn(process.execPath, [program, JSON.stringify(setup)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.teardown(() => child.kill('SIGKILL'));
  const [chunk] = (await once(child.stdout, 'data')) as [Buffer];
  const admin = /admin (\d+)/.exec(chunk.toString())![1]!;
  return { url: `http://127.0.0.1:${port}`, admin: `http://127.0.0.1:${admin}` };
}

t.test('client and server, as processes, account for the same requests through a crash', async (t) => {
  const up = [
    [0, 1],
    [1.2, 0],
    [1.8, 1],
  ] as const;
  const { url, admin } = await startServer(t, { up });
  const incident: Incident = {
    ...firstSet('g', 1),
    seconds: 2.5,
    demand: [[0, 0.12]],
    failing: null,
    failsAt: null,
  };
  const startMs = systemClock.monotonicMs() + 1500;
  await fetch(`${admin}/begin?at=${startMs}`);
  const file = join(t.testdir({}), 'driver.json');
  const program = join(import.meta.dirname, '../../bench/incidents/driver-process.ts');
  await promisify(execFile)(process.execPath, [
    program,
    JSON.stringify({ url, incident, seed: 3, startMs, file }),
  ]);
  const driver = JSON.parse(readFileSync(file, 'utf8')) as DriverResult;
  const server = (await (await fetch(`${admin}/result`)).json()) as ServerResult;
  const { requests, replayedPosts, unaccounted } = accountFor({
    incident,
    driver,
    servers: [server],
    shares: [],
  });
  t.equal(requests, trafficOf(incident, 3).length);
  t.strictSame([replayedPosts, unaccounted], [0, 0]);
  t.ok(server.received.length <= requests && server.received.length > 0);
  for (const { status, failure } of driver.requests)
    t.ok(status > 0 !== (failure !== ''), 'an answer or a failure');
});
