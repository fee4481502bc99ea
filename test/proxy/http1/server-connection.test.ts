import t, { type Test } from 'tap';
import { proxyConfig, startProxy } from '../../rig/proxy.ts';
import {
  ask,
  eventually,
  type Message,
  OK,
  openWire,
  readMessage,
  startWireServer,
  UNWATCHED,
  type Wire,
} from '../../rig/wire.ts';

const server = await startWireServer(t);
const proxy = await startProxy(
  t,
  proxyConfig({
    health: UNWATCHED,
    regions: [{ id: 'only', servers: [server.url] }],
    routes: [{ id: 'all', retry: { attempts: 1 }, timeouts: { response: '2s', idle: '1s' } }],
  }),
);

const get = (path: string, fields = '', method = 'GET', version = '1.1'): string =>
  `${method} ${path} HTTP/${version}\r\nHost: a.example\r\n${fields}\r\n`;

let paths = 0;
/** Answers one new path with `bytes`, `end`ing the connection behind them if asked. */
function answering(bytes: string | readonly string[], end = false): { path: string; to: () => Wire } {
  const path = `/case-${++paths}`;
  let to: Wire | undefined;
  server.on(path, async (_, wire) => {
    to = wire;
    for (const [i, piece] of (typeof bytes === 'string' ? [bytes] : bytes).entries()) {
      if (i > 0) await new Promise((resolve) => setTimeout(resolve, 60));
      wire.write(piece);
    }
    if (end) wire.socket.end();
  });
  return { path, to: () => to! };
}

/** The proxy does not use that connection again. */
async function isDropped(t: Test, to: Wire, what: string): Promise<void> {
  await eventually(() => to.isOver(), `${what}: the connection to the server is dropped`);
  const next = await ask(t, proxy.port, get('/next'));
  t.equal(next.body, 'ok', `${what}: the next request has its own answer`);
}

/** The client's own connection goes on: what the server did is not its fault. */
async function malformed(
  t: Test,
  what: string,
  bytes: string | readonly string[],
  reason = 'upstream_malformed',
): Promise<void> {
  const { path, to } = answering(bytes);
  const wire = await openWire(t, proxy.port);
  wire.write(get(path));
  await wire.until((text) => readMessage(text) !== undefined || wire.isOver());
  const answer = readMessage(wire.text());
  t.equal(answer?.status, 502, `${what}: 502`);
  t.match(answer?.body, `"reason":"${reason}"`, `${what}: ${reason}`);
  t.match(answer?.all('proxy-status')[0], `details="${reason}"`, what);
  wire.write(get('/next'));
  await wire.until('\r\n\r\nok');
  await isDropped(t, to(), what);
}

t.test('rule 6: an answer whose framing is unclear is a 502', async (t) => {
  const head = (fields: string): string => `HTTP/1.1 200 OK\r\n${fields}\r\n\r\nhello`;
  const cases: Record<string, string> = {
    'CL and TE': head('Content-Length: 5\r\nTransfer-Encoding: chunked'),
    'two lengths': head('Content-Length: 5\r\nContent-Length: 6'),
    'two equal lengths': head('Content-Length: 5\r\nContent-Length: 5'),
    'a list of lengths': head('Content-Length: 5, 5'),
    'an empty length': head('Content-Length:'),
    'a negative length': head('Content-Length: -5'),
    'a length in words': head('Content-Length: five'),
    'a length above 2^53-1': head('Content-Length: 99999999999999999999'),
    'Transfer-Encoding gzip': head('Transfer-Encoding: gzip'),
    'gzip, chunked': head('Transfer-Encoding: gzip, chunked'),
    'chunked on two lines': head('Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked'),
    'CL with a 204': 'HTTP/1.1 204 No Content\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n',
  };
  for (const [what, bytes] of Object.entries(cases)) await malformed(t, what, bytes);
});

t.test('rule 6: an answer whose head is not in the strict form is a 502', async (t) => {
  const head = (fields: string): string => `HTTP/1.1 200 OK\r\ncontent-length: 2\r\n${fields}\r\n\r\nok`;
  const cases: Record<string, string | string[]> = {
    'no status line': 'hello\r\n\r\n',
    'an empty line first': `\r\n${OK}`,
    'HTTP/2': 'HTTP/2 200 OK\r\n\r\n',
    'a status of two digits': 'HTTP/1.1 20 OK\r\n\r\n',
    'a status of four digits': 'HTTP/1.1 2000 OK\r\n\r\n',
    'a status below 100': 'HTTP/1.1 099 OK\r\n\r\n',
    'NUL in a value': head('x: a\0b'),
    'a bare CR in a value': head('x: a\rb: c'),
    'a bare LF in a value': head('x: a\nb: c'),
    'bare LF line ends': 'HTTP/1.1 200 OK\ncontent-length: 2\n\nok',
    'no colon': head('x'),
    'a space before the colon': head('content-encoding : gzip'),
    'an empty name': head(': x'),
    'a folded line': head('x: a\r\n b'),
    'Connection naming what must stay': head('connection: content-type'),
    '101 that nobody asked for': 'HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\n\r\n',
    '101 behind 100': [
      'HTTP/1.1 100 Continue\r\n\r\n',
      'HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n',
    ],
    'more than 100 interim answers': `${'HTTP/1.1 102 Processing\r\n\r\n'.repeat(101)}${OK}`,
  };
  for (const [what, bytes] of Object.entries(cases)) await malformed(t, what, bytes);
  const large = `HTTP/1.1 200 OK\r\n${`x: ${'x'.repeat(1000)}\r\n`.repeat(70)}content-length: 0\r\n\r\n`;
  await malformed(t, 'a header block over 64 KiB', large, 'upstream_too_large');
  const endless = `HTTP/1.1 200 OK\r\nx: ${'x'.repeat(70_000)}`;
  await malformed(t, 'a header block without end', endless, 'upstream_too_large');
});

t.test('a header block of 64 KiB passes, cut anywhere near its end', async (t) => {
  const head = `HTTP/1.1 200 OK\r\ncontent-length: 2\r\nx: `.padEnd(65_536, 'x');
  for (const cut of [head.length + 1, head.length + 2, head.length + 3]) {
    const bytes = `${head}\r\n\r\nok`;
    const { path } = answering([bytes.slice(0, cut), bytes.slice(cut)]);
    t.equal((await ask(t, proxy.port, get(path))).status, 200);
  }
});

t.test('rule 6: a body cut short ends the client connection, and never looks whole', async (t) => {
  const chunked = 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n';
  const cases: Record<string, { bytes: string; end: boolean }> = {
    'fewer bytes than declared': { bytes: 'HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhello', end: true },
    'no last chunk': { bytes: chunked, end: true },
    'half a chunk': { bytes: `${chunked}5\r\nhe`, end: true },
    'a malformed chunk size': { bytes: `${chunked}zz\r\nhello`, end: false },
    'a chunk longer than its size': { bytes: `${chunked}5\r\nhello!\r\n0\r\n\r\n`, end: false },
    'a bare LF behind a chunk': { bytes: `${chunked}5\r\nhello\n0\r\n\r\n`, end: false },
    'a malformed trailer': { bytes: `${chunked}0\r\nx y\r\n\r\n`, end: false },
    'too many trailers': { bytes: `${chunked}0\r\n${'x: 1\r\n'.repeat(65)}\r\n`, end: false },
    'a body that stands still': { bytes: `${chunked}5\r\nhe`, end: false },
  };
  await Promise.all(
    Object.entries(cases).map(async ([what, { bytes, end }]) => {
      const { path, to } = answering(bytes, end);
      for (const version of ['1.1', '1.0']) {
        const wire = await openWire(t, proxy.port);
        wire.write(get(path, '', 'GET', version));
        const how = await wire.over();
        const text = wire.text();
        if (text !== '') {
          t.equal(readMessage(text), undefined, `${what}: HTTP/${version} sees no whole answer`);
        }
        const isMarked = /content-length|chunked/.test(text);
        t.ok(isMarked || how === 'reset', `${what}: HTTP/${version} cannot take it for whole`);
      }
      await isDropped(t, to(), what);
    }),
  );
});

t.test('rule 6: bytes behind the declared end belong to nobody', async (t) => {
  const poison = 'HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\npoison';
  const chunked = 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n';
  const cases: Record<string, { bytes: string | string[]; method?: string; status?: number }> = {
    'behind a length': { bytes: OK + poison },
    'behind the last chunk': { bytes: chunked + poison },
    'behind a 204': { bytes: `HTTP/1.1 204 No Content\r\n\r\n${poison}`, status: 204 },
    'a 204 with a length': {
      bytes: `HTTP/1.1 204 No Content\r\ncontent-length: 5\r\n\r\nhello`,
      status: 204,
    },
    'a 304 with a body': {
      bytes: `HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\nhello`,
      status: 304,
    },
    'a HEAD with a body': { bytes: 'HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello', method: 'HEAD' },
    'a chunked HEAD': { bytes: chunked, method: 'HEAD' },
    'on an idle connection': { bytes: [OK, poison] },
    'one byte on an idle connection': { bytes: [OK, '\r'] },
  };
  for (const [what, { bytes, method = 'GET', status = 200 }] of Object.entries(cases)) {
    const { path, to } = answering(bytes);
    const wire = await openWire(t, proxy.port);
    wire.write(get(path, '', method));
    const isBodiless = method === 'HEAD' || status !== 200;
    await wire.until((text) => readMessage(text, { isBodiless }) !== undefined);
    const answer = readMessage(wire.text(), { isBodiless })!;
    t.equal(answer.status, status, what);
    t.equal(answer.body, isBodiless ? '' : 'ok', what);
    if (status !== 200) t.strictSame(answer.all('content-length'), [], `${what}: no length`);
    await eventually(() => to().isOver(), `${what}: the connection to the server is dropped`);
    wire.write(get('/next'));
    await wire.until((text) => readMessage(text.slice(answer.size)) !== undefined);
    const next = readMessage(wire.text().slice(answer.size))!;
    t.equal(next.body, 'ok', `${what}: the next answer on the client's connection`);
    t.equal(wire.text().length, answer.size + next.size, `${what}: and nothing else`);
  }
});

t.test('rule 6: interim answers are bounded, for HTTP/1.1 alone, and 100 is ours', async (t) => {
  const hints = 'HTTP/1.1 103 Early Hints\r\nlink: </a.css>\r\nkeep-alive: x\r\n\r\n';
  const { path } = answering(['HTTP/1.1 100 Continue\r\n\r\n', hints + OK]);
  const wire = await openWire(t, proxy.port);
  wire.write(get(path));
  await wire.until('\r\n\r\nok');
  const first = readMessage(wire.text())!;
  t.equal(first.status, 103);
  t.strictSame(first.all('link'), ['</a.css>']);
  t.strictSame(first.all('keep-alive'), [], 'hop-by-hop fields are dropped there too');
  t.equal(readMessage(wire.text().slice(first.size))?.status, 200);

  const old = await openWire(t, proxy.port);
  old.write(get(path, '', 'GET', '1.0'));
  t.equal(await old.over(), 'closed');
  t.equal(readMessage(old.text())?.status, 200, 'HTTP/1.0 gets no interim answer');

  const many = answering(`${'HTTP/1.1 100 Continue\r\n\r\n'.repeat(100)}${OK}`);
  t.equal((await ask(t, proxy.port, get(many.path))).status, 200, '100 of them pass');
});

t.test('an answer without length is chunked for HTTP/1.1 and ends with the connection for 1.0', async (t) => {
  const bytes: Record<string, { bytes: string; end: boolean }> = {
    'until close': { bytes: 'HTTP/1.0 200 OK\r\n\r\nhello', end: true },
    chunked: {
      bytes: 'HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\n\r\n2;x="y"\r\nhe\r\n03\r\nllo\r\n0\r\n\r\n',
      end: false,
    },
  };
  for (const [what, { bytes: text, end }] of Object.entries(bytes)) {
    const { path } = answering(text, end);
    const answer = await ask(t, proxy.port, get(path));
    t.equal(answer.framing, 'chunked', what);
    t.equal(answer.body, 'hello', what);
    const old = await ask(t, proxy.port, get(path, 'Connection: keep-alive\r\n', 'GET', '1.0'));
    t.equal(old.framing, 'close', `${what}: for HTTP/1.0`);
    t.equal(old.body, 'hello', what);
    t.strictSame(old.all('transfer-encoding'), [], what);
    t.strictSame(old.all('connection'), ['close'], what);
  }
});

t.test('no answer at all is a reset or a timeout, said so', async (t) => {
  const expected: [string, boolean, number, string][] = [
    ['', true, 502, 'upstream_reset'],
    ['HTTP/1.1 200 OK\r\nx: y', true, 502, 'upstream_reset'],
    ['', false, 504, 'response_timeout'],
    ['HTTP/1.1 200 OK\r\nx: y', false, 504, 'response_timeout'],
  ];
  await Promise.all(
    expected.map(async ([bytes, end, status, reason]) => {
      const { path, to } = answering(bytes, end);
      const answer: Message = await ask(t, proxy.port, get(path));
      t.equal(answer.status, status);
      t.match(answer.body, `"reason":"${reason}"`);
      await isDropped(t, to(), reason);
    }),
  );
});

t.test('a server keeps its connection only when it says so on every line', async (t) => {
  const kept = async (fields: string, version = '1.1'): Promise<boolean> => {
    const { path, to } = answering(`HTTP/${version} 200 OK\r\ncontent-length: 2\r\n${fields}\r\nok`);
    await ask(t, proxy.port, get(path));
    await new Promise((resolve) => setTimeout(resolve, 100));
    return !to().isOver();
  };
  t.equal(await kept(''), true);
  t.equal(await kept('connection: close\r\n'), false);
  t.equal(await kept('connection: x, Close\r\n'), false);
  t.equal(await kept('connection: keep-alive\r\nconnection: close\r\n'), false);
  t.equal(await kept('', '1.0'), false);
  t.equal(await kept('connection: keep-alive\r\n', '1.0'), true);
});

t.test('hop-by-hop and nominated fields of an answer stop here', async (t) => {
  const fields = [
    ...['connection: x-hop, keep-alive', 'x-hop: 1', 'keep-alive: timeout=5', 'proxy-authenticate: Basic'],
    ...['proxy-connection: close', 'te: x', 'upgrade: h2c', 'trailer: x', 'x-kept: 1', 'via: 1.0 inner'],
    ...['set-cookie: a=1', 'set-cookie: b=2', 'endpoint-load-metrics: TEXT cpu_utilization=0.3'],
    'endpoint-load-metrics-bin: CTMzMzMzM9M/',
    ...['foreshard-request-id: forged', 'foreshard-route: forged', 'x-latin: caf\xe9 \xff'],
  ];
  const { path } = answering(
    `HTTP/1.1 299 Some Phrase\r\n${fields.join('\r\n')}\r\ncontent-length: 0\r\n\r\n`,
  );
  const answer = await ask(t, proxy.port, get(path));
  t.equal(answer.status, 299);
  t.match(answer.first, /^HTTP\/1\.1 299 /);
  for (const name of ['x-hop', 'keep-alive', 'proxy-authenticate', 'proxy-connection', 'te', 'upgrade']) {
    t.strictSame(answer.all(name), [], name);
  }
  for (const name of [
    'trailer',
    'endpoint-load-metrics',
    'endpoint-load-metrics-bin',
    'foreshard-route',
    'connection',
  ]) {
    t.strictSame(answer.all(name), [], name);
  }
  t.strictSame(answer.all('x-kept'), ['1']);
  t.strictSame(answer.all('set-cookie'), ['a=1', 'b=2'], 'repeated lines stay apart and in order');
  t.strictSame(answer.all('x-latin'), ['caf\xe9 \xff'], 'Latin-1 bytes are the same bytes');
  t.match(answer.all('via').join(', '), /^1\.0 inner, 1\.1 foreshard-/);
  t.match(answer.all('foreshard-request-id'), [/^[0-9a-f]{32}$/]);
});
