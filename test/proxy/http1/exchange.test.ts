import t, { type Test } from 'tap';
import { systemClock } from '../../../src/core/clock.ts';
import type { Downstream } from '../../../src/proxy/downstream.ts';
import type { ConnectionOptions } from '../../../src/proxy/http1/client-connection.ts';
import { Listener } from '../../../src/proxy/listener.ts';
import { TimerWheel } from '../../../src/proxy/timer-wheel.ts';
import { openWire } from '../../rig/wire.ts';

const LIMITS = { headerBytes: 16_384, trailerFields: 64, headerTimeout: 60_000, keepAlive: 60_000 };

/** A listener alone, without a walk behind it: the test is the walk. */
async function listen(
  t: Test,
  onRequest: (exchange: Downstream) => void,
  limits: Partial<ConnectionOptions> = {},
): Promise<number> {
  const wheel = new TimerWheel(systemClock);
  const listener = new Listener({
    wheel,
    clock: systemClock,
    callbacks: {
      limits: () => ({ ...LIMITS, ...limits }),
      onRequest,
      onRefused: () => {},
      onConnection: () => true,
      onDisconnect: () => {},
      onAcceptError: (error) => t.error(error),
    },
  });
  const address = await listener.listen({ host: '127.0.0.1', port: 0, reusePort: false });
  t.teardown(() => {
    listener.destroy();
    wheel.close();
  });
  return (address as { port: number }).port;
}

const NO_BODY = { contentLength: undefined, isChunked: false, expectsContinue: false };

function answer(exchange: Downstream): void {
  exchange.sendHead(204, [], 'none', true);
  exchange.finish();
}

t.test('bytes that a reader holds are not overwritten, pipelined uploads included', async (t) => {
  // The head of a pipelined upload is read together with the request before it, so the first read of its
  // body goes to memory that all connections share.
  const held = Promise.withResolvers<Uint8Array>();
  let first: Downstream | undefined;
  const port = await listen(t, (exchange) => {
    if (exchange.head.method !== 'PUT') {
      exchange.frame(NO_BODY);
      if (exchange.head.target === '/first') first = exchange;
      else answer(exchange);
      return;
    }
    exchange.frame({ ...NO_BODY, contentLength: 10_000 });
    exchange.body!.stream({
      data: (chunk) => {
        held.resolve(chunk);
        return false;
      },
      end: () => {},
      failed: () => {},
    });
  });
  const wire = await openWire(t, port);
  wire.write('GET /first HTTP/1.1\r\nHost: a\r\n\r\nPUT /second HTTP/1.1\r\nHost: a\r\n\r\n');
  while (first === undefined) await new Promise((resolve) => setImmediate(resolve));
  answer(first);
  await wire.until(' 204 ');
  wire.write('a'.repeat(9000));
  const chunk = await held.promise;
  const other = await openWire(t, port);
  other.write(`GET /other HTTP/1.1\r\nHost: a\r\nX: ${'x'.repeat(12_000)}\r\n\r\n`);
  await other.until(' 204 ');
  t.match(Buffer.from(chunk).toString('latin1'), /^a+$/);
});

t.test('an answer that the client has not taken yet is not cut short behind its end', async (t) => {
  let written = 0;
  const port = await listen(t, (exchange) => {
    exchange.frame(NO_BODY);
    exchange.sendHead(200, [], 'chunked', false);
    const piece = Buffer.alloc(65_536, 'b');
    // More than the kernel takes, and the end right behind it.
    for (let goesOn = true; goesOn; written += piece.length) goesOn = exchange.write(piece);
    exchange.finish();
  });
  const wire = await openWire(t, port);
  wire.socket.pause();
  // To HTTP/1.0 an early end of the connection would look like a whole answer.
  wire.write('GET / HTTP/1.0\r\nHost: a\r\n\r\n');
  // Longer than a connection lingers once all is said.
  await new Promise((resolve) => setTimeout(resolve, 1600));
  wire.socket.resume();
  await wire.over();
  t.equal(wire.text().slice(wire.text().indexOf('\r\n\r\n') + 4).length, written);
});

t.test('a client that never takes the end of its answer does not stay for ever', async (t) => {
  const port = await listen(
    t,
    (exchange) => {
      exchange.frame(NO_BODY);
      const answer = Buffer.alloc(32 * 1024 * 1024, 'c');
      exchange.sendHead(200, [], answer.length, exchange.head.target === '/keep');
      exchange.finishWith(answer);
    },
    { keepAlive: 300 },
  );
  for (const target of ['/keep', '/close']) {
    const wire = await openWire(t, port);
    wire.socket.pause();
    wire.write(`GET ${target} HTTP/1.1\r\nHost: a\r\n\r\n`);
    await new Promise((resolve) => setTimeout(resolve, 900));
    wire.socket.resume();
    t.equal(await wire.over(), 'reset', target);
  }
});
