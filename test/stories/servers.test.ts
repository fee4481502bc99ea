// What servers do to a proxy: they die, drain, hang, slow down, flap, and close connections when they like.
// Figures F1 to F6 and F18 of http-rules.md, with lost, doubled and mixed-up requests counted from ids.

import { createServer } from 'node:net';
import t from 'tap';
import { startFleet } from '../rig/fleet.ts';
import { proxyConfig, startProxy } from '../rig/proxy.ts';
import { Ledger, pause, Traffic } from '../rig/traffic.ts';

const QUICK_CHECKS = { healthCheckInterval: '500ms', health: { timeout: '300ms' } };

// 32 clients instead of 64: two cores run them, the proxy and six servers.
t.test('F1: a server is killed under load', async (t) => {
  const fleet = await startFleet(t);
  const proxy = await startProxy(t, proxyConfig({ regions: fleet.regions, ...QUICK_CHECKS }));
  const traffic = new Traffic({ port: proxy.port });
  await traffic.more(1000);
  const before = performance.now();
  const victim = fleet.servers[0]!;
  await victim.end('SIGKILL');
  const killedAt = performance.now();
  await pause(1000);
  // From here on the dead server's port is watched: nothing but probes may come.
  const strangers: string[] = [];
  const probes: string[] = [];
  const spy = createServer((socket) => {
    socket.on('error', () => {});
    socket.on('data', (chunk) => {
      const head = chunk.toString('latin1');
      (head.startsWith('GET /healthz ') ? probes : strangers).push(head);
      socket.end('HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n');
    });
  });
  await new Promise<void>((resolve) => spy.listen(victim.port, '127.0.0.1', resolve));
  t.teardown(() => spy.close());
  await traffic.more(1000);
  const ledger = await traffic.stop();
  t.comment(ledger.summary());
  t.comment(
    `p99 before ${Ledger.quantile(ledger.between(0, before), 0.99).toFixed(1)} ms, after ${Ledger.quantile(ledger.between(killedAt, killedAt + 1000), 0.99).toFixed(1)} ms`,
  );

  t.same(ledger.lost('GET'), [], 'no GET is lost');
  const unanswered = victim.arrivals().filter(({ isAnswered }) => !isAnswered);
  const lostPosts = ledger.lost('POST');
  t.ok(
    lostPosts.every(({ startedAt }) => startedAt < killedAt),
    'no POST is lost that began after the death',
  );
  t.comment(`${lostPosts.length} POST lost, ${unanswered.length} requests in flight on the victim`);
  t.ok(lostPosts.length <= 32 / 2, 'POSTs lost are at most those in flight');
  t.same(ledger.doubled(fleet, 'POST'), [], 'no POST is executed twice');
  t.same(ledger.mixed(), []);
  t.same(strangers, [], 'a second after the death nothing but probes is sent to it');
});
