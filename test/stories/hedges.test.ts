// A second try beside the first: which requests get one, whose answer is taken, and what becomes of the other.

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
const near = await startWireServer(t);
const other = await startWireServer(t);
const lone = await startWireServer(t);

const ROUTES: readonly (readonly [id: string, hedge: object, more?: object])[] = [
  ['elsewhere', { to: 'region' }],
  ['beside', {}],
  ['poor', { to: 'region', budget: 0, minBudget: 0 }],
  ['short', { to: 'region' }, { timeouts: { total: '1s' } }],
  ['never', { after: '0ms', to: 'region' }],
];
const proxy = await startProxy(
  t,
  proxyConfig({
    health: UNWATCHED,
    regions: [
      { id: 'home', servers: [home.url] },
      { id: 'other', servers: [other.url] },
      { id: 'pair', servers: [lone.url, near.url] },
    ],
    sharding: { policy: 'consistent_hash' },
    routes: ROUTES.map(([id, hedge, more]) => ({
      id,
      match: { path: `/${id}/**` },
      regions: id === 'beside' ? ['pair', 'other'] : ['home', 'other'],
      key: { from: [{ header: 'x-key' }] },
      retry: { base: '1ms', cap: '1ms', minBudget: 1000 },
      hedge: { after: '20ms', minBudget: 1000, ...hedge },
      ...more,
    })),
  }),
);

/** A key that a region with these servers owns. */
async function keyOf(route: string, servers: readonly (typeof home)[]): Promise<string> {
  for (let i = 0; i < 64; i++) {
    const path = `/${route}/${i}`;
    await ask(t, proxy.port, `GET ${path} HTTP/1.1\r\nHost: a\r\nx-key: k${i}\r\n\r\n`);
    if (servers.some((server) => server.seen(path).length > 0)) return `k${i}`;
  }
  throw new Error('no key found');
}

const homeKey = await keyOf('never', [home]);
const pairKey = await keyOf('beside', [lone, near]);
const request = (method: string, path: string, body = '', key = homeKey): string =>
  `${method} ${path} HTTP/1.1\r\nHost: a\r\nx-key: ${key}\r\n${body === '' ? '' : `Content-Length: ${body.length}\r\n`}\r\n${body}`;
const says = (status: number, body: string): string =>
  `HTTP/1.1 ${status} X\r\ncontent-length: ${body.length}\r\n\r\n${body}`;

/** Keeps the exchange open until somebody answers by its wire. */
function hold(server: { on(path: string, answerer: Answerer): void }, path: string): () => Wire | undefined {
  let held: Wire | undefined;
  server.on(path, (_, wire) => {
    held = wire;
  });
  return () => held;
}

const routeOf = (message: Message | undefined): string => message?.all('foreshard-route')[0] ?? '';

function hedges(text: string, result: string): number {
  let sum = 0;
  for (const line of text.split('\n')) {
    if (line.startsWith('foreshard_hedges_total{') && line.includes(`result="${result}"`)) {
      sum += Number(line.slice(line.lastIndexOf(' ') + 1));
    }
  }
  return sum;
}

t.test(
  'a safe request that waits is asked elsewhere, and the first attempt ends with its answer',
  async (t) => {
    for (const method of ['GET', 'HEAD', 'OPTIONS']) {
      const path = `/elsewhere/${method}`;
      const held = hold(home, path);
      const answer = await ask(t, proxy.port, request(method, path));
      t.equal(answer.status, 200, method);
      t.equal(other.seen(path).length, 1);
      t.match(routeOf(other.seen(path)[0]), /region=other, .*attempt=2, path=\(home\)/);
      await eventually(() => held()!.isOver(), 'the first attempt is given up');
    }
  },
);

t.test('the first attempt may still win: then the second ends', async (t) => {
  const first = hold(home, '/elsewhere/slow');
  const second = hold(other, '/elsewhere/slow');
  const client = await openWire(t, proxy.port);
  client.write(request('GET', '/elsewhere/slow'));
  await eventually(() => second() !== undefined, 'both are asked');
  first()!.write(says(200, 'first'));
  await client.until(/first$/);
  await eventually(() => second()!.isOver(), 'the second is given up');
  client.write(request('GET', '/elsewhere/after'));
  await client.until(/first.*HTTP\/1\.1 200 /s);
});

t.test('what changes something is not asked twice at the same time', async (t) => {
  const held = ['POST', 'PUT', 'DELETE'].map((method) => ({
    method,
    path: `/elsewhere/${method}`,
    wire: hold(home, `/elsewhere/${method}`),
  }));
  const clients = await Promise.all(
    held.map(async ({ method, path }) => {
      const client = await openWire(t, proxy.port);
      client.write(request(method, path, 'hello'));
      return client;
    }),
  );
  await eventually(() => held.every(({ wire }) => wire() !== undefined), 'all wait');
  // A GET that came after them has been hedged: so their time is over.
  hold(home, '/elsewhere/mark');
  t.equal((await ask(t, proxy.port, request('GET', '/elsewhere/mark'))).status, 200);
  for (const [i, { path, wire }] of held.entries()) {
    wire()!.write(says(200, 'done'));
    await clients[i]!.until(/done$/);
    t.equal(other.seen(path).length, 0, path);
  }
});

t.test('a failure of one of two waits for the other; of both, the last one is told', async (t) => {
  const client = await openWire(t, proxy.port);
  const bad = {
    503: says(503, 'busy'),
    404: says(404, 'busy'),
    unfit: 'HTTP/1.1 200 X\r\nconnection: content-length\r\ncontent-length: 4\r\n\r\nbusy',
  };
  for (const [what, answer] of Object.entries(bad)) {
    const path = `/elsewhere/fails-${what}`;
    const [first, second] = [hold(home, path), hold(other, path)];
    client.write(request('GET', path));
    await eventually(() => second() !== undefined, 'both are asked');
    second()!.write(answer);
    // What the proxy has answered after it was told that: so it has read it.
    await ask(t, proxy.port, request('GET', '/never/mark'));
    first()!.write(says(200, `fine ${what}`));
    await client.until(new RegExp(`fine ${what}$`));
    t.notMatch(client.text(), 'busy');
  }

  const [a, b] = [hold(home, '/elsewhere/both'), hold(other, '/elsewhere/both')];
  client.write(request('GET', '/elsewhere/both'));
  await eventually(() => b() !== undefined, 'both are asked');
  b()!.cut();
  await ask(t, proxy.port, request('GET', '/never/mark'));
  a()!.write(says(503, 'no'));
  await client.until(/\r\n\r\nno$/);
  t.match(client.text(), /HTTP\/1\.1 503 .*no$/s);
  t.strictSame([home.seen('/elsewhere/both').length, other.seen('/elsewhere/both').length], [1, 1]);
});

t.test('a client that leaves ends both attempts', async (t) => {
  const [a, b] = [hold(home, '/elsewhere/leaver'), hold(other, '/elsewhere/leaver')];
  const client = await openWire(t, proxy.port);
  client.write(request('GET', '/elsewhere/leaver'));
  await eventually(() => b() !== undefined, 'both are asked');
  client.cut();
  await eventually(() => a()!.isOver() && b()!.isOver(), 'both end');
});

t.test('the time of a request is up for both attempts', async (t) => {
  const [a, b] = [hold(home, '/short/x'), hold(other, '/short/x')];
  const answer = await ask(t, proxy.port, request('GET', '/short/x'));
  t.equal(answer.status, 504);
  t.match(answer.body, '"reason":"deadline_exceeded"');
  await eventually(() => a()?.isOver() === true && b()?.isOver() === true, 'both end');
});

t.test('without a budget none is asked twice, and by default the region is not left', async (t) => {
  const [poor, off] = [hold(home, '/poor/x'), hold(home, '/never/x')];
  const clients = await Promise.all([openWire(t, proxy.port), openWire(t, proxy.port)]);
  clients[0]!.write(request('GET', '/poor/x'));
  clients[1]!.write(request('GET', '/never/x'));
  await eventually(() => poor() !== undefined && off() !== undefined, 'both wait');
  const path = '/beside/x';
  const held = [hold(lone, path), hold(near, path)];
  const beside = await openWire(t, proxy.port);
  beside.write(request('GET', path, '', pairKey));
  await eventually(() => held.every((wire) => wire() !== undefined), 'both servers of the region are asked');
  held[1]!()!.write(says(200, 'near'));
  await beside.until(/near$/);
  t.strictSame(
    [other.seen('/poor/x').length, other.seen('/never/x').length, other.seen(path).length],
    [0, 0, 0],
  );
  for (const wire of [poor, off]) wire()!.write(says(200, 'late'));
  await Promise.all(clients.map((client) => client.until(/late$/)));
});

t.test('how many there were and how many won is counted', async (t) => {
  const text = await (await fetch(`${proxy.controlUrl}/metrics`)).text();
  t.ok(hedges(text, 'won') >= 4, text);
  t.ok(hedges(text, 'lost') >= 3, text);
});
