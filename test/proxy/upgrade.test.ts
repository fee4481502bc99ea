import { createHash } from 'node:crypto';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import t from 'tap';
import { WebSocket, WebSocketServer } from 'ws';
import { proxyConfig, startProxy } from '../rig/proxy.ts';
import {
  ask,
  eventually,
  type Message,
  openWire,
  readMessage,
  startWireServer,
  UNWATCHED,
  type Wire,
} from '../rig/wire.ts';

const server = await startWireServer(t);
const sockets = new WebSocketServer({ port: 0, host: '127.0.0.1', handleProtocols: () => 'chat' });
t.teardown(() => {
  for (const client of sockets.clients) client.terminate();
  sockets.close();
});
const seen: IncomingMessage[] = [];
sockets.on('connection', (socket, request) => {
  seen.push(request);
  if (request.url === '/greets') socket.send('first');
  socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
});
await once(sockets, 'listening');
const { port: socketPort } = sockets.address() as { port: number };
const proxy = await startProxy(
  t,
  proxyConfig({
    health: UNWATCHED,
    regions: [
      { id: 'raw', servers: [server.url] },
      { id: 'ws', servers: [`http://127.0.0.1:${socketPort}`] },
    ],
    routes: [
      { id: 'patient', match: { path: '/ws/patient' }, regions: ['ws'], timeouts: { idle: '10m' } },
      { id: 'ws', match: { path: '/ws/**' }, regions: ['ws'], timeouts: { idle: '1s' } },
      { id: 'greets', match: { path: '/greets' }, regions: ['ws'] },
      { id: 'left', match: { path: '/left' }, regions: ['raw'], timeouts: { response: '10m' } },
      { id: 'raw', regions: ['raw'], retry: { attempts: 1 }, timeouts: { response: '1s' } },
    ],
  }),
);

const KEY = 'dGhlIHNhbXBsZSBub25jZQ==';
const ACCEPT = createHash('sha1').update(`${KEY}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
const WANT = `Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${KEY}\r\n`;
const request = (path: string, fields = WANT, version = '1.1', method = 'GET'): string =>
  `${method} ${path} HTTP/${version}\r\nHost: a.example\r\n${fields}\r\n`;
const agreed = (accept = ACCEPT, more = ''): string =>
  `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n${more}\r\n`;

async function connected(path: string, protocols: string[] = []): Promise<WebSocket> {
  const socket = new WebSocket(`ws://127.0.0.1:${proxy.port}${path}`, protocols);
  await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject));
  return socket;
}

const message = (socket: WebSocket): Promise<Buffer> =>
  new Promise((resolve) => socket.once('message', (data) => resolve(data as Buffer)));

t.test('a websocket carries text and binary both ways, small and large', async (t) => {
  const socket = await connected('/ws/echo?room=%2F1', ['chat']);
  t.equal(socket.protocol, 'chat');
  for (const size of [0, 1, 125, 126, 65_536, 1_000_000]) {
    const data = Buffer.alloc(size, 'w');
    const back = message(socket);
    socket.send(data);
    t.ok((await back).equals(data), `${size} bytes`);
  }
  const text = message(socket);
  socket.send('grüße');
  t.equal((await text).toString(), 'grüße');
  const [got] = seen.filter(({ url }) => url === '/ws/echo?room=%2F1');
  t.equal(got!.headers.host, `127.0.0.1:${proxy.port}`, 'host and target are those that were routed');
  t.match(got!.headers['foreshard-request-id'], /^[0-9a-f]{32}$/);
  t.match(got!.headers.via, /^1\.1 foreshard-/);
  t.equal(got!.headers['x-forwarded-for'], '127.0.0.1');
  const closed = new Promise((resolve) => socket.once('close', resolve));
  socket.close(4001, 'done');
  t.equal(await closed, 4001, 'close codes pass');
});

t.test('what the server says first is not lost', async (t) => {
  const socket = new WebSocket(`ws://127.0.0.1:${proxy.port}/greets`);
  t.equal((await message(socket)).toString(), 'first');
  socket.terminate();
});

t.test('either side that leaves takes the other along; a silent tunnel ends', async (t) => {
  const one = await connected('/ws/one');
  one.terminate();
  await eventually(() => sockets.clients.size === 0, 'the server hears of it');
  const two = await connected('/ws/two');
  const gone = new Promise((resolve) => two.once('close', resolve));
  for (const client of sockets.clients) client.terminate();
  t.equal(await gone, 1006);
  const patient = await connected('/ws/patient');
  const silent = await connected('/ws/silent');
  await new Promise((resolve) => silent.once('close', resolve));
  t.equal(patient.readyState, WebSocket.OPEN, 'one that may be silent for longer stays');
  await eventually(() => sockets.clients.size === 1, 'both sides');
  patient.terminate();
  await eventually(() => sockets.clients.size === 0, 'the server hears of it');
});

t.test('rule 5: early bytes of the client are held until the 101, then they are the first', async (t) => {
  let to: Wire | undefined;
  server.onHead('/held', (_, wire) => {
    to = wire;
  });
  const wire = await openWire(t, proxy.port);
  wire.write(`${request('/held')}GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n`);
  await eventually(() => to !== undefined, 'the head arrives');
  const head = to!.text().length;
  wire.write('more');
  await new Promise((resolve) => setTimeout(resolve, 100));
  t.equal(to!.text().length, head, 'nothing follows the head');
  to!.write(`${agreed()}hello`);
  await wire.until('hello');
  await to!.until('more');
  t.equal(to!.text().slice(head), 'GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\nmore');
  t.equal(server.seen('/smuggled').length, 0, 'they are no request');
  const answer = readMessage(wire.text())!;
  t.equal(answer.status, 101);
  t.strictSame(answer.all('sec-websocket-accept'), [ACCEPT]);
  t.strictSame(answer.all('upgrade'), ['websocket']);
  t.strictSame(answer.all('connection'), ['Upgrade']);
});

t.test('rule 5: early bytes are bounded', async (t) => {
  let to: Wire | undefined;
  server.onHead('/flood', (_, wire) => {
    to = wire;
  });
  const wire = await openWire(t, proxy.port);
  wire.write(request('/flood'));
  await eventually(() => to !== undefined, 'the head arrives');
  let taken = 0;
  const piece = Buffer.alloc(65_536, 'e');
  const count = (error: unknown): void => {
    if (!error) taken += piece.length;
  };
  for (let i = 0; i < 400; i++) wire.socket.write(piece, count);
  await new Promise((resolve) => setTimeout(resolve, 300));
  t.ok(taken < 20_000_000, `${taken} of 26 MB are taken`);
});

t.test('rule 5: a 101 that does not fit the request is a 502, and opens nothing', async (t) => {
  const cases: Record<string, string> = {
    'a wrong Sec-WebSocket-Accept': agreed('AAAAAAAAAAAAAAAAAAAAAAAAAAA='),
    'no Sec-WebSocket-Accept': agreed().replace(/Sec-.*\r\n/, ''),
    'another protocol': agreed().replace('Upgrade: websocket', 'Upgrade: h2c'),
    'no Upgrade': agreed().replace('Upgrade: websocket\r\n', ''),
    'no Connection': agreed().replace('Connection: Upgrade\r\n', ''),
    'a length': agreed(ACCEPT, 'Content-Length: 5\r\n'),
    'Connection naming what must stay': agreed(ACCEPT, 'Connection: via\r\n'),
    'a bare LF': agreed().replaceAll('\r\n', '\n'),
    'NUL in a value': agreed(ACCEPT, 'X: a\0b\r\n'),
  };
  let i = 0;
  for (const [what, bytes] of Object.entries(cases)) {
    const path = `/unfit-${++i}`;
    let to: Wire | undefined;
    server.onHead(path, (_, wire) => {
      to = wire;
      wire.write(`${bytes}hello`);
    });
    const wire = await openWire(t, proxy.port);
    wire.write(request(path));
    t.equal(await wire.over(), 'closed', what);
    const answer = readMessage(wire.text());
    t.equal(answer?.status, 502, `${what}: 502`);
    t.match(answer?.body, /"reason":"(upgrade_failed|upstream_malformed)"/, what);
    t.equal(answer?.size, wire.text().length, `${what}: nothing but that`);
    await eventually(() => to!.isOver(), `${what}: the connection to the server is dropped`);
  }
});

t.test('rule 5: what is no websocket upgrade stays plain HTTP and names no Upgrade', async (t) => {
  const body = `${WANT}Content-Length: 5\r\n`;
  const cases: Record<string, string> = {
    'over HTTP/1.0': request('/plain', WANT, '1.0'),
    'with a body': `${request('/plain', body)}hello`,
    'with chunks': `${request('/plain', `${WANT}Transfer-Encoding: chunked\r\n`)}5\r\nhello\r\n0\r\n\r\n`,
    'by POST': request('/plain', WANT, '1.1', 'POST'),
    'without Connection: Upgrade': request('/plain', WANT.replace('Connection: Upgrade\r\n', '')),
    h2c: request(
      '/plain',
      'Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n',
    ),
    'websocket and h2c': request('/plain', WANT.replace('Upgrade: websocket', 'Upgrade: websocket, h2c')),
    'websocket, h2c on two lines': request('/plain', `${WANT}Upgrade: h2c\r\n`),
    'TLS/1.0': request('/plain', 'Connection: Upgrade\r\nUpgrade: TLS/1.0\r\n'),
  };
  for (const [what, bytes] of Object.entries(cases)) {
    const before = server.requests.length;
    const answer = await ask(t, proxy.port, bytes);
    t.equal(answer.status, 200, what);
    const [got] = server.requests.slice(before);
    t.strictSame(got!.all('upgrade'), [], `${what}: no Upgrade`);
    t.strictSame(got!.all('connection'), [], `${what}: no Connection`);
    t.strictSame(got!.all('http2-settings'), [], `${what}: no HTTP2-Settings`);
  }
  server.on('/forced', (_, to) => to.write(agreed()));
  const forced = await ask(t, proxy.port, request('/forced', WANT, '1.0'));
  t.equal(forced.status, 502, 'a 101 to HTTP/1.0 is a 502');
  t.match(forced.body, /upstream_malformed/);
});

t.test('rule 4 holds for an upgrade and its 101, on however many lines Connection comes', async (t) => {
  let head: Message | undefined;
  server.onHead('/lines', (got, wire) => {
    head = got;
    wire.write(
      agreed(ACCEPT, 'Connection: x-back\r\nX-Back: 1\r\nX-Kept: 2\r\nKeep-Alive: x\r\nVia: 1.1 in\r\n'),
    );
  });
  const wire = await openWire(t, proxy.port);
  const more = 'X-Hop: 1\r\nX-Forwarded-For: 6.6.6.6\r\nProxy: x\r\nTE: trailers\r\nKeep-Alive: x\r\n';
  wire.write(request('/lines', `Connection: keep-alive, X-Hop\r\n${WANT}${more}`));
  await wire.until('\r\n\r\n');
  for (const name of ['x-hop', 'proxy', 'te', 'keep-alive']) t.strictSame(head!.all(name), [], name);
  t.strictSame(head!.all('connection'), ['Upgrade']);
  t.strictSame(head!.all('x-forwarded-for'), ['127.0.0.1']);
  const answer = readMessage(wire.text())!;
  for (const name of ['x-back', 'keep-alive']) t.strictSame(answer.all(name), [], name);
  t.strictSame(answer.all('x-kept'), ['2']);
  t.match(answer.all('via').join(', '), /^1\.1 in, 1\.1 foreshard-/);
});

t.test('an upgrade that the server refuses is answered by the server', async (t) => {
  const cases: Record<string, string> = {
    'a length': 'HTTP/1.1 401 Unauthorized\r\ncontent-length: 4\r\nx-why: token\r\n\r\nwhat',
    chunks: 'HTTP/1.1 426 Upgrade Required\r\ntransfer-encoding: chunked\r\n\r\n4\r\nwhat\r\n0\r\n\r\n',
    'until close': 'HTTP/1.1 403 Forbidden\r\n\r\nwhat',
  };
  let i = 0;
  for (const [what, bytes] of Object.entries(cases)) {
    const path = `/no-${++i}`;
    server.onHead(path, (_, wire) => {
      wire.write(bytes);
      if (what === 'until close') wire.socket.end();
    });
    const wire = await openWire(t, proxy.port);
    wire.write(`${request(path)}early`);
    t.equal(await wire.over(), 'closed', what);
    const answer = readMessage(wire.text());
    t.equal(answer?.status, Number(bytes.slice(9, 12)), what);
    t.equal(answer?.body, 'what', what);
    t.strictSame(answer?.all('connection'), ['close'], what);
    t.match(answer?.all('foreshard-request-id')[0], /^[0-9a-f]{32}$/);
  }
});

t.test('an upgrade whose refusal is malformed or cut short never looks whole', async (t) => {
  const cases: Record<string, { bytes: string; status: number }> = {
    'gzip coding': { bytes: 'HTTP/1.1 401 No\r\ntransfer-encoding: gzip\r\n\r\nwhat', status: 502 },
    'two lengths': {
      bytes: 'HTTP/1.1 401 No\r\ncontent-length: 4\r\ncontent-length: 4\r\n\r\nwhat',
      status: 502,
    },
    'CL and TE': {
      bytes: 'HTTP/1.1 401 No\r\ncontent-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n',
      status: 502,
    },
    'a body cut short': { bytes: 'HTTP/1.1 401 No\r\ncontent-length: 9\r\n\r\nwhat', status: 401 },
  };
  let i = 0;
  for (const [what, { bytes, status }] of Object.entries(cases)) {
    const path = `/broken-${++i}`;
    server.onHead(path, (_, wire) => {
      wire.write(bytes);
      wire.socket.end();
    });
    const wire = await openWire(t, proxy.port);
    wire.write(request(path));
    await wire.over();
    const answer = readMessage(wire.text());
    if (status === 502) t.equal(answer?.status, 502, what);
    else t.equal(answer, undefined, `${what}: no whole answer in ${wire.text()}`);
  }
});

t.test('an upgrade to a server that is silent or not there gets a local reply', async (t) => {
  let to: Wire | undefined;
  server.onHead('/silent', (_, wire) => {
    to = wire;
  });
  const wire = await openWire(t, proxy.port);
  wire.write(request('/silent'));
  await wire.over();
  t.equal(readMessage(wire.text())?.status, 504);
  t.match(wire.text(), 'response_timeout');
  await eventually(() => to!.isOver(), 'the connection to the server is dropped');
  server.onHead('/slams', (_, slammed) => slammed.cut());
  const slammed = await openWire(t, proxy.port);
  slammed.write(request('/slams'));
  await slammed.over();
  t.match(slammed.text(), /^HTTP\/1\.1 502 .*"reason":"upstream_reset"/s);

  server.onHead('/left', (_, left) => {
    to = left;
  });
  to = undefined;
  const leaver = await openWire(t, proxy.port);
  leaver.write(request('/left'));
  await eventually(() => to !== undefined, 'the head arrives');
  leaver.cut();
  await eventually(() => to!.isOver(), 'a client that leaves before the 101 takes it along');
});
