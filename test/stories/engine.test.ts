// The engine as operators meet it: a process of its own that is told of a site, and a thread beside a proxy. Two
// hours of a site are told at once as backfill, which takes the same way as live rows, so that nothing waits.
// Processes are shared by the tests in the order that they stand in: starting one is what costs.

import { spawn, spawnSync } from 'node:child_process';
import { readdirSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import root, { type Test } from 'tap';
import { seededRandom } from '../../src/core/random.ts';
import { post, scoresOf, until } from '../rig/engine-client.ts';
import { proxyConfig, type RunningProxy, startProxy } from '../rig/proxy.ts';

const STEP_MS = 30_000;
const REGIONS = [
  { id: 'eu-west', servers: ['http://127.0.0.1:1'] },
  { id: 'us-east', servers: ['http://127.0.0.1:2'] },
];

function startPae(t: Test, pae: object = {}, folder?: string): Promise<RunningProxy> {
  const config = {
    ...proxyConfig({ regions: REGIONS }),
    pae: { mode: 'shadow', listen: '127.0.0.1:0', ...pae },
  };
  return startProxy(t, config, { command: 'pae', ...(folder === undefined ? {} : { folder }) });
}

let first: RunningProxy;
let restarted: RunningProxy;

root.test(
  'a server whose memory climbs is flagged minutes before it dies; a daily peak is not',
  async (t) => {
    first = await startPae(root);
    const pae = first;
    const random = seededRandom(7);
    // Two hours of quiet, then twenty minutes from half to full; the other region has its busy hour meanwhile.
    const rows = 280;
    const climb = 240;
    const start = Math.floor(Date.now() / STEP_MS) * STEP_MS - (rows + 10) * STEP_MS;
    const documents = (i: number): object[] => {
      const at = new Date(start + i * STEP_MS + 1000).toISOString();
      const memory = (i < climb ? 0.5 : 0.5 + (0.47 * (i - climb)) / 40) + 0.01 * random.next();
      const peak = Math.sin((Math.PI * i) / rows);
      return [
        { region: 'us-east', server: 's', at, metrics: { memory, cpu: 0.3 + 0.02 * random.next(), up: 1 } },
        { region: 'us-east', at, metrics: { rps: 50 + random.next(), error_rate: 0, healthy_share: 1 } },
        { region: 'eu-west', server: 's', at, metrics: { memory: 0.4, cpu: 0.2 + 0.5 * peak, up: 1 } },
        { region: 'eu-west', at, metrics: { rps: 40 + 60 * peak, error_rate: 0, healthy_share: 1 } },
      ];
    };
    let flagged: { row: number; reasons: readonly string[] } | undefined;
    let highestElsewhere = 0;
    for (let i = 0; i < rows; ) {
      // Row by row while it matters, in larger pieces before.
      const to = i < climb ? Math.min(climb, i + 60) : i + 1;
      const batch = Array.from({ length: to - i }, (_, k) => documents(i + k)).flat();
      t.equal((await post(`${pae.url}/telemetry?backfill=1`, batch)).status, 202);
      i = to;
      const [elsewhere, here] = (await scoresOf(pae.url)).regions;
      highestElsewhere = Math.max(highestElsewhere, elsewhere!.risk);
      if (i <= climb) t.ok(here!.risk < 0.3, `quiet after ${i} rows: ${here!.risk}`);
      else if (here!.risk >= 0.5) flagged ??= { row: i, reasons: here!.reasons };
    }
    if (flagged === undefined) return t.fail('the climb was never flagged');
    const lead = ((rows - flagged.row) * STEP_MS) / 60_000;
    t.ok(lead >= 3, `flagged ${lead} minutes before it was full: ${flagged.reasons[0]}`);
    t.match(flagged.reasons[0], /^memory reaches its limit in \d+ (min|s)$/);
    t.ok(highestElsewhere < 0.3, `the daily peak stayed at ${highestElsewhere}`);
  },
);

root.test('documents that are wrong are refused with a path; nothing of them is taken', async (t) => {
  const { accepted } = (await scoresOf(first.url)).telemetry;
  const send = (body: string) =>
    fetch(`${first.url}/telemetry`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body,
    });
  const good = { region: 'us-east', at: new Date().toISOString(), metrics: { cpu: 0.5 } };
  const wrong = await send(JSON.stringify([good, { ...good, metrics: { cpu: 2 } }]));
  t.equal(wrong.status, 400);
  t.match((await wrong.json()) as object, {
    title: /^\[1\]\.metrics\.cpu: must be a number from 0 to 1, given 2$/,
  });
  t.equal((await send('{"region": NaN}')).status, 400);
  // The answer comes before the body is read: a client that is still writing may see the cut first.
  const tooLarge = await send(`[${' '.repeat(1024 * 1024)}]`).then(
    ({ status }) => status,
    () => 'cut',
  );
  t.ok(tooLarge === 413 || tooLarge === 'cut', `too large: ${tooLarge}`);
  t.equal((await scoresOf(first.url)).telemetry.accepted, accepted);
  t.equal((await send(JSON.stringify(good))).status, 202);
  t.equal((await fetch(`${first.url}/plan`)).status, 200);
});

root.test('a restart has its past back: scores, rows and events', async (t) => {
  const event = {
    kind: 'maintenance',
    regions: ['eu-west'],
    start: new Date().toISOString(),
    end: '2099-01-01T00:00:00Z',
  };
  const added = await post(`${first.url}/external_events`, event);
  t.equal(added.status, 201);
  t.match(await post(`${first.url}/external_events`, { ...event, regions: ['nowhere'] }), {
    status: 400,
    body: { title: /^regions\.0: must be the id of a region/ },
  });
  const before = (await scoresOf(first.url)).regions[1]!;
  t.equal((await first.stop()).code, 0);
  // One of the kept models is damaged.
  const database = new DatabaseSync(join(first.folder, 'data/pae/history.sqlite'));
  const kept = database.prepare("SELECT key FROM state WHERE key LIKE 'models/%'").all();
  t.equal(kept.length, 4, 'two regions, two servers');
  const damaged = 'models/server/eu-west/s';
  database.prepare('UPDATE state SET body = substr(body, 1, 1000) WHERE key = ?').run(damaged);
  restarted = await startPae(root, {}, first.folder);
  const unreadable = restarted.log.find((line) => line.msg.startsWith('what its models had learnt cannot'));
  t.match(unreadable, { entity: 'server/eu-west/s' });
  await until(async () => {
    const aside = database.prepare('SELECT key FROM state WHERE key = ?').all(`aside/${damaged}`);
    return aside.length === 1 || undefined;
  }, 'the damaged one set aside');
  database.close();
  const after = (await scoresOf(restarted.url, '?history=3h')).regions[1]!;
  t.ok(after.accuracy.failure.scored >= before.accuracy.failure.scored, 'scores are kept');
  t.ok(after.history!.length >= 200, 'and rows');
  t.match(
    restarted.log.find((line) => line.msg === 'the engine has its past back'),
    { models: 3 },
    'and the models that could be read',
  );
  const forecasts = (of: object) =>
    (of as { accuracy: { forecast: { scored: number } } }).accuracy.forecast.scored;
  t.ok(forecasts(before) > 100 && forecasts(after) >= forecasts(before), 'scores of forecasts too');
  const known = (await (await fetch(`${restarted.url}/external_events`)).json()) as {
    events: { id: string }[];
  };
  t.equal(known.events[0]!.id, added.body.id);
  const remove = (id: unknown) => fetch(`${restarted.url}/external_events/${id}`, { method: 'DELETE' });
  t.equal((await remove(added.body.id)).status, 200);
  t.equal((await remove('none')).status, 404);
  await restarted.stop();
});

root.test('the file is followed: a region more, a wrong word, a change that needs a restart', async (t) => {
  const config = (of: object, pae: object = {}) => ({
    ...proxyConfig({ regions: REGIONS }),
    pae: { mode: 'shadow', listen: '127.0.0.1:0', ...pae },
    ...of,
  });
  const pae = await startPae(t);
  const at = new Date().toISOString();
  const send = () => post(`${pae.url}/telemetry`, [{ region: 'ap-south', at, metrics: { rps: 1 } }]);
  t.match((await send()).body, { accepted: 0 }, 'of a region that is not known yet');
  pae.writeConfig(config({ regions: [...REGIONS, { id: 'ap-south', servers: ['http://127.0.0.1:3'] }] }));
  pae.child.kill('SIGHUP');
  await pae.waitForLog((line) => line.msg === 'configuration applied');
  t.match((await send()).body, { accepted: 1 }, 'on the same port, by the same process');
  t.equal((await scoresOf(pae.url)).regions.length, 3);
  const refused = (count: number) =>
    until(async () => {
      const lines = pae.log.filter((line) => line.msg.startsWith('configuration refused'));
      return lines.length === count ? lines.at(-1)! : undefined;
    }, `${count} refused`);
  pae.writeConfig(config({}, { horizon: 'soon' }));
  t.match(await refused(1), { problem: /pae.horizon: must be/ });
  pae.writeConfig(config({}, { listen: '127.0.0.1:1' }));
  t.match(await refused(2), { problem: /pae.listen: cannot change without a restart/ });
  t.equal((await scoresOf(pae.url)).regions.length, 3, 'nothing of either was taken');
  const metrics = await (await fetch(`${pae.url}/metrics`)).text();
  t.match(metrics, /foreshard_config_rejected_total 2/);
  t.equal((await pae.stop()).code, 0);
});

/** A page server that behaves as its path says. */
async function startPages(t: Test): Promise<string> {
  const server: Server = createServer((request, response) => {
    switch (request.url) {
      case '/metrics':
        return response.end('# TYPE requests_total counter\nrequests_total 5\nmemory 0.25\nbad{ 1\n');
      case '/hangs':
        return response.writeHead(200).write('memory 0.25\n');
      case '/lies':
        response.writeHead(200, { 'content-length': '100000' }).write('memory 0.25\n');
        return response.socket?.end();
      case '/floods': {
        const flood = (): void => {
          while (response.writable && response.write('x{a="b"} 1\n'.repeat(2000)));
        };
        response.on('drain', flood);
        return flood();
      }
    }
    response.writeHead(500).end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    server.close();
    server.closeAllConnections();
  });
  return `http://127.0.0.1:${(server.address() as { port: number }).port}`;
}

let engine: RunningProxy;
// Debian's package of the same name.
const PROMETHEUS = 'prometheus';
const hasPrometheus = spawnSync(PROMETHEUS, ['--version']).status === 0;
const prometheusPort = 20_000 + Math.floor(seededRandom(process.pid).next() * 20_000);

root.test('a corrupt history is set aside and said so, and the engine starts', async (t) => {
  const { folder } = first;
  const pages = await startPages(root);
  writeFileSync(join(folder, 'data/pae/history.sqlite'), 'garbage '.repeat(1000));
  const stamp = (ms: number): string => new Date(ms).toISOString().replace(/[-:]|\.\d+/g, '');
  const file = join(folder, 'maintenance.ics');
  const times = `DTSTART:${stamp(Date.now() - 60_000)}\r\nDTEND:${stamp(Date.now() + 3_600_000)}`;
  const event = `BEGIN:VEVENT\r\nUID:1\r\n${times}\r\nSUMMARY:Switches\r\nLOCATION:us-east\r\nEND:VEVENT`;
  writeFileSync(file, `BEGIN:VCALENDAR\r\nVERSION:2.0\r\n${event}\r\nEND:VCALENDAR\r\n`);
  const scrapes = ['metrics', 'hangs', 'lies', 'floods', 'missing'].map((path) => ({
    scrape: `${pages}/${path}`,
    region: 'us-east',
    server: `http://127.0.0.1:${path.length}`,
  }));
  const queries = { queue_depth: 'avg by (region) (load)', memory: 'no such query(' };
  const prometheus = { prometheus: `http://127.0.0.1:${prometheusPort}`, queries };
  engine = await startPae(
    root,
    {
      evaluateEvery: '500ms',
      metrics: [...scrapes, ...(hasPrometheus ? [prometheus] : [])],
      externalEvents: [
        { file, kind: 'maintenance' },
        { file: join(folder, 'none.json'), kind: 'weather' },
      ],
    },
    folder,
  );
  await engine.waitForLog((line) => line.msg === 'the history was unusable');
  t.ok(readdirSync(join(folder, 'data/pae')).some((name) => name.includes('corrupt')));
});

root.test('pages are scraped; one that hangs, lies or floods is cut and counted', async (t) => {
  const results = ['partial', 'timeout', 'unreachable', 'too_large', 'status'];
  await until(async () => {
    const text = await (await fetch(`${engine.url}/metrics`)).text();
    return results.every((of) => text.includes(`foreshard_scrapes_total{result="${of}"}`)) || undefined;
  }, 'a count of every kind');
  const servers = await until(async () => {
    const { regions } = await scoresOf(engine.url);
    const found = regions.find(({ id }) => id === 'us-east')!.servers;
    return found.some(({ actual }) => actual?.memory === 0.25) ? found : undefined;
  }, 'the memory of the page');
  t.strictSame(
    servers.map(({ id }) => id),
    ['http://127.0.0.1:7'],
    'nothing was taken of the others',
  );
});

root.test('calendars raise the risk before anything is measured', async (t) => {
  const region = await until(async () => {
    const found = (await scoresOf(engine.url)).regions.find(({ id }) => id === 'us-east');
    return found !== undefined && found.risk > 0.9 ? found : undefined;
  }, 'the risk of the window');
  t.match(region.reasons[0], /^maintenance "Switches" is under way for another \d+ (min|h)/);
  t.ok(engine.log.some((line) => line.msg === 'an event feed could not be read'));
});

const unless = { skip: hasPrometheus ? false : 'prometheus is not installed' };
root.test('an existing Prometheus is asked by PromQL', unless, async (t) => {
  const page = 'load{region="us-east"} 0.5\nload{region="eu-west"} 0.25\n';
  const pages = createServer((_request, response) => response.end(page));
  await new Promise<void>((resolve) => pages.listen(0, '127.0.0.1', resolve));
  t.teardown(() => pages.close());
  const folder = t.testdir({ tsdb: {} });
  const target = `127.0.0.1:${(pages.address() as { port: number }).port}`;
  const config = join(folder, 'prometheus.yml');
  const jobs = `scrape_configs: [{ job_name: x, static_configs: [{ targets: ['${target}'] }] }]`;
  writeFileSync(config, `global: { scrape_interval: 1s }\n${jobs}\n`);
  const args = [
    `--config.file=${config}`,
    `--storage.tsdb.path=${join(folder, 'tsdb')}`,
    '--log.level=error',
  ];
  const prometheus = spawn(PROMETHEUS, [...args, `--web.listen-address=127.0.0.1:${prometheusPort}`], {
    stdio: 'ignore',
  });
  const gone = new Promise((resolve) => prometheus.once('exit', resolve));
  t.teardown(async () => {
    prometheus.kill('SIGKILL');
    await gone;
  });
  const loads = await until(async () => {
    const { regions } = await scoresOf(engine.url);
    const values = regions.map(({ actual }) => actual?.queue_depth);
    return values.includes(undefined) ? undefined : values;
  }, 'answers of Prometheus');
  t.strictSame(loads, [0.25, 0.5]);
});
