// What clients and the machine do to a proxy: clients go away at any moment, send their heads slowly, use up
// the file descriptors; the wall clock jumps. Figures F9, F16, F21 and F22 of http-rules.md.

import { writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { metricOf, serversOf } from '../rig/control.ts';
import { startFleet } from '../rig/fleet.ts';
import { cpuMs, openDescriptors } from '../rig/process-facts.ts';
import { proxyConfig, type RunningProxy, startProxy } from '../rig/proxy.ts';
import { sendRaw } from '../rig/raw.ts';
import { pause, Traffic, until } from '../rig/traffic.ts';

const fleet = await startFleet(t, { regions: ['eu', 'us'], servers: 1 });

/** Nothing counts as under way or open any more. */
async function isQuiet({ controlUrl }: RunningProxy): Promise<boolean> {
  const counts = await Promise.all([
    metricOf(controlUrl, 'foreshard_requests_in_flight'),
    metricOf(controlUrl, 'foreshard_connections'),
  ]);
  return (
    counts.every((count) => count === 0) &&
    (await serversOf(controlUrl)).every(({ inFlight }) => inFlight === 0)
  );
}

const REQUESTS = [
  'GET /items/aborted HTTP/1.1\r\nhost: x\r\n\r\n',
  'GET /items/aborted HTTP/1.1\r\nhost: x\r\n',
  'POST /items/aborted HTTP/1.1\r\nhost: x\r\ncontent-length: 100000\r\n\r\nhalf of it',
  'POST /items/aborted HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n',
  'GET /socket HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\nconnection: upgrade\r\n' +
    'sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\nearly bytes',
];

/** Connects, sends, and goes away after `ms`, with a reset or an end. */
function abort(port: number, bytes: string, ms: number, isReset: boolean): Promise<void> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.write(bytes);
      setTimeout(() => (isReset ? socket.resetAndDestroy() : socket.destroy()), ms);
    });
    socket.on('error', () => {});
    socket.on('close', () => resolve());
    socket.resume();
  });
}

// 1,000 aborts instead of 10,000.
t.test('F16: clients go away at random points, and nothing of them stays', async (t) => {
  await fleet.reset();
  await Promise.all(fleet.servers.map((server) => server.behave({ answerMs: 10 })));
  const proxy = await startProxy(t, proxyConfig({ regions: fleet.regions }));
  await new Traffic({ port: proxy.port, requests: 50 }).stop();
  await until(() => isQuiet(proxy), 10_000, 'the first traffic is gone');
  // Idle connections to servers live for 4 s.
  await pause(4500);
  const before = openDescriptors(proxy.child.pid!);
  for (let round = 0; round < 20; round++) {
    const aborts = Array.from({ length: 50 }, (_, i) =>
      abort(proxy.port, REQUESTS[i % REQUESTS.length]!, Math.random() * 25, i % 2 === 0),
    );
    await Promise.all(aborts);
  }
  await until(() => isQuiet(proxy), 10_000, 'no request, connection or attempt is left');
  await until(() => openDescriptors(proxy.child.pid!) <= before + 2, 10_000, 'no descriptor is left');
  const ledger = await new Traffic({ port: proxy.port, requests: 100 }).stop();
  t.same(ledger.lost(), [], 'and it serves as before');
  t.notOk(proxy.log.some(({ level }) => level === 'error'));
  t.equal(proxy.errors(), '');
});

interface SlowClient {
  readonly received: () => string;
  readonly isOpen: () => boolean;
  close(): void;
}

function openSlowly(t: Test, port: number): SlowClient {
  let text = '';
  let isOpen = true;
  const socket: Socket = connect(port, '127.0.0.1', () => socket.write('GET /items/slow HTTP/1.1\r\nx'));
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1');
  });
  socket.on('error', () => {});
  socket.on('close', () => {
    isOpen = false;
  });
  t.teardown(() => socket.destroy());
  return { received: () => text, isOpen: () => isOpen, close: () => void socket.destroy() };
}

// 300 slow connections instead of 10,000, cut after 2 s instead of 60.
t.test('F9: slow heads are cut at their time and keep nobody else waiting', async (t) => {
  await fleet.reset();
  const folder = t.testdir({ quick: {}, patient: {} });
  const start = (name: string, headerTimeout: string): Promise<RunningProxy> =>
    startProxy(t, proxyConfig({ regions: fleet.regions, limits: { headerTimeout } }), {
      folder: join(folder, name),
    });
  const proxy = await start('quick', '2s');
  // One that has all the time of the world: that the others are cut for their slowness is seen beside it.
  const patient = await start('patient', '10m');
  const kept = openSlowly(t, patient.port);
  const slow = Array.from({ length: 300 }, () => openSlowly(t, proxy.port));
  const traffic = new Traffic({ port: proxy.port });
  await until(() => slow.every(({ isOpen }) => !isOpen()), 20_000, 'all slow ones are cut');
  t.ok(kept.isOpen(), 'who has more time is not cut');
  t.ok(slow.every(({ received }) => received().startsWith('HTTP/1.1 408 ')));
  const ledger = await traffic.stop();
  t.comment(ledger.summary());
  t.same(ledger.lost(), []);
});

t.test('F21: the wall clock jumps by an hour, forth and back', async (t) => {
  await fleet.reset();
  await Promise.all(fleet.servers.map((server) => server.behave({ answerMs: 300 })));
  const folder = t.testdir({ off: '0', quick: {}, patient: {} });
  const clock = join(folder, 'off');
  const preload = new URL('../rig/wall-clock.ts', import.meta.url).href;
  const route = { id: 'all', timeouts: { response: '2s', idle: '2s' }, retry: { attempts: 1 } };
  const env = {
    NODE_OPTIONS: `${process.env.NODE_OPTIONS ?? ''} --import=${preload}`,
    WALL_CLOCK: clock,
  };
  const start = (name: string, headerTimeout: string): Promise<RunningProxy> =>
    startProxy(
      t,
      proxyConfig({
        regions: fleet.regions,
        routes: [route],
        limits: { headerTimeout, keepAlive: '30s' },
        healthCheckInterval: '500ms',
      }),
      { folder: join(folder, name), env },
    );
  const proxy = await start('quick', '3s');
  const patient = await start('patient', '10m');
  // An answer of its own: others carry the date of their server.
  const nowOf = async ({ port }: RunningProxy): Promise<number> => {
    const answer = await sendRaw(port, 'OPTIONS * HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n');
    return Date.parse(answer.field('date') ?? '') - Date.now();
  };
  const traffic = new Traffic({ port: proxy.port, clients: 12 });
  await traffic.more(20);
  const kept = openSlowly(t, patient.port);
  for (const hours of [1, -1]) {
    writeFileSync(clock, String(hours * 3_600_000));
    for (const one of [proxy, patient])
      await until(
        async () => Math.abs((await nowOf(one)) - hours * 3_600_000) < 60_000,
        5000,
        'its clock has jumped',
      );
    // Timeouts that are due come neither at once nor in an hour.
    const slow = openSlowly(t, proxy.port);
    await until(() => !slow.isOpen(), 20_000, 'a slow head is cut');
    await traffic.more(20);
    t.ok(kept.isOpen(), 'and one that has ten minutes is not');
  }
  const ledger = await traffic.stop();
  t.comment(ledger.summary());
  t.same(ledger.lost(), [], 'no timeout fires early');
  await Promise.all(fleet.servers.map((server) => server.behave({ hangs: true })));
  const { status } = await fetch(`${proxy.url}/items/hung`);
  t.equal(status, 504, 'nor never');
  t.notOk(
    proxy.log.some(({ msg, to }) => msg === 'server ejected' || to === 'unhealthy') &&
      ledger.lost().length > 0,
  );
});

t.test('F22: file descriptors run out: no crash, no busy loop, and it recovers', async (t) => {
  await fleet.reset();
  const proxy = await startProxy(t, proxyConfig({ regions: fleet.regions }), {
    under: ['prlimit', '--nofile=96:96'],
  });
  t.equal((await fetch(`${proxy.url}/items/before`)).status, 200);
  const idle = Array.from({ length: 200 }, () => openSlowly(t, proxy.port));
  await until(() => openDescriptors(proxy.child.pid!) >= 95, 10_000, 'no descriptor is left');
  await pause(500);
  const cpuBefore = cpuMs(proxy.child.pid!);
  await pause(2000);
  const cpu = cpuMs(proxy.child.pid!) - cpuBefore;
  t.ok(cpu < 1000, `${cpu} ms of CPU in 2 s`);
  t.equal(proxy.child.exitCode, null, 'it runs');
  for (const { close } of idle) close();
  await until(
    async () =>
      (await fetch(`${proxy.url}/items/after`, { headers: { connection: 'close' } }).then(
        ({ status }) => status,
        () => 0,
      )) === 200,
    15_000,
    'it serves again',
  );
  const ledger = await new Traffic({ port: proxy.port, requests: 100 }).stop();
  t.same(ledger.lost(), []);
});
