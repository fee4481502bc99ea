// Who goes first when a core is short: the threads of a real process, as the kernel has them.

import t from 'tap';
import { until } from '../rig/engine-client.ts';
import { niceByThread } from '../rig/process-facts.ts';
import { proxyConfig, startProxy } from '../rig/proxy.ts';

const OF = { skip: process.platform !== 'linux' && 'threads have priorities of their own on Linux' };

/** Above 0 where the tests themselves run at a lower priority. */
const own = (): number => niceByThread(process.pid)['node-MainThread'] ?? 0;

t.test('workers come before the main thread, and that before the engine', OF, async (t) => {
  const proxy = await startProxy(t, {
    ...proxyConfig({ regions: [{ id: 'a', servers: ['http://127.0.0.1:9'] }] }),
    pae: { mode: 'shadow' },
  });
  // It answers once it runs.
  await until(async () => (await fetch(`${proxy.controlUrl}/risk_scores`)).ok || undefined, 'the engine');
  const nice = niceByThread(proxy.child.pid!);
  t.match(nice, { 'worker-0': own(), 'node-MainThread': own() + 5, analytics: own() + 10 });
});

t.test('a process that was started below others keeps its threads in that order', OF, async (t) => {
  const proxy = await startProxy(
    t,
    proxyConfig({ regions: [{ id: 'a', servers: ['http://127.0.0.1:9'] }] }),
    { under: ['nice', '-n', '3'] },
  );
  const nice = niceByThread(proxy.child.pid!);
  t.match(nice, { 'worker-0': own() + 3, 'node-MainThread': own() + 8 });
});
