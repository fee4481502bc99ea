import { readFileSync } from 'node:fs';
import t from 'tap';
import { proxyConfig, startProxy } from '../rig/proxy.ts';
import {
  ask,
  eventually,
  OK,
  openWire,
  readMessage,
  startWireServer,
  UNWATCHED,
  type Wire,
} from '../rig/wire.ts';

const server = await startWireServer(t);
const proxy = await startProxy(
  t,
  proxyConfig({
    health: UNWATCHED,
    regions: [{ id: 'only', servers: [server.url] }],
    routes: [
      {
        id: 'none',
        match: { path: '/**', methods: ['REPORT'] },
        key: { from: [{ header: 'x-key' }], onMissing: 'reject' },
      },
      { id: 'late', match: { path: '/late' }, timeouts: { response: '300ms' }, retry: { attempts: 1 } },
      { id: 'hung', match: { path: '/hang' }, timeouts: { response: '10m' }, retry: { attempts: 1 } },
      { id: 'all', retry: { attempts: 1 } },
    ],
  }),
);

const HOST = 'Host: a.example\r\n';
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

t.test('rule 3: each method with a length, chunks or nothing is framed once, as it came', async (t) => {
  const large = 'x'.repeat(100_000);
  for (const method of ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'PROPFIND']) {
    const path = `/framing-${method}`;
    const send = async (fields: string, body: string): Promise<void> => {
      const answer = await ask(t, proxy.port, `${method} ${path} HTTP/1.1\r\n${HOST}${fields}\r\n${body}`);
      t.equal(answer.status, 200, `${method} with ${fields}`);
    };
    await send('', '');
    await send('Content-Length: 0\r\n', '');
    await send('Content-Length: 5\r\n', 'hello');
    await send('Content-Length: 0000005\r\n', 'hello');
    await send(`Content-Length: ${large.length}\r\n`, large);
    await send('Transfer-Encoding: chunked\r\n', '3;a=b\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n');
    await send('Transfer-Encoding: Chunked\r\n', '0\r\n\r\n');
    await send('Transfer-Encoding: chunked\r\n', `${large.length.toString(16)}\r\n${large}\r\n0\r\n\r\n`);
    const seen = server.seen(path);
    t.strictSame(
      seen.map((request) => request.body),
      ['', '', 'hello', 'hello', large, 'hello', '', large],
      `${method}: bodies`,
    );
    // Where a body is what the method is about, its absence is said too (RFC 9110, 8.6).
    const absent = ['POST', 'PUT', 'PATCH'].includes(method) ? 'length' : 'none';
    t.strictSame(
      seen.map((request) => request.framing),
      [absent, absent, 'length', 'length', 'length', 'chunked', 'chunked', 'chunked'],
      `${method}: framing`,
    );
    t.ok(seen.every((request) => request.method === method));
  }
  t.strictSame(server.violations, []);
});

t.test('rule 1: the head is written anew, byte for byte what its meaning is', async (t) => {
  const sent =
    `GET /anew?a=%2F&b=\xe9 HTTP/1.1\r\nHOST: A.Example:80\r\nX-Latin:  caf\xe9 \xff\t\r\nACCEPT:a\r\n` +
    'x-twice: 1\r\nX-Twice: 2\r\nX-Empty:\r\n\r\n';
  t.equal((await ask(t, proxy.port, sent)).status, 400, 'Latin-1 in the target is refused');
  await ask(t, proxy.port, sent.replace('\xe9 HTTP', '%C3%A9 HTTP'));
  const [request] = server.seen('/anew');
  t.equal(request!.first, 'GET /anew?a=%2F&b=%C3%A9 HTTP/1.1');
  t.strictSame(request!.all('host'), ['A.Example:80']);
  t.strictSame(request!.all('x-latin'), ['caf\xe9 \xff'], 'Latin-1 bytes are the same bytes');
  t.strictSame(request!.all('x-twice'), ['1', '2']);
  t.strictSame(request!.all('x-empty'), ['']);
});

t.test('targets in every form that is allowed reach the server in origin form', async (t) => {
  const cases = [
    ['GET', 'http://a.example/abs?x=1', '/abs?x=1'],
    ['GET', 'HTTP://A.EXAMPLE', '/'],
    ['GET', 'http://a.example?q', '/?q'],
    ['GET', '//double//slash', '//double//slash'],
    ['GET', '/a%2Fb/%2e%2e%2fc;v=1/"<>\\^`{|}', '/a%2Fb/%2e%2e%2fc;v=1/"<>\\^`{|}'],
  ];
  for (const [method, target, expected] of cases) {
    const before = server.requests.length;
    const answer = await ask(t, proxy.port, `${method} ${target} HTTP/1.1\r\n${HOST}\r\n`);
    t.equal(answer.status, 200, target!);
    t.equal(server.requests[before]?.first, `${method} ${expected} HTTP/1.1`);
  }
  const own = await ask(t, proxy.port, `OPTIONS * HTTP/1.1\r\n${HOST}\r\n`);
  t.equal(own.status, 204, 'OPTIONS * is about the proxy itself');
});

t.test('HTTP/1.0 without Host reaches the server with the name of the server', async (t) => {
  const answer = await ask(t, proxy.port, 'GET /old HTTP/1.0\r\n\r\n');
  t.equal(answer.status, 200);
  const [request] = server.seen('/old');
  t.strictSame(request!.all('host'), [`127.0.0.1:${server.port}`]);
  t.strictSame(request!.all('x-forwarded-host'), [], 'and with no name that nobody said');
  t.match(request!.all('via'), [/^1\.0 foreshard-/]);
});

t.test('rule 12: Expect is answered by us when the body is wanted, and never forwarded', async (t) => {
  const small = await openWire(t, proxy.port);
  small.write(`POST /expect HTTP/1.1\r\n${HOST}Content-Length: 5\r\nExpect: 100-Continue\r\n\r\n`);
  t.equal(await small.until('\r\n\r\n'), 'HTTP/1.1 100 Continue\r\n\r\n');
  small.write('hello');
  await small.until('\r\n\r\nok');
  t.strictSame(server.seen('/expect')[0]!.all('expect'), []);
  t.equal(server.seen('/expect')[0]!.body, 'hello');

  const large = await openWire(t, proxy.port);
  large.write(`PUT /expect HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n`);
  await large.until('100 Continue\r\n\r\n');
  large.write('5\r\nhello\r\n0\r\n\r\n');
  await large.until('\r\n\r\nok');

  const refused = await openWire(t, proxy.port);
  refused.write(`REPORT /x HTTP/1.1\r\n${HOST}Content-Length: 5\r\nExpect: 100-continue\r\n\r\n`);
  t.equal(await refused.over(), 'closed', 'nobody knows whether the body comes');
  t.equal(readMessage(refused.text())?.status, 400, 'no 100 for a request that is refused');

  const odd = await ask(
    t,
    proxy.port,
    `POST /x HTTP/1.1\r\n${HOST}Content-Length: 5\r\nExpect: 200-ok\r\n\r\nhello`,
  );
  t.equal(odd.status, 417);
  t.match(odd.body, /expectation_failed/);

  const old = await ask(
    t,
    proxy.port,
    `POST /x HTTP/1.0\r\n${HOST}Content-Length: 5\r\nExpect: 100-continue\r\n\r\nhello`,
  );
  t.equal(old.status, 200, 'HTTP/1.0 has no such thing, and gets no 100');
});

t.test('trailers reach a client that asked, and the server hears of the asking', async (t) => {
  const chunks =
    '2\r\nok\r\n0\r\nx-sum: 1\r\nContent-Length: 7\r\nset-cookie: a=1\r\nhost: x\r\nVia: y\r\n\r\n';
  server.on('/trailers', (_, to) =>
    to.write(`HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n${chunks}`),
  );
  const asked = await ask(
    t,
    proxy.port,
    `GET /trailers HTTP/1.1\r\n${HOST}TE: gzip, trailers\r\nConnection: TE\r\n\r\n`,
  );
  t.strictSame(asked.trailers, ['x-sum', '1'], 'none that frames, routes or authenticates');
  const silent = await ask(t, proxy.port, `GET /trailers HTTP/1.1\r\n${HOST}\r\n`);
  t.strictSame(silent.trailers, []);
  const [first, second] = server.seen('/trailers');
  t.strictSame(first!.all('te'), ['trailers']);
  t.strictSame(first!.all('connection'), ['te']);
  t.strictSame(second!.all('te'), []);
  const body = '2\r\nok\r\n0\r\nx-sum: 1\r\nx-forwarded-for: 6.6.6.6\r\n\r\n';
  await ask(
    t,
    proxy.port,
    `POST /in HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\nTrailer: x-sum\r\n\r\n${body}`,
  );
  t.strictSame(server.seen('/in')[0]!.trailers, [], 'trailers of a request end here');
  t.strictSame(server.seen('/in')[0]!.all('trailer'), [], 'and are not announced');
});

t.test('events reach the client as they are written', async (t) => {
  let stream: Wire | undefined;
  server.on('/events', (_, to) => {
    stream = to;
    to.write('HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n');
  });
  const wire = await openWire(t, proxy.port);
  wire.write(`GET /events HTTP/1.1\r\n${HOST}\r\n`);
  await wire.until('\r\n\r\n');
  for (let i = 0; i < 3; i++) {
    stream!.write(`9\r\ndata: ${i}\n\n\r\n`);
    await wire.until(`data: ${i}\n\n`);
  }
  stream!.write('0\r\n\r\n');
  await wire.until('\r\n0\r\n\r\n');
});

t.test('rule 7: an answer before the end of the request ends the upload', async (t) => {
  const early = 'HTTP/1.1 413 Too Large\r\ncontent-length: 4\r\n\r\nmuch';
  let to: Wire | undefined;
  server.onHead('/early', (_, wire) => {
    to = wire;
    wire.write(early);
  });
  const large = await openWire(t, proxy.port);
  large.write(`POST /early HTTP/1.1\r\n${HOST}Content-Length: 50000000\r\n\r\n${'x'.repeat(100_000)}`);
  await large.until('\r\n\r\nmuch');
  t.strictSame(readMessage(large.text())!.all('connection'), ['close']);
  await eventually(() => to!.isOver(), 'the connection to the server is dropped');
  large.write('x'.repeat(1000));
  await large.over();

  const chunked = await openWire(t, proxy.port);
  chunked.write(`POST /early HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n`);
  await chunked.until('\r\n\r\nmuch');
  t.equal(await chunked.over(), 'closed');

  // What is refused before it is forwarded, and small, is read away; the connection goes on.
  const small = await openWire(t, proxy.port);
  small.write(`REPORT /x HTTP/1.1\r\n${HOST}Content-Length: 5\r\n\r\n`);
  await small.until('no_shard_key');
  const first = readMessage(small.text())!;
  small.write(`helloGET /after HTTP/1.1\r\n${HOST}\r\n`);
  await small.until('\r\n\r\nok');
  t.equal(readMessage(small.text().slice(first.size))?.body, 'ok');
});

t.test('rule 7: the answer of a server that ends its side at once is not lost', async (t) => {
  server.onHead('/hasty', (_, wire) => {
    wire.write('HTTP/1.1 413 Too Large\r\ncontent-length: 4\r\nconnection: close\r\n\r\nmuch');
    wire.socket.end();
  });
  for (let i = 0; i < 8; i++) {
    const wire = await openWire(t, proxy.port);
    wire.write(`POST /hasty HTTP/1.1\r\n${HOST}Content-Length: 9000000\r\n\r\n`);
    for (let piece = 0; piece < 20; piece++) wire.write('x'.repeat(65_536));
    await wire.until((text) => text.includes('\r\n\r\nmuch') || wire.isOver());
    t.equal(readMessage(wire.text())?.status, 413, `upload ${i}`);
    wire.cut();
  }
});

const residentBytes = (): number =>
  Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${proxy.child.pid}/status`, 'utf8'))![1]) * 1024;

t.test('backpressure: who reads slowly stops who writes, and memory stays', async (t) => {
  const total = 200 * 1024 * 1024;
  const piece = Buffer.alloc(256 * 1024, 'd');
  let written = 0;
  server.on('/download', (_, to) => {
    to.write(`HTTP/1.1 200 OK\r\ncontent-length: ${total}\r\nconnection: close\r\n\r\n`);
    const go = (): void => {
      while (written < total) {
        written += piece.length;
        if (!to.socket.write(piece)) return void to.socket.once('drain', go);
      }
    };
    go();
  });
  const wire = await openWire(t, proxy.port);
  wire.socket.removeAllListeners('data');
  let got = 0;
  const before = residentBytes();
  wire.write(`GET /download HTTP/1.1\r\n${HOST}\r\n`);
  wire.socket.on('data', (chunk) => {
    got += chunk.length;
  });
  wire.socket.pause();
  let last = -1;
  await eventually(() => {
    const isStill = written === last && written > 0;
    last = written;
    return isStill;
  }, 'the server stands still');
  await pause(200);
  t.ok(written < total / 4, `the server is held at ${written} of ${total}`);
  wire.socket.resume();
  await eventually(() => got >= total, 'all arrives', 15_000);
  const growth = residentBytes() - before;
  t.ok(growth < 64 * 1024 * 1024, `RSS grew by ${(growth / 1048576).toFixed(0)} MiB`);
});

t.test('backpressure: a server that reads slowly stops the client that sends', async (t) => {
  let to: Wire | undefined;
  server.onHead('/slow-upload', (_, wire) => {
    wire.socket.removeAllListeners('data');
    wire.socket.pause();
    to = wire;
  });
  const total = 100 * 1024 * 1024;
  const wire = await openWire(t, proxy.port);
  const before = residentBytes();
  wire.write(`PUT /slow-upload HTTP/1.1\r\n${HOST}Content-Length: ${total}\r\n\r\n`);
  await eventually(() => to !== undefined, 'the head arrives');
  const piece = Buffer.alloc(256 * 1024, 'u');
  let sent = 0;
  while (sent < total && wire.socket.write(piece)) sent += piece.length;
  const go = (): void => {
    while (sent < total) {
      sent += piece.length;
      if (!wire.socket.write(piece)) return void wire.socket.once('drain', go);
    }
  };
  wire.socket.once('drain', go);
  await pause(500);
  t.ok(sent < total / 4, `the client is held at ${sent} of ${total}`);
  let got = 0;
  to!.socket.on('data', (chunk) => {
    got += chunk.length;
  });
  to!.socket.resume();
  await eventually(() => got >= total, 'all arrives', 15_000);
  t.equal(got, total);
  to!.write(OK);
  await wire.until('\r\n\r\nok');
  to!.cut();
  t.ok(residentBytes() - before < 64 * 1024 * 1024, 'memory stays');
});

t.test('rule 9: a client that leaves takes its exchange along at once', async (t) => {
  const states: Record<string, string> = {
    'before the answer': `GET /hang HTTP/1.1\r\n${HOST}\r\n`,
    'within the answer': `GET /half HTTP/1.1\r\n${HOST}\r\n`,
    'within its upload': `PUT /hang HTTP/1.1\r\n${HOST}Content-Length: 1000000\r\n\r\n${'x'.repeat(100_000)}`,
    'within a chunked upload': `PUT /hang HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n5\r\nhe`,
  };
  let to: Wire | undefined;
  server.onHead('/hang', (_, wire) => {
    to = wire;
  });
  server.onHead('/half', (_, wire) => {
    to = wire;
    wire.write('HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf');
  });
  for (const [when, bytes] of Object.entries(states)) {
    for (const how of ['end', 'reset'] as const) {
      to = undefined;
      const wire = await openWire(t, proxy.port);
      wire.write(bytes);
      await eventually(() => to !== undefined, `${when}: the request arrives`);
      if (bytes.includes('/half')) await wire.until('half');
      if (how === 'end') wire.socket.end();
      else wire.socket.resetAndDestroy();
      await eventually(() => to!.isOver(), `${when}: the exchange ends by ${how}`);
      t.pass(`${when}, by ${how}`);
    }
  }
  await eventually(() => server.open() <= 3, 'no connection is left behind');
});

t.test('a server that answers too late is left, and its answer goes nowhere', async (t) => {
  server.on('/late', (_, to) => void setTimeout(() => to.write(OK.replace('ok', 'no')), 600));
  const wire = await openWire(t, proxy.port);
  wire.write(`GET /late HTTP/1.1\r\n${HOST}\r\n`);
  await wire.until('response_timeout');
  const first = readMessage(wire.text())!;
  t.equal(first.status, 504);
  await pause(500);
  wire.write(`GET /after-late HTTP/1.1\r\n${HOST}\r\n`);
  await wire.until('\r\n\r\nok');
  t.equal(readMessage(wire.text().slice(first.size))?.body, 'ok');
});
