import t, { type Test } from 'tap';
import { proxyConfig, startProxy } from '../rig/proxy.ts';
import { ask, type Message, startWireServer, UNWATCHED } from '../rig/wire.ts';

const server = await startWireServer(t);
const config = (parts: object = {}): Record<string, unknown> =>
  proxyConfig({
    health: UNWATCHED,
    regions: [{ id: 'only', servers: [server.url] }],
    routes: [
      { id: 'keyed', match: { path: '/keyed/**' }, key: { from: [{ path: 2 }], onMissing: 'reject' } },
      {
        id: 'hosted',
        match: { host: 'b.example' },
        key: { from: [{ header: 'x-key' }], onMissing: 'reject' },
      },
      { id: 'nothing', match: { path: '/methods', methods: ['REPORT'] } },
      { id: 'all', match: { path: '/all/**' }, key: { from: [{ header: 'x-key' }] } },
    ],
    ...parts,
  });
const proxy = await startProxy(t, config());

/** Puts another configuration in force: a route of its own tells that it has arrived. */
async function reconfigure(parts: object): Promise<void> {
  const marker = `/config/${++configs}`;
  const next = config(parts);
  proxy.writeConfig({
    ...next,
    routes: [{ id: 'marker', match: { path: marker } }, ...(next.routes as object[])],
  });
  const isThere = async (): Promise<boolean> =>
    (await ask(t, proxy.port, `GET ${marker} HTTP/1.1\r\nHost: a\r\n\r\n`)).status === 200;
  for (let i = 0; i < 100 && !(await isThere()); i++) await new Promise((resolve) => setTimeout(resolve, 50));
}

let configs = 0;
let paths = 0;
/** What the server and the client see of a request with these fields. */
async function pass(fields: string, version = '1.1'): Promise<{ got: Message; answer: Message }> {
  const path = `/all/${++paths}`;
  const answer = await ask(
    t,
    proxy.port,
    `GET ${path} HTTP/${version}\r\nHost: a.example:81\r\n${fields}\r\n`,
  );
  const [got] = server.seen(path);
  if (got === undefined) throw new Error(`not forwarded: ${answer.first} ${answer.body}`);
  return { got, answer };
}

function fieldsAre(t: Test, message: Message, expected: Record<string, readonly string[]>): void {
  for (const [name, values] of Object.entries(expected)) t.strictSame(message.all(name), values, name);
}

const FORGED = [
  ...[
    'X-Forwarded-For: 6.6.6.6',
    'X-Forwarded-Proto: https',
    'X-Forwarded-Host: evil',
    'X-Forwarded-Port: 1',
  ],
  ...['X-Forwarded-Server: evil', 'X-Real-IP: 6.6.6.6', 'Forwarded: for=6.6.6.6', 'tracestate: a=b'],
  ...[
    'foreshard-request-id: forged',
    'foreshard-route: region=evil',
    'foreshard-shadow: ?1',
    'Proxy: http://evil',
  ],
  ...['X_Forwarded_For: 6.6.6.6', 'x.forwarded.host: evil', 'FORESHARD_ROUTE: evil', 'Content_Length: 5'],
  ...['Transfer_Encoding: chunked', 'traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'],
].map((line) => `${line}\r\n`);

t.test('a client that nobody trusts says nothing about where a request comes from', async (t) => {
  const { got, answer } = await pass(FORGED.join(''));
  fieldsAre(t, got, {
    'x-forwarded-for': ['127.0.0.1'],
    'x-forwarded-proto': ['http'],
    'x-forwarded-host': ['a.example:81'],
    host: ['a.example:81'],
  });
  for (const name of ['x-forwarded-port', 'x-forwarded-server', 'x-real-ip', 'forwarded', 'tracestate']) {
    t.strictSame(got.all(name), [], name);
  }
  for (const name of [
    'foreshard-shadow',
    'proxy',
    'x_forwarded_for',
    'x.forwarded.host',
    'foreshard_route',
  ]) {
    t.strictSame(got.all(name), [], name);
  }
  fieldsAre(t, got, {
    content_length: [],
    transfer_encoding: [],
    'content-length': [],
    'transfer-encoding': [],
  });
  const [id] = got.all('foreshard-request-id');
  t.match(id, /^[0-9a-f]{32}$/);
  t.strictSame(answer.all('foreshard-request-id'), [id], 'the client can name its request');
  t.match(got.all('traceparent'), [/^00-[0-9a-f]{32}-[0-9a-f]{16}-00$/]);
  t.notMatch(got.all('traceparent'), [/0af7651916cd43dd/]);
  const route = /^region=only, shard=\d+, generation=\d+, attempt=1, path=\(\), priority=normal$/;
  t.match(got.all('foreshard-route'), [route]);
  t.strictSame(answer.all('foreshard-route'), [], 'not for the client');
});

t.test('what is hop-by-hop, or named by any Connection line, stops here', async (t) => {
  const lines = [
    ...['Connection: X-One, keep-alive', 'X-One: 1', 'CONNECTION: x-two,, X-THREE', 'x-two: 2', 'X-Three: 3'],
    ...['Keep-Alive: timeout=5', 'Proxy-Connection: keep-alive', 'Proxy-Authorization: Basic x', 'TE: gzip'],
    ...[
      'Trailer: x',
      'Upgrade: h2c',
      'HTTP2-Settings: AA',
      'X-Kept: 4',
      'Authorization: Bearer y',
      'Cookie: a=b',
    ],
  ].map((line) => `${line}\r\n`);
  const { got } = await pass(lines.join(''));
  for (const name of ['x-one', 'x-two', 'x-three', 'connection', 'keep-alive', 'proxy-connection', 'te']) {
    t.strictSame(got.all(name), [], name);
  }
  for (const name of ['proxy-authorization', 'trailer', 'upgrade', 'http2-settings']) {
    t.strictSame(got.all(name), [], name);
  }
  fieldsAre(t, got, { 'x-kept': ['4'], authorization: ['Bearer y'], cookie: ['a=b'] });
});

t.test('Via tells every hop, and ends a loop through this very instance', async (t) => {
  const { got, answer } = await pass('Via: 1.0 first (x), 1.1 second\r\nVIA: 1.1 third\r\n', '1.0');
  t.match(got.all('via'), [/^1\.0 first \(x\), 1\.1 second, 1\.1 third, 1\.0 foreshard-[\w-]+$/]);
  const [own] = answer.all('via');
  t.match(own, /^1\.1 foreshard-[\w-]+$/);
  const again = await ask(t, proxy.port, `GET /all/loop HTTP/1.1\r\nHost: a\r\nVia: 1.1 x, ${own}\r\n\r\n`);
  t.equal(again.status, 508);
  t.match(again.body, '"reason":"loop_detected"');
  t.match(again.all('proxy-status'), ['foreshard; error=proxy_loop_detected; details="loop_detected"']);
  const similar = await pass(`Via: 1.1 ${own!.slice(4)}-2, 1.1 foreshard\r\n`);
  t.equal(similar.answer.status, 200, 'another instance is no loop');
});

t.test('each local reply says its reason in status, proxy-status and a problem document', async (t) => {
  const cases: [string, number, string, string][] = [
    ['GET /nowhere', 404, 'no_route', 'destination_not_found'],
    ['GET /keyed', 400, 'no_shard_key', 'http_request_error'],
    ['GET /all/#', 400, 'bad_request', 'http_request_error'],
    ['TRACE /all/', 501, 'method_not_supported', 'http_request_denied'],
    [`GET /all/${'x'.repeat(9000)}`, 414, 'target_too_long', 'http_request_error'],
  ];
  for (const [start, status, reason, error] of cases) {
    const answer = await ask(t, proxy.port, `${start} HTTP/1.1\r\nHost: a\r\n\r\n`);
    t.equal(answer.status, status, reason);
    t.strictSame(answer.all('proxy-status'), [`foreshard; error=${error}; details="${reason}"`]);
    t.strictSame(answer.all('content-type'), ['application/problem+json']);
    const problem = JSON.parse(answer.body) as Record<string, unknown>;
    t.equal(problem.status, status);
    t.equal(problem.reason, reason);
    t.equal(problem.requestId, answer.all('foreshard-request-id')[0], 'with the request id');
    t.type(problem.title, 'string');
  }
  const head = await ask(t, proxy.port, 'HEAD /nowhere HTTP/1.1\r\nHost: a\r\n\r\n');
  t.equal(head.status, 404);
  t.equal(head.body, '', 'no body for HEAD, its length all the same');
  t.ok(Number(head.all('content-length')[0]) > 50);
});

t.test('rule 11: what is routed is what is sent: host, path and key', async (t) => {
  const shardOf = (message: Message): string => /shard=(\d+)/.exec(message.all('foreshard-route')[0]!)![1]!;
  const send = async (target: string, fields: string): Promise<Message> => {
    const before = server.requests.length;
    const answer = await ask(t, proxy.port, `GET ${target} HTTP/1.1\r\n${fields}\r\n`);
    t.equal(answer.status, 200, target);
    return server.requests[before]!;
  };
  const A = 'Host: a.example\r\n';
  const plain = await send('/keyed/k1/x', A);
  const encoded = await send('/keyed/%6B1/x', A);
  const absolute = await send('http://A.example/keyed/k1/x', A);
  t.equal(encoded.first, 'GET /keyed/%6B1/x HTTP/1.1', 'the path goes on as it came');
  t.equal(shardOf(encoded), shardOf(plain), 'and means the same key');
  t.equal(absolute.first, plain.first);
  t.equal(shardOf(absolute), shardOf(plain));
  const slash = await send('/keyed/k1%2Fx', A);
  t.not(shardOf(slash), shardOf(plain), 'an encoded slash divides nothing');
  const hosted = await send('/any', 'Host: B.EXAMPLE.:8080\r\nx-key: 1\r\n');
  t.strictSame(hosted.all('host'), ['B.EXAMPLE.:8080']);
  const removed = await ask(
    t,
    proxy.port,
    'GET /any HTTP/1.1\r\nHost: b.example\r\nx-key: 1\r\nConnection: x-key\r\n\r\n',
  );
  t.equal(removed.status, 400, 'a key that Connection removes is no key');
  t.match(removed.body, 'no_shard_key');
});

t.test('a trusted peer is believed, and every answer can tell its route', async (t) => {
  await reconfigure({ trustedProxies: ['127.0.0.0/8'], debugHeaders: true, region: 'only' });
  const { got, answer } = await pass(FORGED.join(''));
  fieldsAre(t, got, {
    'x-forwarded-for': ['6.6.6.6, 127.0.0.1'],
    'x-forwarded-proto': ['https'],
    'x-forwarded-host': ['evil'],
    tracestate: ['a=b'],
    x_forwarded_for: [],
    'foreshard-shadow': [],
  });
  t.match(got.all('traceparent'), [
    /^00-0af7651916cd43dd8448eb211c80319c-(?!b7ad6b7169203331)[0-9a-f]{16}-01$/,
  ]);
  t.match(got.all('foreshard-route'), [/, path=\(\), origin=only, priority=normal$/]);
  t.strictSame(answer.all('foreshard-route'), got.all('foreshard-route'));
  const two = await pass(
    'traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n'.repeat(2),
  );
  t.notMatch(two.got.all('traceparent'), [/0af7651916cd43dd/], 'two trace contexts are none');
});

t.test('rfc7239 and none replace the x- fields', async (t) => {
  await reconfigure({ forwardedHeader: 'rfc7239' });
  const { got } = await pass(FORGED.join(''));
  fieldsAre(t, got, {
    forwarded: ['for=127.0.0.1;host="a.example:81";proto=http'],
    'x-forwarded-for': [],
    'x-forwarded-proto': [],
    'x-forwarded-host': [],
  });
  await reconfigure({ forwardedHeader: 'rfc7239', trustedProxies: ['127.0.0.1'] });
  const trusted = await pass('Forwarded: for=6.6.6.6\r\nForwarded: for="[::1]"\r\n');
  t.strictSame(trusted.got.all('forwarded'), [
    'for=6.6.6.6, for="[::1]", for=127.0.0.1;host="a.example:81";proto=http',
  ]);
  await reconfigure({ forwardedHeader: 'none' });
  const none = await pass(FORGED.join(''));
  fieldsAre(t, none.got, { forwarded: [], 'x-forwarded-for': [], 'x-forwarded-host': [] });
  t.match(none.got.all('via'), [/^1\.1 foreshard-/], 'Via is no matter of choice');
});
