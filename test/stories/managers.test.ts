// Regions with managers of their own, every part a process: servers come, renew, drain and go; managers drain,
// end and die under load. Scaled down for two cores: 16 clients instead of 64, leases of a second instead of
// 15 s, two regions of two servers.

import t from 'tap';
import { metricOf } from '../rig/control.ts';
import { type FleetServer, startFleet } from '../rig/fleet.ts';
import { watchPort } from '../rig/port-watch.ts';
import { freePorts } from '../rig/process-facts.ts';
import { proxyConfig, type RunningProxy, startProxy } from '../rig/proxy.ts';
import { QUICK_CHECKS, type RunningRem, regionSeen, startRem } from '../rig/rem.ts';
import { pause, Traffic, until } from '../rig/traffic.ts';

// What a story leaves for the next belongs to the file.
const root = t;
const CLIENTS = 16;
// A busy machine is slow; what is waited for takes a fraction of this.
const PATIENCE_MS = 15_000;

// One fleet, one proxy and one manager of `us` for all stories, and a manager of `eu` that stories end and replace:
// starting processes is most of what such a story costs.
const fleet = await startFleet(t, { regions: ['eu', 'us'] });
const us = await startRem(t, 'us', { servers: fleet.regions[1]!.servers });
let eu = await startRem(t, 'eu', { servers: fleet.regions[0]!.servers });
// Without slow start a region that is back has its share at once: the next story needs it.
const proxy = await startProxy(
  t,
  proxyConfig({
    regions: named([eu, us]),
    ...QUICK_CHECKS,
    health: { ...QUICK_CHECKS.health, slowStart: '0s' },
  }),
);

/** Everything runs, and the proxy has heard of it. */
async function whole(): Promise<void> {
  await fleet.reset();
  for (const { region } of [eu, us]) await untilSeen(proxy, region, 2);
}

function named(rems: readonly RunningRem[]): object[] {
  return rems.map(({ region, api }) => ({ id: region, rem: api }));
}

async function untilSeen(proxy: RunningProxy, region: string, healthy: number): Promise<void> {
  const holds = async (): Promise<boolean> => (await regionSeen(proxy, region)).healthy === healthy;
  await until(holds, PATIENCE_MS, `${healthy} servers of ${region} are healthy to the proxy`);
}

const registration = (server: FleetServer, incarnation: number) => ({
  serverId: server.name,
  incarnation,
  url: server.url,
});

const countOf = (servers: readonly FleetServer[]): number =>
  servers.reduce((sum, server) => sum + server.arrivals().length, 0);

t.test('a server registers, serves, misses its lease, and comes back with a renewal', async (t) => {
  await fleet.reset();
  const [kept, leased] = fleet.of('eu') as [FleetServer, FleetServer];
  const rem = await startRem(t, 'eu', { servers: [kept.url], lease: { ttl: '1s' } });
  const proxy = await startProxy(t, proxyConfig({ regions: named([rem]), ...QUICK_CHECKS }));
  await untilSeen(proxy, 'eu', 1);
  const traffic = new Traffic({ port: proxy.port, clients: 8 });

  t.match(await rem.post('/register', registration(leased, 1)), {
    status: 200,
    body: { leaseTtlSeconds: 1, epoch: Number },
  });
  const renewing = setInterval(() => void rem.post('/renew', renewal), 300);
  t.teardown(() => clearInterval(renewing));
  const renewal = { serverId: leased.name, incarnation: 1 };
  await until(() => leased.arrivals().length > 20, PATIENCE_MS, 'the new server serves');
  await untilSeen(proxy, 'eu', 2);

  clearInterval(renewing);
  const missed = await rem.untilReport(
    ({ servers }) => servers.some(({ id, health }) => id === leased.name && health === 'unhealthy'),
    PATIENCE_MS,
    'the lease ends',
  );
  t.equal(missed.servers.length, 2, 'it is unhealthy, not forgotten');
  await untilSeen(proxy, 'eu', 1);
  const before = leased.arrivals().length;
  await traffic.more(100);
  t.equal(leased.arrivals().length, before, 'and gets nothing any more');

  t.match(
    await rem.post('/register', registration(leased, 1)),
    { status: 409, body: { reason: 'replayed' } },
    'its first registration, sent again, does not bring it back',
  );
  t.match(await rem.post('/renew', renewal), { status: 200 });
  const again = setInterval(() => void rem.post('/renew', renewal), 300);
  t.teardown(() => clearInterval(again));
  await until(() => leased.arrivals().length > before, PATIENCE_MS, 'it serves again');
  const deregistered = await fetch(`${rem.api}/register/${leased.name}?incarnation=1`, { method: 'DELETE' });
  t.equal(deregistered.status, 200);
  clearInterval(again);
  t.match(await rem.post('/register', registration(leased, 1)), {
    status: 409,
    body: { reason: 'replayed' },
  });
  t.match(await rem.post('/register', registration(leased, 2)), { status: 200 });
  const ledger = await traffic.stop();
  t.comment(ledger.summary());
  t.same(ledger.lost(), [], 'nothing was lost on the way');
  t.same(ledger.doubled(fleet), []);
});

t.test('a whole region drains: every proxy hears it before anything is refused', async (t) => {
  await whole();
  const rem = eu;
  const traffic = new Traffic({ port: proxy.port, clients: CLIENTS });
  await traffic.more(300);
  t.match(await rem.post('/drain', {}), { status: 202, body: { region: 'eu', draining: true } });
  await until(
    async () => (await regionSeen(proxy, 'eu')).manager?.draining === true,
    PATIENCE_MS,
    'the proxy has heard of the drain',
  );
  await rem.process.waitForLog(({ msg }) => msg === 'region drains: new requests are refused', PATIENCE_MS);
  const metrics = await (await fetch(`${proxy.controlUrl}/metrics`)).text();
  t.notMatch(metrics, /^foreshard_retries_total\{/m, 'no request came too late and had to go elsewhere');
  const before = countOf(fleet.of('eu'));
  await traffic.more(300);
  t.equal(countOf(fleet.of('eu')), before, 'the region gets nothing');

  t.match(await rem.post('/undrain', {}), { status: 200 });
  await until(() => countOf(fleet.of('eu')) > before, PATIENCE_MS, 'the region is back');
  const ledger = await traffic.stop();
  t.comment(ledger.summary());
  t.same(ledger.lost(), []);
  t.same(ledger.doubled(fleet), []);
});

t.test('a server is drained under load and then killed: nothing is lost', async (t) => {
  await whole();
  const rem = eu;
  const [victim, other] = fleet.of('eu') as [FleetServer, FleetServer];
  const traffic = new Traffic({ port: proxy.port, clients: CLIENTS });
  await traffic.more(300);
  t.match(await rem.post('/drain', { serverId: victim.url }), { status: 202, body: { draining: true } });
  t.match(
    await rem.post('/drain', { serverId: other.url }),
    { status: 409, body: { reason: 'veto' } },
    'the last one may not drain',
  );
  await rem.untilReport(
    ({ servers }) => servers.some(({ id, drained }) => id === victim.url && drained === true),
    PATIENCE_MS,
    'the server is empty',
  );
  const before = victim.arrivals().length;
  await victim.end('SIGKILL');
  await traffic.more(300);
  t.equal(victim.arrivals().length, before, 'nothing came after it was called empty');

  await victim.start();
  t.match(await rem.post('/undrain', { serverId: victim.url }), { status: 200 });
  await until(() => victim.arrivals().length > before, PATIENCE_MS, 'it is back');
  const ledger = await traffic.stop();
  t.comment(ledger.summary());
  t.same(ledger.lost(), []);
  t.same(ledger.doubled(fleet), []);
  t.same(ledger.mixed(), []);
});

t.test('SIGTERM of a manager under load: nothing is lost, and its next start is heard', async (t) => {
  await whole();
  const rem = eu;
  const traffic = new Traffic({ port: proxy.port, clients: CLIENTS });
  await traffic.more(300);
  t.strictSame(await rem.process.stop('SIGTERM'), { code: 0, signal: null });
  await traffic.more(300);
  const before = countOf(fleet.of('eu'));
  const { servers } = fleet.regions[0]!;
  eu = await startRem(root, 'eu', { servers, ...portsOf(rem) });
  await until(() => countOf(fleet.of('eu')) > before, PATIENCE_MS, 'the region is back');
  const ledger = await traffic.stop();
  t.comment(ledger.summary());
  t.same(ledger.lost(), []);
  t.same(ledger.doubled(fleet), []);
});

/** As configuration of a manager that takes the place of this one. */
function portsOf({ process, api }: RunningRem): object {
  return { listen: [{ address: new URL(process.url).host }], control: { address: new URL(api).host } };
}

t.test('kill -9 of a manager with more under way than a retry budget covers: no GET is lost', async (t) => {
  await whole();
  const rem = eu;
  // So slow that all clients wait at one moment, and so few a second that a fifth of them is next to nothing.
  await Promise.all(fleet.servers.map((server) => server.behave({ answerMs: 1000 })));
  const traffic = new Traffic({ port: proxy.port, clients: CLIENTS, posts: 0 });
  const underWay = (): number =>
    fleet
      .of('eu')
      .reduce((sum, server) => sum + server.arrivals().filter((one) => !one.isAnswered).length, 0);
  await until(() => underWay() > 5, PATIENCE_MS, 'more than the budget is under way there');
  const retried = (): Promise<number> =>
    metricOf(proxy.controlUrl, 'foreshard_retries_total', 'reason="reset"');
  const before = await retried();
  await rem.process.stop('SIGKILL');
  await traffic.turnOver();
  const ledger = await traffic.stop();
  t.comment(ledger.summary(), `${(await retried()) - before} tried again after a reset`);
  t.same(ledger.lost(), []);
  t.same(ledger.mixed(), []);
  eu = await startRem(root, 'eu', { servers: fleet.regions[0]!.servers, ...portsOf(rem) });
});

t.test('kill -9 of a manager: its region is out, no GET is lost', async (t) => {
  await whole();
  const rem = eu;
  const traffic = new Traffic({ port: proxy.port, clients: CLIENTS });
  await traffic.more(300);
  await rem.process.stop('SIGKILL');
  await until(async () => (await regionSeen(proxy, 'eu')).healthy === 0, PATIENCE_MS, 'the region is out');
  await traffic.turnOver();
  const known = traffic.begun;
  const watch = await watchPort(t, rem.process.port);
  await traffic.more(200);
  t.same(watch.strangers, [], 'no request tries the dead manager any more');
  await watch.close();

  // Its servers had no lease in this life: a manager without servers has no region to offer.
  const bare = await startRem(t, 'eu', portsOf(rem) as Record<string, unknown>);
  await pause(500);
  const before = countOf(fleet.of('eu'));
  for (const server of fleet.of('eu')) {
    t.match(
      await bare.post('/renew', { serverId: server.name, incarnation: 1 }),
      { status: 404, body: { reason: 'not_registered' } },
      'a lease of the former life is told to register',
    );
    await bare.post('/register', registration(server, 1));
  }
  await until(() => countOf(fleet.of('eu')) > before, PATIENCE_MS, 'the region is back');
  await traffic.more(100);
  const ledger = await traffic.stop();
  t.comment(ledger.summary());
  t.same(ledger.lost('GET'), []);
  const lostPosts = ledger.lost('POST');
  t.ok(lostPosts.length <= CLIENTS, 'POSTs lost are at most those in flight');
  t.same(
    lostPosts.filter(({ number }) => number > known),
    [],
    'none is lost that began after the proxy knew',
  );
  t.same(ledger.doubled(fleet, 'POST'), []);
  t.same(ledger.mixed(), []);
});

t.test('a manager with sample servers has something to look after', async (t) => {
  const [port] = await freePorts(1);
  const rem = await startRem(t, 'eu', { servers: [`http://127.0.0.1:${port}`] }, ['--sample-servers']);
  await rem.untilReport(
    ({ servers }) => servers[0]?.health === 'healthy',
    PATIENCE_MS,
    'the sample server is healthy',
  );
  t.match(rem.process.errors(), /^sample server {2}eu http:/m);
  const answer = await fetch(`${rem.process.url}/x`);
  t.match(await answer.json(), { region: 'eu', url: '/x' });
  t.strictSame(await rem.process.stop('SIGTERM'), { code: 0, signal: null });
});
