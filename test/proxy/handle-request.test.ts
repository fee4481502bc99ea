import { randomBytes } from 'node:crypto';
import t from 'tap';
import { proxyConfig, startProxy } from '../rig/proxy.ts';
import { ask, type Message, openWire, startWireServer, UNWATCHED } from '../rig/wire.ts';

const server = await startWireServer(t);
const proxy = await startProxy(
  t,
  proxyConfig({
    health: UNWATCHED,
    log: { level: 'info', access: 'all' },
    regions: [{ id: 'only', servers: [server.url] }],
    routes: [
      {
        id: 'json',
        match: { path: '/json/**' },
        key: { from: [{ json: '/user/id' }], onMissing: 'reject', maxBody: '1KiB' },
        timeouts: { idle: '500ms' },
      },
      { id: 'header', match: { path: '/header' }, key: { from: [{ header: 'x-key' }] } },
    ],
  }),
);

const shardOf = (message: Message): string => /shard=(\d+)/.exec(message.all('foreshard-route')[0]!)![1]!;
const chunked = (text: string, size: number): string => {
  let chunks = '';
  for (let at = 0; at < text.length; at += size) {
    const piece = text.slice(at, at + size);
    chunks += `${piece.length.toString(16)}\r\n${piece}\r\n`;
  }
  return `${chunks}0\r\n\r\n`;
};
const head = (fields: string): string => `POST /json/x HTTP/1.1\r\nHost: a\r\n${fields}\r\n`;

t.test('a key in the body is found, and the body reaches the server whole', async (t) => {
  await ask(t, proxy.port, 'GET /header HTTP/1.1\r\nHost: a\r\nx-key: k42\r\n\r\n');
  const shard = shardOf(server.seen('/header')[0]!);
  const short = '{"user":{"id":"k42"}}';
  const noise = randomBytes(150_000).toString('base64');
  const long = `{"user":{"id":"k42"},"noise":"${noise}"}`;
  const cases: Record<string, [string, string, string]> = {
    'with a length': [`Content-Length: ${short.length}\r\n`, short, short],
    'in chunks of one byte': ['Transfer-Encoding: chunked\r\n', chunked(short, 1), short],
    'before much more, with a length': [`Content-Length: ${long.length}\r\n`, long, long],
    'before much more, in chunks': ['Transfer-Encoding: chunked\r\n', chunked(long, 5000), long],
    'when the client waits for leave': [
      `Content-Length: ${short.length}\r\nExpect: 100-continue\r\n`,
      short,
      short,
    ],
  };
  for (const [what, [fields, bytes, body]] of Object.entries(cases)) {
    const before = server.seen('/json/x').length;
    const answer = await ask(t, proxy.port, head(fields) + bytes);
    t.equal(answer.status, 200, what);
    const got = server.seen('/json/x')[before]!;
    t.ok(got.body === body, `${what}: the body`);
    t.equal(shardOf(got), shard, `${what}: the key means the same as in a header`);
  }
});

t.test('a body that comes in pieces is read as far as the key needs, from wherever it is cut', async (t) => {
  const body = '{"user":{"name":"x","id":"k42"},"rest":1}';
  const before = server.seen('/json/x').length;
  const cuts = Array.from({ length: body.length - 1 }, (_, i) => i + 1);
  await Promise.all(
    cuts.map(async (cut) => {
      const wire = await openWire(t, proxy.port);
      wire.write(head(`Content-Length: ${body.length}\r\n`) + body.slice(0, cut));
      await new Promise((resolve) => setTimeout(resolve, 30));
      wire.write(body.slice(cut));
      await wire.until('\r\n\r\nok');
      wire.cut();
    }),
  );
  const seen = server.seen('/json/x').slice(before);
  t.equal(seen.length, cuts.length);
  t.ok(seen.every((got) => got.body === body));
  t.equal(new Set(seen.map(shardOf)).size, 1);
});

t.test('a key that is not there, too far in or not readable is missing; a stalled body is cut', async (t) => {
  const pad = ' '.repeat(2000);
  const cases: Record<string, [string, string]> = {
    'no body': ['', ''],
    'another object': ['Content-Length: 7\r\n', '{"a":1}'],
    'no JSON': ['Content-Length: 5\r\n', 'hello'],
    'a key behind key.maxBody': [
      'Transfer-Encoding: chunked\r\n',
      chunked(`${pad}{"user":{"id":"k42"}}`, 500),
    ],
    'a compressed body': ['Content-Encoding: gzip\r\nContent-Length: 21\r\n', '{"user":{"id":"k42"}}'],
  };
  for (const [what, [fields, bytes]] of Object.entries(cases)) {
    const answer = await ask(t, proxy.port, head(fields) + bytes);
    t.equal(answer.status, 400, what);
    t.match(answer.body, '"reason":"no_shard_key"', what);
  }
  const stalled = await ask(t, proxy.port, `${head('Content-Length: 30\r\n')}{"user":`);
  t.equal(stalled.status, 408);
  t.match(stalled.body, '"reason":"body_timeout"');
});

t.test('what is logged of a request names reason and route, never a key or a query', async (t) => {
  const secret = 'sEcReT-42';
  const answer = await ask(
    t,
    proxy.port,
    `GET /header?token=${secret} HTTP/1.1\r\nHost: a\r\nx-key: ${secret}\r\nCookie: c=${secret}\r\n\r\n`,
  );
  const [id] = answer.all('foreshard-request-id');
  const line = await proxy.waitForLog((one) => JSON.stringify(one).includes(id!));
  t.match(line, { route: 'header', status: 200 });
  t.notMatch(JSON.stringify(proxy.log), secret);
});
