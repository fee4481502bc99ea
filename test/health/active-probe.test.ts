import { createServer } from 'node:http';
import { createServer as createTcpServer, type Server } from 'node:net';
import t, { type Test } from 'tap';
import { probeOverHttp } from '../../src/health/active-probe.ts';

async function originOf(t: Test, server: Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve()));
  t.teardown(() => void server.close());
  return `http://127.0.0.1:${(server.address() as { port: number }).port}`;
}

t.test('200 to 299 is a pass; anything else is not, a redirect included', async (t) => {
  let status = 200;
  const seen: string[] = [];
  const server = createServer((request, response) => {
    seen.push(`${request.method} ${request.url} ${request.headers.connection}`);
    response.writeHead(status, { location: '/' }).end('x');
  });
  const target = { origin: await originOf(t, server), path: '/up?x=1', timeoutMs: 2000 };
  for (const [code, passed] of [
    [200, true],
    [204, true],
    [299, true],
    [301, false],
    [404, false],
    [503, false],
  ] as const) {
    status = code;
    t.match(await probeOverHttp(target), { passed, detail: `status ${code}` });
  }
  t.equal(seen[0], 'GET /up?x=1 close', 'a connection of its own each time');
});

t.test('a page that never ends is read to its limit only', async (t) => {
  const server = createServer((_request, response) => {
    const more = (): void =>
      void (response.write(Buffer.alloc(16_384)) ? setImmediate(more) : response.once('drain', more));
    response.on('error', () => {});
    more();
  });
  const origin = await originOf(t, server);
  t.match(await probeOverHttp({ origin, path: '/', timeoutMs: 5000 }), {
    passed: true,
    detail: 'status 200',
  });
});

t.test('no answer, half an answer, no HTTP and no server are failures with a reason', async (t) => {
  const answers: Readonly<Record<string, string>> = {
    half: 'HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nab',
    garbage: 'hello\r\n\r\n',
  };
  for (const [name, bytes] of Object.entries(answers)) {
    const server = createTcpServer((socket) => {
      socket.on('error', () => {});
      socket.once('data', () => socket.end(bytes));
    });
    const result = await probeOverHttp({ origin: await originOf(t, server), path: '/', timeoutMs: 2000 });
    t.equal(result.passed, false, name);
  }
  const silent = createTcpServer((socket) => void socket.on('error', () => {}));
  t.match(await probeOverHttp({ origin: await originOf(t, silent), path: '/', timeoutMs: 60 }), {
    passed: false,
    detail: 'no answer within 60 ms',
  });
  t.match(await probeOverHttp({ origin: 'http://127.0.0.1:1', path: '/', timeoutMs: 1000 }), {
    passed: false,
    detail: 'ECONNREFUSED',
  });
});
