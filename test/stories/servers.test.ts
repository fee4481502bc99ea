// What servers do to a proxy: they die, drain, hang, slow down, flap, and close connections when they like.
// Figures F1 to F6 and F18 of http-rules.md, with lost, doubled and mixed-up requests counted from ids.

import t from 'tap';
import { startBlackHole } from '../rig/black-hole.ts';
import { serversOf } from '../rig/control.ts';
import { startFleet } from '../rig/fleet.ts';
import { watchPort } from '../rig/port-watch.ts';
import { proxyConfig, type RunningProxy, startProxy } from '../rig/proxy.ts';
import { pause, Traffic } from '../rig/traffic.ts';

// One fleet for all stories of this file: starting processes is the dear part.
const fleet = await startFleet(t);

const CLIENTS = 24;

/** Resolves when the proxy has taken these servers out, and has decided requests since. */
async function untilOut(proxy: RunningProxy, traffic: Traffic, urls: readonly string[]): Promise<void> {
  for (const url of urls)
    await proxy.waitForLog(
      ({ msg, server, to }) => server === url && (msg === 'server ejected' || to === 'unhealthy'),
    );
  await traffic.more(CLIENTS);
}

const QUICK_CHECKS = { healthCheckInterval: '500ms', health: { timeout: '300ms' } };

// 24 clients instead of 64: two cores run them, the proxy and six servers.
t.test('F1: a server is killed under load', async (t) => {
  await fleet.reset();
  const proxy = await startProxy(t, proxyConfig({ regions: fleet.regions, ...QUICK_CHECKS }));
  const traffic = new Traffic({ port: proxy.port });
  await traffic.more(200);
  const victim = fleet.servers[0]!;
  await victim.end('SIGKILL');
  await untilOut(proxy, traffic, [victim.url]);
  const known = traffic.begun;
  // From here on the dead server's port is watched: nothing but probes may come.
  const { strangers } = await watchPort(t, victim.port);
  await traffic.more(200);
  const ledger = await traffic.stop();
  t.comment(ledger.summary());

  t.same(ledger.lost('GET'), [], 'no GET is lost');
  const unanswered = victim.arrivals().filter(({ isAnswered }) => !isAnswered);
  const lostPosts = ledger.lost('POST');
  t.same(
    lostPosts.filter(({ number }) => number > known),
    [],
    'no POST is lost that began after the proxy knew',
  );
  t.comment(`${lostPosts.length} POST lost, ${unanswered.length} requests in flight on the victim`);
  t.ok(lostPosts.length <= CLIENTS, 'POSTs lost are at most those in flight');
  t.same(ledger.doubled(fleet, 'POST'), [], 'no POST is executed twice');
  t.same(ledger.mixed(), []);
  t.same(strangers, [], 'once the proxy knows, nothing but probes is sent to it');
});

t.test('F2: a server drains after SIGTERM', async (t) => {
  // It goes on for a second with `Connection: close` and a failing health page, as a server does that drains.
  await fleet.reset();
  await fleet.servers[0]!.behave({ lingerMs: 1000 });
  const proxy = await startProxy(t, proxyConfig({ regions: fleet.regions, ...QUICK_CHECKS }));
  const traffic = new Traffic({ port: proxy.port });
  await traffic.more(300);
  await fleet.servers[0]!.end('SIGTERM');
  await traffic.more(300);
  const ledger = await traffic.stop();
  t.comment(ledger.summary());
  t.same(ledger.lost(), []);
  t.same(ledger.doubled(fleet), []);
  t.same(ledger.mixed(), []);
});

t.test('F3: the servers of a region swallow what is sent to open a connection', async (t) => {
  // A listener whose accept queue is full and that never accepts: the kernel drops further SYNs.
  await fleet.reset();
  const holes = [await startBlackHole(t), await startBlackHole(t)];
  if (holes.includes(undefined)) return t.pass('', { skip: 'the kernel here answers a full accept queue' });
  const urls = holes.map((hole) => hole!.url);
  const regions = fleet.regions.map((region) => (region.id === 'eu' ? { ...region, servers: urls } : region));
  // Probes come late, so that traffic finds out: after 500 ms instead of a second.
  const route = { id: 'all', timeouts: { connect: '500ms' } };
  const checks = { healthCheckInterval: '60s', health: { timeout: '500ms' } };
  const proxy = await startProxy(t, proxyConfig({ regions, routes: [route], ...checks }));
  const traffic = new Traffic({ port: proxy.port });
  // One is ejected; the other is then the last of its region, which is never ejected: it is asked how it is.
  await Promise.all([
    proxy.waitForLog(({ msg }) => msg === 'server ejected'),
    proxy.waitForLog(({ to, server }) => to === 'unhealthy' && urls.includes(server as string)),
  ]);
  await traffic.more(CLIENTS);
  const attempts = async (): Promise<number[]> =>
    (await serversOf(proxy.controlUrl)).filter(({ id }) => urls.includes(id)).map((one) => one.attempts);
  const known = await attempts();
  await traffic.more(300);
  const ledger = await traffic.stop();
  t.comment(ledger.summary());
  t.same(ledger.lost(), [], 'nothing reached the hole, so everything went elsewhere');
  t.same(await attempts(), known, 'once it is known nobody is sent there');
});

t.test('F4: the servers of a region accept and then hang', async (t) => {
  await fleet.reset();
  const route = { id: 'all', timeouts: { response: '500ms' } };
  const proxy = await startProxy(
    t,
    proxyConfig({ regions: fleet.regions, routes: [route], ...QUICK_CHECKS }),
  );
  const traffic = new Traffic({ port: proxy.port });
  await traffic.more(300);
  await Promise.all(fleet.of('eu').map((server) => server.behave({ hangs: true })));
  await untilOut(
    proxy,
    traffic,
    fleet.of('eu').map(({ url }) => url),
  );
  const known = traffic.begun;
  await traffic.more(300);
  const ledger = await traffic.stop();
  t.comment(ledger.summary());
  t.ok(
    ledger.lost().every(({ status }) => status === 504),
    'who waited for them got 504',
  );
  // No answer, no knowledge whether it was read: a GET is not repeated unless retry.on names timeout.
  t.same(ledger.readAfter(known, fleet.of('eu')), [], 'afterwards nobody is sent there');
  t.same(ledger.doubled(fleet), []);
  t.same(ledger.mixed(), []);
});

t.test('F5: a server slows down and its excess goes elsewhere', async (t) => {
  await fleet.reset();
  const limits = { inFlightPerServer: 4 };
  const proxy = await startProxy(t, proxyConfig({ regions: fleet.regions, limits, ...QUICK_CHECKS }));
  const traffic = new Traffic({ port: proxy.port });
  await traffic.more(200);
  const slow = fleet.servers[0]!;
  await slow.behave({ answerMs: 1000 });
  const most = await mostInFlight(proxy.controlUrl, slow.url, 20);
  await traffic.more(300);
  const ledger = await traffic.stop();
  t.comment(ledger.summary());
  t.ok(most > 0 && most <= 4, `${most} in flight of the 4 allowed`);
  t.same(ledger.lost(), []);
  t.same(ledger.mixed(), []);
});

t.test('F6: a server flaps', async (t) => {
  // Up and down for 700 ms each, four times instead of 30; ejections of 400 ms instead of 30 s.
  await fleet.reset();
  const outlier = { baseEjection: '400ms', maxEjection: '4s' };
  const health = { ...QUICK_CHECKS.health, outlier };
  const proxy = await startProxy(
    t,
    proxyConfig({ regions: fleet.regions, healthCheckInterval: '500ms', health }),
  );
  const traffic = new Traffic({ port: proxy.port, pauseMs: 20 });
  await traffic.more(100);
  const flapping = fleet.servers[0]!;
  const turns = 4;
  for (let turn = 0; turn < turns; turn++) {
    await flapping.end('SIGKILL');
    await pause(700);
    await flapping.start();
    await pause(700);
  }
  const ledger = await traffic.stop();
  t.comment(ledger.summary());
  t.same(ledger.lost('GET'), []);
  t.same(ledger.doubled(fleet, 'POST'), []);
  t.same(ledger.mixed(), []);
  const lengths = proxy.log.filter(({ msg }) => msg === 'server ejected').map(({ forMs }) => forMs as number);
  t.comment(`${turns} turns, ejections of ${lengths.join(', ')} ms`);
  t.ok(lengths.length === 0 || lengths.at(-1)! > 400 || lengths.length === 1, 'ejections grow');
  const changes = proxy.log.filter(({ msg, server }) => server === flapping.url && msg !== 'access');
  // At most one of each kind a turn: unhealthy, ejected, back, healthy.
  t.ok(changes.length <= 4 * turns, `${changes.length} changes of state logged`);
});

t.test('F6: the last server of a region is not ejected', async (t) => {
  await fleet.reset();
  const regions = fleet.regions.map(({ id, servers }) => ({ id, servers: servers.slice(0, 1) }));
  const proxy = await startProxy(t, proxyConfig({ regions, health: { active: false } }));
  await fleet.of('eu')[0]!.end('SIGKILL');
  const traffic = new Traffic({ port: proxy.port, requests: 200 });
  const ledger = await traffic.stop();
  t.same(ledger.lost(), [], 'whom it refuses goes elsewhere');
  t.notOk(proxy.log.some(({ msg }) => msg === 'server ejected'));
});

t.test('F18: servers close idle connections whenever they like', async (t) => {
  // 1,000 requests instead of 10,000.
  await fleet.reset();
  await Promise.all(fleet.servers.map((server) => server.behave({ idleCloseMs: 5, answerMs: 1 })));
  const proxy = await startProxy(t, proxyConfig({ regions: fleet.regions, ...QUICK_CHECKS }));
  const traffic = new Traffic({ port: proxy.port, requests: 1000, pauseMs: 5 });
  const ledger = await traffic.stop();
  t.comment(ledger.summary());
  t.same(ledger.lost('GET'), []);
  t.ok(ledger.lost('POST').length <= 1, `${ledger.lost('POST').length} POST lost`);
  t.same(ledger.doubled(fleet, 'POST'), []);
  t.same(ledger.mixed(), []);
});

/** Highest number in flight to a server that the control port reports in so many looks. */
async function mostInFlight(controlUrl: string, url: string, looks: number): Promise<number> {
  let most = 0;
  for (let i = 0; i < looks; i++) {
    const server = (await serversOf(controlUrl)).find(({ id }) => id === url);
    most = Math.max(most, server?.inFlight ?? 0);
    await pause(50);
  }
  return most;
}
