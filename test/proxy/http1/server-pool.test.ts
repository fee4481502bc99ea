import t, { type Test } from 'tap';
import { systemClock } from '../../../src/core/clock.ts';
import { ServerPool } from '../../../src/proxy/http1/server-pool.ts';
import { TimerWheel } from '../../../src/proxy/timer-wheel.ts';
import type { UpstreamHandler } from '../../../src/proxy/upstream.ts';
import { HandClock } from '../../rig/clock.ts';
import { eventually, startWireServer, type WireServer } from '../../rig/wire.ts';

const OPTIONS = { connections: 4, connectTimeout: 1000, responseHeaderBytes: 65_536, trailerFields: 64 };

interface Rig {
  readonly server: WireServer;
  readonly advance: (ms: number) => void;
  /** Resolves when the answer is whole. */
  ask(method: string): Promise<void>;
}

async function rigOf(t: Test): Promise<Rig> {
  const server = await startWireServer(t);
  const clock = new HandClock();
  // The wheel has a clock of its own: only the pool's watching is what the test is about.
  const wheel = new TimerWheel(systemClock);
  const pool = new ServerPool(server.url, OPTIONS, {
    wheel,
    clock,
    fleet: { hastyAt: Number.NEGATIVE_INFINITY },
  });
  t.teardown(() => {
    pool.destroy();
    wheel.close();
  });
  const ask = (method: string): Promise<void> =>
    new Promise((resolve, reject) => {
      const handler: UpstreamHandler = {
        onConnected: () => {},
        onBodyProgress: () => {},
        onSent: () => {},
        onInformed: () => {},
        onHead: () => {},
        onData: () => true,
        onEnd: () => resolve(),
        onUpgraded: () => {},
        onFailed: ({ cause }) => reject(new Error(cause)),
      };
      const head = { method, target: '/', host: 'a', fields: [], acceptsTrailers: false };
      pool.start({ ...head, body: { kind: 'none' } }, handler);
    });
  return { server, advance: (ms) => clock.pass(ms), ask };
}

for (const how of ['end', 'resetAndDestroy'] as const) {
  t.test(`a POST does not go where the server was seen to close by ${how}`, async (t) => {
    const { server, advance, ask } = await rigOf(t);
    await ask('GET');
    await ask('POST');
    t.equal(server.connections.length, 1, 'one connection while nothing is known');
    advance(100);
    server.connections[0]!.socket[how]();
    await eventually(() => server.open() === 0, 'it is closed on both sides');
    await new Promise((resolve) => setTimeout(resolve, 50));

    await ask('GET');
    t.equal(server.connections.length, 2);
    advance(40);
    await ask('POST');
    t.equal(server.connections.length, 2, 'less than half of what was seen: trusted');
    advance(60);
    await ask('POST');
    t.equal(server.connections.length, 3, 'more than half of it: a connection of its own');
    advance(60);
    await ask('GET');
    t.equal(server.connections.length, 3, 'what can be sent twice goes anywhere');
  });
}

t.test('a pool opens no more connections than it may, and serves the rest in turn', async (t) => {
  const { server, ask } = await rigOf(t);
  await Promise.all(Array.from({ length: 20 }, () => ask('GET')));
  t.equal(server.requests.length, 20);
  t.ok(server.connections.length <= OPTIONS.connections, `${server.connections.length} connections`);
});
