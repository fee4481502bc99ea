import { createServer } from 'node:net';
import t from 'tap';
import { proxyConfig, startProxy } from '../rig/proxy.ts';
import {
  type Answerer,
  ask,
  eventually,
  type Message,
  openWire,
  startWireServer,
  UNWATCHED,
  type Wire,
} from '../rig/wire.ts';

const home = await startWireServer(t);
const other = await startWireServer(t);
// Each has one death to die: what it fails later is not so sudden any more.
const mortals = await Promise.all(
  ['cut', 'says-502', 'says-504'].map(async (id) => ({ id, ...(await startWireServer(t)) })),
);

/** A port on which nobody listens. */
async function closedPort(): Promise<number> {
  const taken = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => taken.once('listening', resolve));
  const { port } = taken.address() as { port: number };
  await new Promise((resolve) => taken.close(resolve));
  return port;
}

const ON = ['connect', 'reset', '502', '503', '504'];
const retry = (some: object = {}): object => ({ on: ON, base: '1ms', cap: '1ms', minBudget: 1000, ...some });
const proxy = await startProxy(
  t,
  proxyConfig({
    health: UNWATCHED,
    regions: [
      { id: 'home', servers: [home.url] },
      { id: 'other', servers: [other.url] },
      ...mortals.map(({ id, url }) => ({ id, servers: [url] })),
      { id: 'dead', servers: [`http://127.0.0.1:${await closedPort()}`] },
    ],
    sharding: { policy: 'consistent_hash' },
    routes: [
      { id: 'dead', match: { path: '/dead/**' }, regions: ['dead', 'other'], retry: retry() },
      { id: 'once', match: { path: '/once' }, regions: ['home', 'other'], retry: retry({ attempts: 1 }) },
      { id: 'many', match: { path: '/many' }, regions: ['home', 'other'], retry: retry({ attempts: 5 }) },
      {
        id: 'broke',
        match: { path: '/broke' },
        regions: ['home', 'other'],
        retry: retry({ budget: 0, minBudget: 0 }),
      },
      {
        id: 'poor',
        match: { path: '/poor' },
        regions: ['home', 'other'],
        retry: retry({ budget: 0, minBudget: 1 }),
      },
      ...mortals.map(({ id }) => ({
        id,
        match: { path: `/${id}` },
        regions: [id, 'other'],
        retry: retry({ budget: '1%', minBudget: 0 }),
      })),
      {
        id: 'late',
        match: { path: '/late' },
        regions: ['home', 'other'],
        retry: retry(),
        timeouts: { response: '200ms' },
      },
      {
        id: 'later',
        match: { path: '/later' },
        regions: ['home', 'other'],
        retry: retry({ on: ['timeout'] }),
        timeouts: { response: '200ms' },
      },
      {
        id: 'total',
        match: { path: '/total' },
        regions: ['home', 'other'],
        retry: retry(),
        timeouts: { total: '300ms' },
      },
      { id: 'all', regions: ['home', 'other'], retry: retry() },
    ].map((route) => ({ ...route, key: { from: [{ header: 'x-key' }] } })),
  }),
);

/** A key that the first region of a route's two owns. */
async function keyAt(path: string, isThere: (path: string) => boolean): Promise<string> {
  for (let i = 0; i < 64; i++) {
    await ask(t, proxy.port, `GET ${path}?${i} HTTP/1.1\r\nHost: a\r\nx-key: k${i}\r\n\r\n`);
    if (isThere(path)) return `k${i}`;
  }
  throw new Error('no key found');
}

const homeKey = await keyAt('/where', (path) => home.seen(path).length > 0);
const deadKey = await keyAt('/dead/where', (path) => routeOf(other.seen(path).at(-1)!).includes('attempt=2'));

function routeOf(message: Message): string {
  return message.all('foreshard-route')[0] ?? '';
}

const request = (method: string, path: string, fields = '', body = '', key = homeKey): string =>
  `${method} ${path} HTTP/1.1\r\nHost: a\r\nx-key: ${key}\r\n${fields}\r\n${body}`;
const FIVE = 'Content-Length: 5\r\n';

const slam: Answerer = (_, wire) => wire.cut();
const reset: Answerer = (_, wire) => wire.socket.resetAndDestroy();
const unavailable: Answerer = (_, wire) =>
  wire.write('HTTP/1.1 503 Unavailable\r\ncontent-length: 4\r\n\r\nbusy');

let paths = 0;
/** How often each server sees a request whose first server answers like this, and the client's answer. */
async function tries(
  first: Answerer,
  method: string,
  fields = '',
  body = '',
): Promise<{ home: number; other: number; status: number; seen: Message | undefined }> {
  const path = `/try-${++paths}`;
  home.on(path, first);
  const answer = await ask(t, proxy.port, request(method, path, fields, body));
  const seen = other.seen(path);
  return { home: home.seen(path).length, other: seen.length, status: answer.status, seen: seen[0] };
}

t.test('rule 8: what is idempotent goes to another region after a reset or a 503', async (t) => {
  for (const method of ['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE']) {
    const [fields, body] = method === 'PUT' || method === 'DELETE' ? [FIVE, 'hello'] : ['', ''];
    for (const [what, first] of Object.entries({ slam, reset, unavailable })) {
      const { home: h, other: o, status, seen } = await tries(first, method, fields, body);
      t.strictSame({ h, o, status }, { h: 1, o: 1, status: 200 }, `${method} after ${what}`);
      t.equal(seen!.body, body, 'with its body');
      t.match(routeOf(seen!), /region=other, .*attempt=2, path=\(home\)/);
    }
  }
});

t.test('rule 8: what is not idempotent is never sent twice', async (t) => {
  for (const method of ['POST', 'PATCH', 'LOCK']) {
    for (const [what, first] of Object.entries({ slam, reset, unavailable })) {
      const { home: h, other: o, status } = await tries(first, method, FIVE, 'hello');
      const expected = what === 'unavailable' ? 503 : 502;
      t.strictSame({ h, o, status }, { h: 1, o: 0, status: expected }, `${method} after ${what}`);
    }
    const keyed = await tries(slam, method, `${FIVE}Idempotency-Key: "1"\r\n`, 'hello');
    t.strictSame([keyed.home, keyed.other, keyed.status], [1, 1, 200], `${method} with an Idempotency-Key`);
  }
});

t.test('rule 8: a connection that was never there has got nothing, so anything may go on', async (t) => {
  const large = 'x'.repeat(200_000);
  for (const [fields, body, expected] of [
    ['', '', ''],
    [FIVE, 'hello', 'hello'],
    [`Content-Length: ${large.length}\r\n`, large, large],
    ['Transfer-Encoding: chunked\r\n', '5\r\nhello\r\n0\r\n\r\n', 'hello'],
  ] as const) {
    const before = other.seen('/dead/x').length;
    const answer = await ask(t, proxy.port, request('POST', '/dead/x', fields, body, deadKey));
    t.equal(answer.status, 200);
    t.equal(other.seen('/dead/x').length, before + 1);
    t.equal(other.seen('/dead/x').at(-1)!.body, expected);
    t.match(routeOf(other.seen('/dead/x').at(-1)!), /attempt=2, path=\(dead\)/);
  }
});

t.test('rule 8: a body that cannot be sent again is not', async (t) => {
  const large = 'x'.repeat(100_000);
  const long = await tries(slam, 'PUT', `Content-Length: ${large.length}\r\n`, large);
  t.strictSame([long.home, long.other, long.status], [1, 0, 502], 'longer than retry.maxBody');
  const chunked = await tries(slam, 'PUT', 'Transfer-Encoding: chunked\r\n', '5\r\nhello\r\n0\r\n\r\n');
  t.strictSame([chunked.home, chunked.other, chunked.status], [1, 0, 502], 'of unknown length');
});

t.test('rule 8: nothing is tried again once an answer has begun, or when it is malformed', async (t) => {
  home.on('/begun', (_, wire) => {
    wire.write('HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf');
    setTimeout(() => wire.cut(), 50);
  });
  const wire = await openWire(t, proxy.port);
  wire.write(request('GET', '/begun'));
  await wire.over();
  t.match(wire.text(), /^HTTP\/1\.1 200 .*half$/s);
  t.equal(other.seen('/begun').length, 0);
  const malformed = await tries((_, to) => to.write('HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n'), 'GET');
  t.strictSame([malformed.home, malformed.other, malformed.status], [1, 0, 502]);
  const failed = await tries((_, to) => to.write('HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n'), 'GET');
  t.strictSame(
    [failed.home, failed.other, failed.status],
    [1, 0, 500],
    'a status that retry.on does not name',
  );
});

t.test('attempts are counted: one, two, and as many as there are targets', async (t) => {
  for (const [path, expected] of [
    ['/once', 1],
    ['/two', 2],
  ] as const) {
    home.on(path, slam);
    other.on(path, slam);
    const answer = await ask(t, proxy.port, request('GET', path));
    t.equal(answer.status, 502);
    t.match(answer.body, '"reason":"upstream_reset"');
    t.equal(home.seen(path).length + other.seen(path).length, expected, path);
  }
  home.on('/many', unavailable);
  other.on('/many', unavailable);
  const last = await ask(t, proxy.port, request('GET', '/many'));
  t.equal(last.status, 503);
  t.equal(last.body, 'busy', 'the last answer is the answer');
  t.strictSame([home.seen('/many').length, other.seen('/many').length], [1, 1], 'no server twice');
});

t.test('our own response timeout is retried only where retry.on says so', async (t) => {
  const never: Answerer = () => {};
  for (const path of ['/late', '/later']) home.on(path, never);
  const late = await ask(t, proxy.port, request('GET', '/late'));
  t.equal(late.status, 504);
  t.equal(other.seen('/late').length, 0);
  const later = await ask(t, proxy.port, request('GET', '/later'));
  t.equal(later.status, 200);
  t.equal(other.seen('/later').length, 1);
  home.on('/total', never);
  const total = await ask(t, proxy.port, request('GET', '/total'));
  t.equal(total.status, 504);
  t.match(total.body, '"reason":"deadline_exceeded"');
});

t.test('the retry budget bounds how many are tried again', async (t) => {
  home.on('/broke', slam);
  const broke = await ask(t, proxy.port, request('GET', '/broke'));
  t.equal(broke.status, 502);
  t.equal(other.seen('/broke').length, 0, 'no budget, no retry');

  const waiting: Wire[] = [];
  home.on('/poor', (_, wire) => void waiting.push(wire));
  const clients = await Promise.all([1, 2, 3].map(() => openWire(t, proxy.port)));
  for (const client of clients) client.write(request('GET', '/poor'));
  await eventually(() => waiting.length === 3, 'three at the first server');
  for (const wire of waiting.splice(0)) wire.cut();
  await Promise.all(clients.map((client) => client.until(/\r\n\r\n./)));
  t.equal(
    clients.filter((client) => client.text().includes(' 502 ')).length,
    2,
    'two are told of the failure',
  );
  t.equal(other.seen('/poor').length, 1, 'one is tried again');
});

t.test('what a server had under way when it died goes elsewhere, whatever the budget', async (t) => {
  const empty = (status: number): Answerer => {
    return (_, wire) => wire.write(`HTTP/1.1 ${status} No\r\ncontent-length: 0\r\n\r\n`);
  };
  const deaths = [slam, empty(502), empty(504)];
  for (const [i, mortal] of mortals.entries()) {
    const path = `/${mortal.id}`;
    const key = await keyAt(path, () => mortal.seen(path).length > 0);
    const waiting: [Message, Wire][] = [];
    mortal.on(path, (message, wire) => void waiting.push([message, wire]));
    const before = other.seen(path).length;
    const clients = await Promise.all(Array.from({ length: 12 }, () => openWire(t, proxy.port)));
    for (const client of clients) client.write(request('GET', path, '', '', key));
    await eventually(() => waiting.length === 12, 'all at the first server');
    for (const [message, wire] of waiting.splice(0)) deaths[i]!(message, wire);
    await Promise.all(clients.map((client) => client.until(/\r\n\r\n/)));
    t.equal(clients.filter((client) => client.text().startsWith('HTTP/1.1 200 ')).length, 12, mortal.id);
    t.equal(other.seen(path).length, before + 12, 'once each');
  }
});

t.test('a client that leaves between two attempts is not followed by another', async (t) => {
  let to: Wire | undefined;
  home.on('/leaver', (_, wire) => {
    to = wire;
  });
  const client = await openWire(t, proxy.port);
  client.write(request('GET', '/leaver'));
  await eventually(() => to !== undefined, 'the request arrives');
  client.cut();
  await eventually(() => to!.isOver(), 'the exchange ends');
  await new Promise((resolve) => setTimeout(resolve, 100));
  t.equal(other.seen('/leaver').length, 0);
});
