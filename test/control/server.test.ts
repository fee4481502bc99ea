// The control port over real sockets, in front of a source that the test makes up.

import t, { type Test } from 'tap';
import { explainFromConfig } from '../../src/compose/explain-config.ts';
import { PlanPolls } from '../../src/compose/plan-polls.ts';
import { ControlServer, proxyRoutes } from '../../src/control/server.ts';
import type { ControlSource } from '../../src/control/source.ts';
import type { Logger } from '../../src/telemetry/logger.ts';
import { MetricsRegistry } from '../../src/telemetry/registry.ts';
import { idleDesk } from '../rig/desk.ts';
import { sendRaw } from '../rig/raw.ts';
import { World } from '../rig/world.ts';

const TOKEN = 'correct horse battery';
const world = new World({
  regions: [{ id: 'east' }, { id: 'west' }],
  routes: [{ key: { from: [{ header: 'x-user' }, { json: '/id' }] }, policy: 'consistent_hash' }],
});

interface Rig {
  readonly port: number;
  readonly polls: PlanPolls;
  readonly errors: object[];
  readonly source: { generation: number; notReady: string | undefined; fails: boolean };
  token: string | undefined;
  readonly server: ControlServer;
  get(path: string, init?: RequestInit): Promise<Response>;
}

async function start(t: Test, token?: string): Promise<Rig> {
  const polls = new PlanPolls();
  const state = { generation: 3, notReady: undefined as string | undefined, fails: false };
  const errors: object[] = [];
  const source: ControlSource = {
    metrics: new MetricsRegistry(),
    plan: () => ({ ...world.plan, generation: state.generation }),
    regions: () => {
      if (state.fails) throw new Error('a secret of the inside');
      return [];
    },
    notReady: () => state.notReady,
    engine: () => undefined,
    explain: (request) => explainFromConfig(world.config, request),
    refreshMetrics: async () => source.metrics.set('foreshard_connections', [], 7),
    desk: idleDesk(world.config),
    overrideScope: () => 'plan',
    previewOf: async () => ({
      diff: [],
      shardsMoved: 0,
      loadMoved: 0,
      projectedUtilisation: {},
      violatedPolicies: [],
    }),
    shards: () => ({}),
    now: () => 0,
    traces: async () => [],
    plannedRegions: () => undefined,
    planAfter: (ms) => polls.next(ms),
    planAgeMs: () => 0,
    longestWaitMs: () => 300,
  };
  const log = { error: (fields: object) => void errors.push(fields) } as unknown as Logger;
  const rig = { token } as { token: string | undefined };
  const server = new ControlServer(proxyRoutes(source), { token: () => rig.token, log });
  const address = await server.listen({ host: '127.0.0.1', port: 0 });
  t.teardown(() => server.close());
  const get = (path: string, init?: RequestInit): Promise<Response> =>
    fetch(`http://${address}${path}`, init);
  return Object.assign(rig, {
    port: Number(address.split(':')[1]),
    polls,
    errors,
    source: state,
    server,
    get,
  });
}

const bearer = (token: string): RequestInit => ({ headers: { authorization: `Bearer ${token}` } });

async function isProblem(t: Test, answer: Response, status: number, title: RegExp): Promise<void> {
  t.equal(answer.status, status);
  t.match(answer.headers.get('content-type'), /^application\/problem\+json/);
  t.match(await answer.json(), { type: 'about:blank', status, title });
}

t.test('health of the process, readiness with its reason, and metrics as fresh as they are', async (t) => {
  const rig = await start(t);
  t.strictSame(await (await rig.get('/healthz')).json(), { status: 'ok' });
  t.strictSame(await (await rig.get('/readyz')).json(), { status: 'ready' });
  rig.source.notReady = 'shutting down';
  await isProblem(t, await rig.get('/readyz'), 503, /^shutting down$/);
  t.equal((await rig.get('/healthz')).status, 200, 'it lives all the same');
  const metrics = await rig.get('/metrics');
  t.match(metrics.headers.get('content-type'), /^text\/plain; version=0\.0\.4/);
  t.match(await metrics.text(), /^foreshard_connections 7$/m);
});

t.test('a plan is told once to whoever says what they have', async (t) => {
  const rig = await start(t);
  const first = await rig.get('/plan');
  const tag = first.headers.get('etag')!;
  t.equal(tag, `"${world.plan.incarnation}.3"`);
  t.match(await first.json(), { generation: 3, digest: world.plan.digest });
  const same = async (value: string): Promise<number> =>
    (await rig.get('/plan', { headers: { 'if-none-match': value } })).status;
  t.equal(await same(tag), 304);
  t.equal(await same(`"x", W/${tag}`), 304, 'a list, compared weakly');
  t.equal(await same('*'), 304);
  t.equal(await same('"x"'), 200);
  t.equal(await same(tag.replaceAll('"', '')), 200, 'a tag has quotes');
  const after = tag.replaceAll('"', '');
  t.equal((await rig.get(`/plan?after=${after}`)).status, 304);
  t.equal((await rig.get('/plan?after=x.1&wait=20s')).status, 200, 'another one at once');
});

t.test('a long poll ends with the next plan, at the latest after the longest wait', async (t) => {
  const rig = await start(t);
  const after = `${world.plan.incarnation}.3`;
  t.equal((await rig.get(`/plan?after=${after}&wait=1h`)).status, 304, 'cut to the longest wait');
  const waiting = rig.get(`/plan?after=${after}&wait=290ms`);
  const woken = (async () => {
    for (;;) {
      await new Promise((resolve) => setImmediate(resolve));
      rig.source.generation = 4;
      rig.polls.wake();
      if (await Promise.race([waiting.then(() => true), new Promise((resolve) => setImmediate(resolve))]))
        return;
    }
  })();
  const answer = await waiting;
  await woken;
  t.equal(answer.status, 200);
  t.match(await answer.json(), { generation: 4 });
});

t.test('those who wait are bounded in number, and let go when the port closes', async (t) => {
  const polls = new PlanPolls();
  const all = Array.from({ length: 1000 }, () => polls.next(60_000));
  await polls.next(60_000);
  t.pass('the one that is too many does not wait');
  polls.close();
  await Promise.all(all);
  await polls.next(60_000);
  t.pass('nobody waits behind the end');
});

t.test('parameters that make no sense are refused with what is allowed', async (t) => {
  const rig = await start(t);
  await isProblem(t, await rig.get('/plan?wait=soon'), 400, /^wait must be a duration such as/);
  await isProblem(t, await rig.get('/plan?after=a&after=b'), 400, /once each/);
  await isProblem(t, await rig.get('/plan?wait=1s&wait=2s'), 400, /once each/);
  await isProblem(t, await rig.get(`/plan?after=${'x'.repeat(500)}`), 400, /once each/);
});

t.test(
  'a token is asked for with everything but the health checks, whatever the host is called',
  async (t) => {
    const rig = await start(t, TOKEN);
    for (const path of ['/plan', '/regions', '/metrics', '/nothing', '/explain', '/healthz/', '//healthz']) {
      const answer = await rig.get(path);
      t.equal(answer.headers.get('www-authenticate'), 'Bearer', path);
      await isProblem(t, answer, 401, /bearer token/);
    }
    for (const wrong of ['', 'x', TOKEN.slice(0, -1), `${TOKEN}x`, TOKEN.toUpperCase()])
      t.equal((await rig.get('/plan', bearer(wrong))).status, 401, wrong);
    t.equal((await rig.get('/plan', { headers: { authorization: `Basic ${TOKEN}` } })).status, 401);
    t.equal((await rig.get('/plan', bearer(TOKEN))).status, 200);
    t.equal((await rig.get('/plan', { headers: { authorization: `bearer ${TOKEN}` } })).status, 200);
    for (const path of ['/healthz', '/readyz', '/readyz?x']) t.equal((await rig.get(path)).status, 200, path);
    const named = await sendRaw(
      rig.port,
      `GET /plan HTTP/1.1\r\nhost: control.example\r\nauthorization: Bearer ${TOKEN}\r\nconnection: close\r\n\r\n`,
    );
    t.equal(named.status, 200);
    rig.token = 'another one, after a reload';
    t.equal((await rig.get('/plan', bearer(TOKEN))).status, 401);
    t.equal((await rig.get('/plan', bearer(rig.token))).status, 200);
  },
);

t.test('without a token, a name that is pointed at this machine opens nothing', async (t) => {
  const rig = await start(t);
  const ask = async (host: string): Promise<number> =>
    (await sendRaw(rig.port, `GET /plan HTTP/1.1\r\nhost: ${host}\r\nconnection: close\r\n\r\n`)).status;
  for (const host of [
    '127.0.0.1',
    `127.0.0.1:${rig.port}`,
    'localhost:9090',
    'LOCALHOST',
    '[::1]:9090',
    '10.1.2.3',
  ])
    t.equal(await ask(host), 200, host);
  for (const host of [
    'evil.example',
    `evil.example:${rig.port}`,
    'localhost.evil.example',
    '127.0.0.1.evil.example',
    '',
    '::1',
    'localhost, x',
  ])
    t.equal(await ask(host), 421, host);
  t.equal((await sendRaw(rig.port, 'GET /plan HTTP/1.0\r\n\r\n')).status, 200, 'HTTP/1.0 has no Host');
});

t.test('a resource that is not there, a method it has not, and a method nobody has', async (t) => {
  const rig = await start(t);
  await isProblem(t, await rig.get('/nothing?x=1'), 404, /^there is no resource \/nothing$/);
  for (const method of ['POST', 'DELETE', 'PUT']) {
    const answer = await rig.get('/plan', { method });
    t.match(answer.headers.get('allow'), /GET/);
    await isProblem(t, answer, 405, /given [A-Z]+$/);
  }
  const explain = await rig.get('/explain');
  t.equal(explain.headers.get('allow'), 'POST');
  t.equal(explain.status, 405);
  const head = await rig.get('/plan', { method: 'HEAD' });
  t.equal(head.status, 200);
  const odd = await sendRaw(
    rig.port,
    'PROPFIND /plan HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n',
  );
  t.ok([404, 405].includes(odd.status));
});

t.test('an explanation is that of the configuration, and a wrong question says what is wrong', async (t) => {
  const rig = await start(t);
  const ask = (body: unknown, type = 'application/json'): Promise<Response> =>
    rig.get('/explain', {
      method: 'POST',
      headers: { 'content-type': type },
      body: typeof body === 'string' ? body : JSON.stringify(body),
    });
  const question = {
    method: 'POST',
    url: '/x',
    headers: [['content-type', 'application/json']],
    body: '{"id":"7"}',
  };
  const answer = await ask(question);
  t.equal(answer.status, 200);
  const told = await answer.json();
  t.match(told, { route: 'route-0', key: 'found' });
  t.strictSame(
    told,
    JSON.parse(
      JSON.stringify(
        explainFromConfig(world.config, {
          ...question,
          headers: [['content-type', 'application/json']],
          clientAddress: '127.0.0.1',
        }),
      ),
    ),
  );
  await isProblem(t, await ask({ method: 'GET' }), 400, /^url: /);
  await isProblem(t, await ask({ method: 'GET', url: '/', heders: [] }), 400, /heders/);
  await isProblem(t, await ask({ method: 'GET', url: '/', headers: [['a']] }), 400, /^headers\.0/);
  await isProblem(t, await ask('null'), 400, /^body: /);
  await isProblem(t, await ask('{"a":'), 400, /JSON/);
  await isProblem(t, await ask(''), 400, /empty/);
  await isProblem(t, await ask('{"__proto__":{}}'), 400, /not valid JSON/);
  await isProblem(t, await ask('a=1', 'application/x-www-form-urlencoded'), 415, /media/i);
  await isProblem(t, await ask({ method: 'GET', url: '/', body: 'x'.repeat(1_100_000) }), 413, /too large/i);
  for (const url of [
    '',
    '%',
    '/%zz',
    'http://',
    '::',
    '/\u0000',
    '\ud800',
    'http://[::1',
    `/${'a/'.repeat(3000)}`,
  ]) {
    const { status } = await ask({ method: 'G E T', url });
    t.ok(status === 200 || status === 400, `${JSON.stringify(url.slice(0, 20))}: ${status}`);
  }
});

t.test('what fails inside is logged, and says nothing of the inside', async (t) => {
  const rig = await start(t);
  rig.source.fails = true;
  await isProblem(t, await rig.get('/regions'), 500, /^the proxy failed; its log says how$/);
  t.match(rig.errors, [{ path: '/regions', error: 'a secret of the inside' }]);
});

t.test('bytes that are no HTTP get a problem or an end, and the port goes on', async (t) => {
  const rig = await start(t);
  const cases: Readonly<Record<string, readonly [string, readonly number[]]>> = {
    'no HTTP': ['hello\r\n\r\n', [400]],
    binary: ['\x16\x03\x01\x00\xa5\x01\x00\x00\xa1', [400]],
    'a target that cannot be decoded': [
      'GET /%zz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n',
      [400],
    ],
    'no host': ['GET /plan HTTP/1.1\r\n\r\n', [400]],
    'two lengths': [
      'POST /explain HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab',
      [400],
    ],
    'length and chunks': [
      'POST /explain HTTP/1.1\r\nhost: localhost\r\ncontent-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n',
      [400],
    ],
    'a header without end': [`GET /plan HTTP/1.1\r\nhost: localhost\r\nx: ${'a'.repeat(20_000)}`, [431]],
    'a bad chunk': [
      'POST /explain HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n',
      [400],
    ],
    'a control character in a field': ['GET /plan HTTP/1.1\r\nhost: localhost\r\nx: \x01\r\n\r\n', [400]],
  };
  for (const [name, [bytes, statuses]] of Object.entries(cases)) {
    const answer = await sendRaw(rig.port, bytes, { ms: 2000 });
    t.ok(statuses.includes(answer.status), `${name}: ${answer.status}`);
    t.equal(answer.end, 'closed', name);
    // A request without Host is answered by node:http itself, with nothing but its status.
    if (name !== 'no host') t.match(answer.field('content-type'), /^application\/problem\+json/, name);
  }
  t.equal((await rig.get('/healthz')).status, 200);
});

t.test('the port closes though a poll waits and a client does not finish its request', async (t) => {
  const rig = await start(t);
  const poll = rig.get(`/plan?after=${world.plan.incarnation}.3&wait=1h`).catch(() => undefined);
  const half = sendRaw(rig.port, 'POST /explain HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9\r\n\r\nab', {
    ms: 8000,
  });
  await rig.get('/healthz');
  rig.polls.close();
  await rig.server.close();
  await poll;
  t.not((await half).end, 'open');
});
