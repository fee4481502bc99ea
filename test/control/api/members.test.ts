// The API of a running manager over sockets: whatever is wrong with a registration, it gets its status and its
// reason, and the region is what it was before.

import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import t from 'tap';
import type { RegionReport } from '../../../src/region/report.ts';
import { startRem } from '../../rig/rem.ts';

const TOKEN = 'correct horse battery staple';
const SERVER = 'http://127.0.0.1:9';

/** What the manager answers to bytes, until it closes the connection. */
function exchange(api: string, bytes: string): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    const socket = connect(Number(new URL(api).port), '127.0.0.1', () => socket.write(bytes));
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1');
    });
    socket.on('error', () => {});
    socket.on('close', () => resolve(text));
  });
}

t.test('registrations that are refused change nothing', async (t) => {
  const rem = await startRem(t, 'eu', {
    servers: ['http://127.0.0.1:19'],
    control: { address: '127.0.0.1:0', token: TOKEN },
    healthCheckInterval: '1h',
    health: { active: false },
    lease: { ttl: '1h' },
  });
  const ask = async (
    method: string,
    path: string,
    body?: string | object,
    token: string | null = TOKEN,
  ): Promise<{ status: number; body: Record<string, unknown> }> => {
    const answer = await fetch(`${rem.api}${path}`, {
      method,
      headers: {
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...(token !== null && { authorization: `Bearer ${token}` }),
      },
      ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
    const text = await answer.text();
    return { status: answer.status, body: text === '' ? {} : JSON.parse(text) };
  };
  const register = (parts: object, token?: string | null) =>
    ask('POST', '/register', { serverId: 's', incarnation: 7, url: SERVER, ...parts }, token);
  // Without health and epoch: checks of servers that nobody runs go on meanwhile and change both.
  const members = async (): Promise<unknown[]> => {
    const servers = (await ask('GET', '/report')).body.servers as Record<string, unknown>[];
    return servers.map(({ health, ...rest }) => rest);
  };

  const first = await register({});
  t.equal(first.status, 200);
  const epoch = first.body.epoch as number;
  const gone = await register({ serverId: 'gone', url: 'http://127.0.0.1:29' });
  t.equal(gone.status, 200);
  t.equal((await ask('DELETE', '/register/gone?incarnation=7')).status, 200);
  const started = await register({ serverId: 'new-start', url: 'http://127.0.0.1:49' });
  t.equal(started.status, 200);
  t.equal(
    (await register({ serverId: 'new-start', url: 'http://127.0.0.1:49', incarnation: 8 })).status,
    200,
  );
  const before = await members();

  const listening = new URL(rem.process.url).host;
  const refused: readonly [what: string, parts: object, status: number, says: RegExp][] = [
    ['no url', { url: undefined }, 400, /^url: /],
    ['a url with a path', { url: `${SERVER}/x` }, 400, /^url: must be http:\/\/HOST:PORT/],
    ['a url with a user', { url: 'http://a:b@127.0.0.1:9' }, 400, /^url: /],
    ['a port that is none', { url: 'http://127.0.0.1:99999' }, 400, /^url: /],
    ['another scheme', { url: 'file:///etc/passwd' }, 400, /^url: /],
    ['an id with a space', { serverId: 'a b' }, 400, /^serverId: /],
    ['an id that is too long', { serverId: 'x'.repeat(257) }, 400, /^serverId: /],
    ['a negative incarnation', { incarnation: -1 }, 400, /^incarnation: /],
    ['a weight of 0', { weight: 0 }, 400, /^weight: /],
    ['a capacity of text', { capacity: '10' }, 400, /^capacity: /],
    ['metrics of somebody else', { metrics: 'http://10.0.0.1/metrics' }, 400, /^metrics: must be a path/],
    ['an unknown field', { wieght: 1 }, 400, /^wieght: /],
    ['a label that is no text', { labels: { a: 1 } }, 400, /^labels.a: /],
    [
      'too many labels',
      { labels: Object.fromEntries(Array.from({ length: 33 }, (_, i) => [`l${i}`, ''])) },
      400,
      /^labels: /,
    ],
    ['an older incarnation', { incarnation: 6 }, 409, /incarnation must be at least 7, given 6/],
    ['an older epoch', { epoch: epoch - 1 }, 409, /epoch must be at least/],
    [
      'one that has deregistered',
      { serverId: 'gone', url: 'http://127.0.0.1:29' },
      409,
      /incarnation must be above 7/,
    ],
    [
      'one that has started anew since',
      { serverId: 'new-start', url: 'http://127.0.0.1:49' },
      409,
      /incarnation must be at least 8, given 7/,
    ],
    ['a change that has seen no answer', { weight: 2 }, 409, /epoch must be given with a change/],
    ["another server's address", { serverId: 'thief' }, 409, /is s's/],
    ["a configured server's address", { serverId: 'thief', url: 'http://127.0.0.1:19' }, 409, /is http/],
    ["a configured server's id", { serverId: 'http://127.0.0.1:19' }, 409, /named by static/],
    ["the manager's data path", { serverId: 'loop', url: `http://${listening}` }, 422, /this manager's/],
    ["the manager's API", { serverId: 'loop', url: rem.api }, 422, /this manager's/],
  ];
  for (const [what, parts, status, says] of refused) {
    const answer = await register(parts);
    t.equal(answer.status, status, what);
    t.match(
      `${answer.body.title} ${answer.body.detail ?? ''}`.replace(/^.*?: (?=\w+(\.\w+)?: )/, ''),
      says,
      what,
    );
  }
  await ask('GET', '/report?proxy=p1&addresses=127.0.0.1:4711,0.0.0.0:4712');
  t.equal(
    (await register({ serverId: 'loop', url: 'http://localhost:4711' })).status,
    422,
    "a proxy's address",
  );
  t.equal((await register({ serverId: 'loop', url: 'http://127.0.0.1:4712' })).body.reason, 'loop');

  for (const body of [
    '',
    '{',
    '[]',
    'null',
    '"x"',
    `{"serverId":"${'x'.repeat(10)}`,
    '{"__proto__":{"a":1}}',
  ])
    t.match(
      await ask('POST', '/register', body),
      { status: 400, body: { reason: 'bad_request' } },
      `the body ${body}`,
    );
  // Refused by its declared length: the answer comes before the body has been sent.
  const tooLong = `POST /register HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer ${TOKEN}\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: ${1024 * 1024 + 1}\r\n\r\n{`;
  t.match(await exchange(rem.api, tooLong), /^HTTP\/1\.1 413 .*"reason":"body_too_large"/s, 'over 1 MiB');
  for (const token of [null, '', 'wrong', `${TOKEN} `.repeat(2)]) {
    t.match(await register({ serverId: 'new', url: 'http://127.0.0.1:39' }, token), {
      status: 401,
      body: { reason: 'unauthorized' },
    });
    t.equal((await ask('POST', '/drain', {}, token)).status, 401);
    t.equal((await ask('GET', '/report', undefined, token)).status, 401);
  }
  t.match(await ask('POST', '/renew', { serverId: 's', incarnation: 6 }), {
    status: 409,
    body: { reason: 'stale_incarnation' },
  });
  t.match(await ask('POST', '/renew', { serverId: 'nobody', incarnation: 6 }), {
    status: 404,
    body: { reason: 'not_registered' },
  });
  t.equal((await ask('DELETE', '/register/s?incarnation=6')).status, 409);
  t.equal((await ask('DELETE', '/register/nobody')).status, 404);
  t.equal((await ask('POST', '/drain', { serverId: 'nobody' })).status, 404);
  t.equal((await ask('POST', '/drain', { serverId: 's', deadline: 'soon' })).status, 400);
  t.equal((await ask('POST', '/undrain', { serverId: 's' })).status, 409);
  t.equal((await ask('GET', '/report?wait=soon')).status, 400);
  t.equal((await ask('GET', '/report?after=-1')).status, 400);

  t.strictSame(await members(), before, 'after all of it the region is what it was');
  const metrics = await (
    await fetch(`${rem.api}/metrics`, { headers: { authorization: `Bearer ${TOKEN}` } })
  ).text();
  for (const reason of ['stale_incarnation', 'stale_epoch', 'replayed', 'address_taken', 'id_taken', 'loop'])
    t.match(metrics, `foreshard_registrations_refused_total{region="eu",reason="${reason}"}`, reason);
  t.equal((await register({ incarnation: 8 })).status, 200, 'and a right one is taken');
});

t.test('a poll is answered at once on a change, and by 304 without one', async (t) => {
  const rem = await startRem(t, 'eu', { health: { active: false } });
  const { epoch } = await rem.report();
  const poll = (after: number, wait: string) => fetch(`${rem.api}/report?after=${after}&wait=${wait}`);
  t.equal((await poll(epoch, '50ms')).status, 304);
  const waiting = poll(epoch, '60s');
  await rem.post('/register', { serverId: 's', incarnation: 1, url: SERVER });
  const answer = await waiting;
  t.equal(answer.status, 200);
  t.match(await answer.json(), { servers: [{ id: 's' }] });
  t.equal(
    (await poll(epoch + 1_000_000, '60s')).status,
    200,
    'an epoch of another life is no reason to wait',
  );
});

t.test('a drain that is ordered again is told how long it still has, which is never longer', async (t) => {
  const servers = ['http://127.0.0.1:19', 'http://127.0.0.1:29'];
  const rem = await startRem(t, 'eu', { servers, health: { active: false } });
  for (const whom of [{ serverId: servers[0] }, {}] as { serverId?: string }[]) {
    const seconds = async (deadline?: string): Promise<number> => {
      const answer = await rem.post('/drain', { ...whom, ...(deadline !== undefined && { deadline }) });
      t.equal(answer.status, 202);
      return answer.body.deadlineSeconds as number;
    };
    const long = await seconds('1h');
    t.equal(long, 3600);
    const isSettled = ({
      id,
      draining,
      drained,
    }: {
      id: string;
      draining: boolean;
      drained?: boolean | undefined;
    }) => (whom.serverId === undefined ? draining : id !== whom.serverId || drained === true);
    const { epoch } = await rem.untilReport(
      (report) => report.servers.every(isSettled),
      10_000,
      'it is empty',
    );
    const again = await seconds('10h');
    t.ok(again <= long, 'a later end is not taken');
    t.ok((await seconds()) > 1800, 'nor is the default, which is shorter, put in its place');
    t.equal((await rem.report()).epoch, epoch, 'proxies hear nothing, because nothing has changed');
    t.ok((await seconds('10m')) <= 600, 'a sooner one is');
    t.ok((await seconds('1h')) <= 600);
  }
});

t.test('what servers say of themselves stands in the report', async (t) => {
  const page = createServer((request, response) => {
    response.end(request.url === '/own/metrics' ? 'queue_depth 7\ncpu_utilization 0.5\n' : '');
  });
  await new Promise<void>((resolve) => page.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    page.closeAllConnections();
    page.close();
  });
  const url = `http://127.0.0.1:${(page.address() as AddressInfo).port}`;
  const rem = await startRem(t, 'eu', {
    servers: [{ url, metrics: `${url}/own/metrics` }, 'http://127.0.0.1:19'],
    healthCheckInterval: '100ms',
  });
  const ofPage = (id: string) => (report: RegionReport) =>
    report.servers.find((server) => server.id === id)?.telemetry !== undefined;
  const { servers, telemetry } = await rem.untilReport(ofPage(url), 10_000, 'the page is read');
  t.match(servers, [{ telemetry: { cpu: 0.5, queue_depth: 7 } }, { telemetry: undefined }]);
  t.match(telemetry, { cpu: Number, memory: Number }, 'beside what its machine does');

  const other = `http://localhost:${new URL(url).port}`;
  await rem.post('/register', { serverId: 's', incarnation: 1, url: other, metrics: '/own/metrics' });
  await rem.untilReport(ofPage('s'), 10_000, "a registered server's page is read");
});

t.test('bytes that are no request end their own connection only', async (t) => {
  const rem = await startRem(t, 'eu', { health: { active: false } });
  for (const bytes of ['\0\0\0', 'NONSENSE\r\n\r\n', `GET /${'x'.repeat(70_000)}`]) {
    const answer = await exchange(rem.api, bytes);
    t.match(answer, /^HTTP\/1\.1 4\d\d /);
  }
  t.equal((await fetch(`${rem.api}/readyz`)).status, 200);
});
