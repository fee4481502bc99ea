import t, { type Test } from 'tap';
import { proxyConfig, type RunningProxy, startProxy } from '../../rig/proxy.ts';
import { ask, openWire, readMessage, startWireServer, UNWATCHED, type Wire } from '../../rig/wire.ts';

const server = await startWireServer(t);
const proxy = await startProxy(
  t,
  proxyConfig({
    health: UNWATCHED,
    regions: [{ id: 'only', servers: [server.url] }],
    limits: { headerTimeout: '1s', keepAlive: '1500ms' },
    routes: [{ id: 'all', timeouts: { idle: '700ms' } }],
  }),
);

const HOST = 'Host: a.example\r\n';
const get = (target: string, fields = ''): string => `GET ${target} HTTP/1.1\r\n${HOST}${fields}\r\n`;
const post = (fields: string, body = ''): string => `POST /p HTTP/1.1\r\n${HOST}${fields}\r\n${body}`;
const AFTERMATH = get('/smuggled');

/** One answer, closed behind it, and nothing of the request or of what followed reached the server. */
async function refused(t: Test, what: string, bytes: string, status = 400): Promise<void> {
  const before = server.requests.length + server.violations.length;
  const wire = await openWire(t, proxy.port);
  wire.write(bytes + AFTERMATH);
  const end = await wire.over();
  const answer = readMessage(wire.text());
  t.equal(answer?.status, status, `${what}: ${status}`);
  t.equal(end, 'closed', `${what}: closed in order`);
  t.strictSame(answer?.all('connection'), ['close'], `${what}: says so`);
  t.equal(answer?.size, wire.text().length, `${what}: one answer`);
  const problem = JSON.parse(answer?.body ?? '{}') as { status?: number; reason?: string };
  t.equal(problem.status, status, `${what}: a problem document`);
  t.strictSame(answer?.all('content-type'), ['application/problem+json'], what);
  const details = /^foreshard; error=[a-z_]+; details="([a-z_]+)"$/.exec(
    answer?.all('proxy-status')[0] ?? '',
  );
  t.equal(details?.[1], problem.reason, `${what}: proxy-status has the reason ${problem.reason}`);
  t.equal(server.requests.length + server.violations.length, before, `${what}: nothing reached the server`);
}

t.test('rule 2: a request whose framing is unclear is refused whole', async (t) => {
  const cases: Record<string, string> = {
    'CL and TE': post('Content-Length: 5\r\nTransfer-Encoding: chunked\r\n', '0\r\n\r\n'),
    'TE and CL': post('Transfer-Encoding: chunked\r\nContent-Length: 5\r\n', '0\r\n\r\n'),
    'two lengths that differ': post('Content-Length: 5\r\nContent-Length: 6\r\n', 'hello'),
    'two equal lengths': post('Content-Length: 5\r\nContent-Length: 5\r\n', 'hello'),
    'a list of lengths': post('Content-Length: 5, 5\r\n', 'hello'),
    'an empty length': post('Content-Length:\r\n'),
    'a signed length': post('Content-Length: +5\r\n', 'hello'),
    'a negative length': post('Content-Length: -1\r\n'),
    'a hexadecimal length': post('Content-Length: 0x5\r\n', 'hello'),
    'a fraction': post('Content-Length: 5.0\r\n', 'hello'),
    'a length above 2^53-1': post('Content-Length: 9007199254740992\r\n'),
    'a length of 20 digits': post('Content-Length: 18446744073709551621\r\n', 'hello'),
    'Transfer-Encoding gzip': post('Transfer-Encoding: gzip\r\n', '0\r\n\r\n'),
    'gzip, chunked': post('Transfer-Encoding: gzip, chunked\r\n', '0\r\n\r\n'),
    'chunked, identity': post('Transfer-Encoding: chunked, identity\r\n', '0\r\n\r\n'),
    'chunked twice': post('Transfer-Encoding: chunked, chunked\r\n', '0\r\n\r\n'),
    'chunked on two lines': post('Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n', '0\r\n\r\n'),
    xchunked: post('Transfer-Encoding: xchunked\r\n', '0\r\n\r\n'),
    'quoted chunked': post('Transfer-Encoding: "chunked"\r\n', '0\r\n\r\n'),
    'an empty Transfer-Encoding': post('Transfer-Encoding:\r\n', '0\r\n\r\n'),
    'Transfer-Encoding behind a vertical tab': post('Transfer-Encoding: \x0bchunked\r\n', '0\r\n\r\n'),
    'HTTP/1.0 with Transfer-Encoding': `POST /p HTTP/1.0\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
  };
  for (const [what, bytes] of Object.entries(cases)) await refused(t, what, bytes);
});

t.test('rule 2: a head that is not in the strict form is refused', async (t) => {
  const line = (fields: string): string => `GET / HTTP/1.1\r\n${HOST}${fields}\r\n\r\n`;
  const cases: Record<string, string> = {
    'bare LF line ends': 'GET / HTTP/1.1\nHost: a.example\n\n',
    'one bare LF': `GET / HTTP/1.1\r\n${HOST}X: 1\nY: 2\r\n\r\n`,
    'a bare CR in a value': line('X: 1\rY: 2'),
    'NUL in a value': line('X: a\0b'),
    'a control character in a value': line('X: a\x01b'),
    'DEL in a value': line('X: a\x7fb'),
    'no colon': line('X 1'),
    'a space before the colon': line('X : 1'),
    'a tab before the colon': line('Content-Length\t: 5'),
    'a folded line': line('X: 1\r\n 2'),
    'a first field that is folded': 'GET / HTTP/1.1\r\n Host: a.example\r\n\r\n',
    'an empty name': line(': 1'),
    'a name with a space': line('X Y: 1'),
    'a name with Latin-1': line('X\xe4: 1'),
    'a name with NUL': line('X\0: 1'),
    'no Host': 'GET / HTTP/1.1\r\n\r\n',
    'two Hosts': line('Host: b.example'),
    'two equal Hosts': line('Host: a.example'),
    'an empty Host': 'GET / HTTP/1.1\r\nHost:\r\n\r\n',
    'Host with a path': 'GET / HTTP/1.1\r\nHost: a.example/x\r\n\r\n',
    'Host with user information': 'GET / HTTP/1.1\r\nHost: u@a.example\r\n\r\n',
    'Host with a space': 'GET / HTTP/1.1\r\nHost: a b\r\n\r\n',
    'Host with a named port': 'GET / HTTP/1.1\r\nHost: a:http\r\n\r\n',
    'Host with a port above 65535': 'GET / HTTP/1.1\r\nHost: a:65536\r\n\r\n',
    'Host with half an escape': 'GET / HTTP/1.1\r\nHost: a%2\r\n\r\n',
    'Host with an unclosed bracket': 'GET / HTTP/1.1\r\nHost: [::1\r\n\r\n',
    'Host with brackets around no address': 'GET / HTTP/1.1\r\nHost: [1:2]\r\n\r\n',
    'a fragment in the target': get('/a#b'),
    'a control character in the target': get('/a\x01'),
    'Latin-1 in the target': get('/\xe4'),
    'a space in the target': get('/a b'),
    'a tab in the request line': `GET\t/ HTTP/1.1\r\n${HOST}\r\n`,
    'two spaces in the request line': `GET  / HTTP/1.1\r\n${HOST}\r\n`,
    'a space behind the version': `GET / HTTP/1.1 \r\n${HOST}\r\n`,
    'a relative target': get('a'),
    'user information in the target': get('http://u@a.example/'),
    'a target that names another host': get('http://b.example/'),
    'a target with another port than Host': get('http://a.example:81/'),
    'another scheme': get('ftp://a.example/'),
    'an asterisk for GET': get('*'),
    'a dot segment': get('/a/../b'),
    'an encoded dot segment': get('/a/%2E%2e/b'),
    'a method that is no token': `G@T / HTTP/1.1\r\n${HOST}\r\n`,
    'HTTP/0.9': 'GET /\r\n\r\n',
    'HTTP/2.0': `GET / HTTP/2.0\r\n${HOST}\r\n`,
    'http/1.1 in small letters': `GET / http/1.1\r\n${HOST}\r\n`,
    'HTTP/1.10': `GET / HTTP/1.10\r\n${HOST}\r\n`,
    'the preface of HTTP/2': 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
  };
  for (const [what, bytes] of Object.entries(cases)) await refused(t, what, bytes);
  await refused(t, 'CONNECT', `CONNECT a.example:443 HTTP/1.1\r\n${HOST}\r\n`, 501);
  await refused(t, 'TRACE', `TRACE / HTTP/1.1\r\n${HOST}\r\n`, 501);
});

t.test('rule 4: Connection may not remove what frames, addresses or identifies a request', async (t) => {
  const names = ['Host', 'content-length', 'Transfer-Encoding', 'VIA', 'X-Forwarded-For', 'forwarded'];
  for (const name of [...names, 'traceparent', 'foreshard-request-id', 'Authorization', 'Cookie']) {
    await refused(t, `Connection: ${name}`, get('/', `Connection: keep-alive, ${name}\r\n`));
  }
  await refused(t, 'on the second line', get('/', 'Connection: keep-alive\r\nConnection: X, Host\r\n'));
});

t.test('rule 2: a malformed chunk ends the request and its connection, without a second one', async (t) => {
  const cases: Record<string, string> = {
    'no digits': '\r\n',
    'not hexadecimal': '5g\r\nhello\r\n0\r\n\r\n',
    'a sign': '+5\r\nhello\r\n0\r\n\r\n',
    'a 0x': '0x5\r\nhello\r\n0\r\n\r\n',
    'a space behind the size': '5 \r\nhello\r\n0\r\n\r\n',
    'a bare LF behind the size': '5\nhello\r\n0\r\n\r\n',
    'a bare LF in an extension': '5;a\nhello\r\n0\r\n\r\n',
    'a bare CR in an extension': '5;a\rb\r\nhello\r\n0\r\n\r\n',
    'NUL in an extension': '5;a=\0\r\nhello\r\n0\r\n\r\n',
    'an extension without a name': '5;\r\nhello\r\n0\r\n\r\n',
    'an extension that is no token': '5;a=(\r\nhello\r\n0\r\n\r\n',
    'longer than its size': '5\r\nhello!\r\n0\r\n\r\n',
    'an LF for the CRLF behind the data': '5\r\nhello\n0\r\n\r\n',
    'a size of 17 digits': '10000000000000005\r\nhello\r\n0\r\n\r\n',
    'a size above 2^53-1': '20000000000000\r\nhello\r\n0\r\n\r\n',
    'a folded trailer': '0\r\nX: 1\r\n 2\r\n\r\n',
    'a trailer with a bare LF': '0\r\nX: 1\n\r\n',
    'a trailer without colon': '0\r\nX\r\n\r\n',
    'more than 64 trailer fields': `0\r\n${'x: 1\r\n'.repeat(65)}\r\n`,
    'more than 16 KiB of extensions': `5;${'e'.repeat(16_385)}\r\nhello\r\n0\r\n\r\n`,
    'more than 16 KiB of extensions in all': `${`1;${'e'.repeat(199)}\r\nx\r\n`.repeat(83)}0\r\n\r\n`,
  };
  for (const [what, chunks] of Object.entries(cases)) {
    await refused(t, what, post('Transfer-Encoding: chunked\r\n', chunks));
  }
});

t.test('rule 10: limits of the head, at and above them', async (t) => {
  const path = '/limits';
  const ofSize = (size: number): string => {
    const bare = get(path, 'X: \r\n');
    return get(path, `X: ${'x'.repeat(size - (bare.length - 4))}\r\n`);
  };
  t.equal(ofSize(16_384).length, 16_384 + 4);
  t.equal((await ask(t, proxy.port, ofSize(16_384))).status, 200, 'a block of exactly 16 KiB');
  await refused(t, 'one byte more', ofSize(16_385), 431);
  await refused(t, 'no end in sight', `GET / HTTP/1.1\r\nX: ${'x'.repeat(17_000)}`, 431);

  const fields = (count: number): string => get(path, 'x: 1\r\n'.repeat(count - 1));
  t.equal((await ask(t, proxy.port, fields(100))).status, 200, '100 fields');
  await refused(t, '101 fields', fields(101), 431);

  const target = (size: number): string => get(`${path}?${'q'.repeat(size - path.length - 1)}`);
  t.equal((await ask(t, proxy.port, target(8192))).status, 200, 'a target of 8 KiB');
  await refused(t, 'a target of one byte more', target(8193), 414);

  const chunks = `5;${'e'.repeat(16_000)}\r\nhello\r\n0\r\n${'x: 1\r\n'.repeat(64)}\r\n`;
  const body = await ask(t, proxy.port, post('Transfer-Encoding: chunked\r\n', chunks));
  t.equal(body.status, 200, 'extensions and trailers at their limit');
});

t.test('a head is the same however its bytes are cut', async (t) => {
  const bytes = `\r\n\r\nPOST /cut HTTP/1.1\r\n${HOST}Content-Length: 5\r\n\r\nhello`;
  const cuts = Array.from({ length: bytes.length - 1 }, (_, i) => i + 1);
  const before = server.seen('/cut').length;
  await Promise.all(
    cuts.map(async (cut) => {
      const wire = await openWire(t, proxy.port);
      wire.write(bytes.slice(0, cut));
      await new Promise((resolve) => setTimeout(resolve, 20));
      wire.write(bytes.slice(cut));
      await wire.until('\r\n\r\nok');
      wire.cut();
    }),
  );
  const seen = server.seen('/cut').slice(before);
  t.equal(seen.length, cuts.length);
  t.ok(seen.every((request) => request.body === 'hello' && request.framing === 'length'));
  const wire = await openWire(t, proxy.port);
  const head = `GET /cut HTTP/1.1\r\n${HOST}X: `.padEnd(16_384, 'x');
  wire.write(`${head}\r\n\r`);
  await new Promise((resolve) => setTimeout(resolve, 50));
  wire.write('\n');
  t.equal(readMessage(await wire.until('ok'))?.status, 200, 'a full head cut before its last byte');
});

t.test('pipelined requests are answered in order, each once, bodies and all', async (t) => {
  server.on('/slow', (_, wire) => {
    setTimeout(() => wire.write('HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nslow'), 50);
  });
  server.on('/echo', (request, wire) => {
    wire.write(`HTTP/1.1 200 OK\r\ncontent-length: ${request.body.length}\r\n\r\n${request.body}`);
  });
  const wire = await openWire(t, proxy.port);
  const parts = [
    get('/slow'),
    `POST /echo HTTP/1.1\r\n${HOST}Content-Length: 5\r\n\r\nfirst`,
    `HEAD /echo HTTP/1.1\r\n${HOST}\r\n`,
    `POST /echo HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n6\r\nsecond\r\n0\r\n\r\n`,
    get('/slow', 'Connection: close\r\n'),
    get('/never'),
  ];
  wire.write(parts.join(''));
  t.equal(await wire.over(), 'closed');
  let rest = wire.text();
  const bodies: string[] = [];
  for (const [i] of parts.slice(0, 5).entries()) {
    const answer = readMessage(rest, { isBodiless: i === 2 });
    bodies.push(answer?.body ?? 'none');
    rest = rest.slice(answer?.size);
  }
  t.strictSame(bodies, ['slow', 'first', '', 'second', 'slow']);
  t.equal(rest, '');
  t.equal(server.seen('/never').length, 0, 'nothing behind Connection: close is served');
});

t.test('many pipelined requests are served, and not all of them are read at once', async (t) => {
  const wire = await openWire(t, proxy.port);
  const count = 2000;
  server.on('/last', (_, to) => to.write('HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nlast'));
  wire.write(get('/many').repeat(count) + get('/last'));
  await wire.until((text) => text.endsWith('last'), 15_000);
  t.equal(server.seen('/many').length, count);
});

t.test('keep-alive is what client and version say, on whichever line they say it', async (t) => {
  const stays = async (bytes: string): Promise<boolean> => {
    const wire = await openWire(t, proxy.port);
    wire.write(bytes);
    await wire.until('ok');
    wire.write(get('/again'));
    await wire.until((text) => wire.isOver() || text.split('ok').length === 3);
    return !wire.isOver();
  };
  t.equal(await stays(get('/k')), true, 'HTTP/1.1');
  t.equal(await stays(get('/k', 'Connection: close\r\n')), false, 'close');
  t.equal(await stays(get('/k', 'Connection: x, CLOSE\r\n')), false, 'close in a list');
  t.equal(await stays(get('/k', 'Connection: keep-alive\r\nConnection: close\r\n')), false, 'second line');
  t.equal(await stays(`GET /k HTTP/1.0\r\n${HOST}\r\n`), false, 'HTTP/1.0');
  t.equal(await stays(`GET /k HTTP/1.0\r\n${HOST}Connection: keep-alive\r\n\r\n`), true, 'HTTP/1.0 asking');
});

t.test('rule 10: who is slow is cut: heads, bodies, idle connections, rests of bodies', async (t) => {
  // The same on a proxy whose clients have ten minutes for everything: nobody is cut there.
  const patient = await startProxy(
    t,
    proxyConfig({
      health: UNWATCHED,
      regions: [{ id: 'only', servers: [server.url] }],
      limits: { headerTimeout: '10m', keepAlive: '10m' },
      routes: [{ id: 'all', timeouts: { idle: '10m' } }],
    }),
  );
  const kept: Wire[] = [];
  const cut = async (bytes: string, trickle = ''): Promise<{ text: string }> => {
    const slow = await openWire(t, patient.port);
    slow.write(bytes);
    kept.push(slow);
    const wire = await openWire(t, proxy.port);
    wire.write(bytes);
    const timer = setInterval(() => trickle !== '' && !wire.isOver() && wire.write(trickle), 100);
    await wire.over().finally(() => clearInterval(timer));
    return { text: wire.text() };
  };
  const [silent, head, trickled, body, chunks, idle, rest] = await Promise.all([
    cut(''),
    cut('GET / HTTP/1.1\r\nHost: a'),
    cut('GET / HTTP/1.1\r\nHost: a', 'a'),
    cut(post('Content-Length: 10\r\n', 'hello')),
    cut(post('Transfer-Encoding: chunked\r\n', '5\r\nhel')),
    cut(get('/idle')),
    cut(
      `POST * HTTP/1.1\r\n${HOST}\r\n`
        .replace('POST', 'OPTIONS')
        .replace('\r\n\r\n', '\r\nContent-Length: 9\r\n\r\n'),
    ),
  ]);
  t.equal(silent.text, '', 'nothing is said to who says nothing');
  t.equal(readMessage(head.text)?.status, 408, 'half a head');
  t.match(readMessage(head.text)?.body, /header_timeout/);
  t.equal(readMessage(trickled.text)?.status, 408, 'a head that trickles');
  t.equal(readMessage(body.text)?.status, 408, 'half a body');
  t.match(readMessage(body.text)?.body, /body_timeout/);
  t.equal(readMessage(chunks.text)?.status, 408, 'half a chunk');
  t.equal(readMessage(idle.text)?.size, idle.text.length, 'an idle connection ends in silence');
  t.equal(readMessage(rest.text, { isBodiless: true })?.status, 204, 'a body that nobody needs');
  for (const slow of kept) t.equal(slow.isOver(), false, 'and not where there is more time');
});

t.test('one connection too many is told so', async (t) => {
  const small: RunningProxy = await startProxy(
    t,
    proxyConfig({
      health: UNWATCHED,
      regions: [{ id: 'only', servers: [server.url] }],
      limits: { connections: 2 },
    }),
  );
  const first = await openWire(t, small.port);
  const second = await openWire(t, small.port);
  first.write(get('/c'));
  second.write(get('/c'));
  await Promise.all([first.until('ok'), second.until('ok')]);
  const third = await ask(t, small.port, get('/c'));
  t.equal(third.status, 503);
  t.match(third.body, /shed/);
  first.cut();
  for (let status = 0; status !== 200; ) status = (await ask(t, small.port, get('/c'))).status;
  t.pass('a place that became free is given again');
});
