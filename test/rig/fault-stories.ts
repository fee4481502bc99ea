// What servers do to those who send them requests: they die, drain, hang, slow down, flap, and close
// connections when they like. Figures F1 to F6 and F18 of http-rules.md, with lost, doubled and mixed-up
// requests counted from ids. Told once for servers behind the proxy itself and once for servers behind
// managers: what a client sees must not differ.

import type { Test } from 'tap';
import { startBlackHole } from './black-hole.ts';
import { metricOf } from './control.ts';
import type { Fleet, FleetServer } from './fleet.ts';
import { watchPort } from './port-watch.ts';
import type { RunningProxy } from './proxy.ts';
import { regionSeen } from './rem.ts';
import { type Ledger, pause, Traffic, until } from './traffic.ts';

/** Settings of whoever speaks to the servers. */
export interface KeeperParts {
  readonly timeouts?: Readonly<Record<string, string>>;
  readonly limits?: Readonly<Record<string, unknown>>;
  readonly health?: Readonly<Record<string, unknown>>;
  readonly healthCheckInterval?: string;
}

export interface Site {
  readonly proxy: RunningProxy;
  /** The process that speaks to the servers of a region. */
  keeper(region: string): RunningProxy;
  inFlight(server: FleetServer): Promise<number>;
  /** Resolves when the proxy knows as much of a region's servers as their keeper does. */
  untilAgreed(region: string): Promise<void>;
}

export type Deploy = (t: Test, regions: Fleet['regions'], parts: KeeperParts) => Promise<Site>;

interface Stage {
  readonly fleet: Fleet;
  readonly deploy: Deploy;
}

// 24 clients instead of 64: two cores run them, the proxy, its managers and six servers.
const CLIENTS = 24;
const PATIENCE_MS = 20_000;
// Requests in flight on one server; those of the other three of two regions have room for all clients.
const LIMIT = 8;
const QUICK_CHECKS = { healthCheckInterval: '500ms', health: { timeout: '300ms' } };

type Story = (t: Test, stage: Stage) => Promise<unknown>;

const STORIES: Readonly<Record<string, Story>> = {
  'F1: a server is killed under load': killed,
  'F2: a server drains after SIGTERM': drains,
  'F3: the servers of a region swallow what is sent to open a connection': swallows,
  'F4: the servers of a region accept and then hang': hangs,
  'F5: a server slows down and its excess goes elsewhere': slowsDown,
  'F6: a server flaps': flaps,
  'F6: the last server of a region is not ejected': lastOne,
  'F18: servers close idle connections whenever they like': closesIdle,
};

/** Tells stories over one way of reaching the servers: all, or those of some faults. */
export function tellFaultStories(t: Test, stage: Stage, faults?: readonly string[]): void {
  for (const [title, story] of Object.entries(STORIES)) {
    if (faults !== undefined && !faults.some((fault) => title.startsWith(`${fault}:`))) continue;
    t.test(title, async (t) => {
      await stage.fleet.reset();
      await story(t, stage);
    });
  }
}

/** Resolves when these servers are out and no request is under way that was decided before. */
async function untilOut(site: Site, traffic: Traffic, servers: readonly FleetServer[]): Promise<void> {
  for (const { region, url } of servers) {
    await site
      .keeper(region)
      .waitForLog(
        ({ msg, server, to }) => server === url && (msg === 'server ejected' || to === 'unhealthy'),
      );
    await site.untilAgreed(region);
  }
  await traffic.turnOver();
}

function judge(t: Test, ledger: Ledger, fleet: Fleet): void {
  t.comment(ledger.summary());
  t.same(ledger.doubled(fleet, 'POST'), [], 'no POST is executed twice');
  t.same(ledger.mixed(), [], 'nobody gets the answer of another');
}

async function killed(t: Test, { fleet, deploy }: Stage): Promise<void> {
  const site = await deploy(t, fleet.regions, QUICK_CHECKS);
  const traffic = new Traffic({ port: site.proxy.port, clients: CLIENTS });
  await traffic.more(200);
  const victim = fleet.servers[0]!;
  await victim.end('SIGKILL');
  await untilOut(site, traffic, [victim]);
  const known = traffic.begun;
  // From here on the dead server's port is watched: nothing but probes may come.
  const { strangers } = await watchPort(t, victim.port);
  await traffic.more(200);
  const ledger = await traffic.stop();
  judge(t, ledger, fleet);
  t.same(ledger.lost('GET'), [], 'no GET is lost');
  const unanswered = victim.arrivals().filter(({ isAnswered }) => !isAnswered);
  const lostPosts = ledger.lost('POST');
  t.comment(`${lostPosts.length} POST lost, ${unanswered.length} requests in flight on the victim`);
  t.ok(lostPosts.length <= CLIENTS, 'POSTs lost are at most those in flight');
  t.same(
    lostPosts.filter(({ number }) => number > known),
    [],
    'no POST is lost that began after the death was known',
  );
  t.same(strangers, [], 'once it is known, nothing but probes is sent to it');
}

async function drains(t: Test, { fleet, deploy }: Stage): Promise<void> {
  // It goes on for a second with `Connection: close` and a failing health page, as a server does that drains.
  await fleet.servers[0]!.behave({ lingerMs: 1000 });
  const site = await deploy(t, fleet.regions, QUICK_CHECKS);
  const traffic = new Traffic({ port: site.proxy.port, clients: CLIENTS });
  await traffic.more(300);
  await fleet.servers[0]!.end('SIGTERM');
  await traffic.more(300);
  const ledger = await traffic.stop();
  judge(t, ledger, fleet);
  t.same(ledger.lost(), []);
}

async function swallows(t: Test, { fleet, deploy }: Stage): Promise<unknown> {
  // A listener whose accept queue is full and that never accepts: the kernel drops further SYNs.
  const holes = [await startBlackHole(t), await startBlackHole(t)];
  if (holes.includes(undefined)) return t.pass('', { skip: 'the kernel here answers a full accept queue' });
  const urls = holes.map((hole) => hole!.url);
  const regions = fleet.regions.map((region) => (region.id === 'eu' ? { ...region, servers: urls } : region));
  // Probes come late, so that traffic finds out: after 500 ms instead of a second.
  const site = await deploy(t, regions, {
    timeouts: { connect: '500ms' },
    healthCheckInterval: '60s',
    health: { timeout: '500ms' },
  });
  const traffic = new Traffic({ port: site.proxy.port, clients: CLIENTS });
  const healthy = async (): Promise<number> => (await regionSeen(site.proxy, 'eu')).healthy;
  await until(async () => (await healthy()) === 0, PATIENCE_MS, 'the region is out');
  await traffic.turnOver();
  // Whoever is sent there has to go elsewhere afterwards.
  const returned = (): Promise<number> =>
    metricOf(site.proxy.controlUrl, 'foreshard_retries_total', 'from="eu"');
  const known = await returned();
  await traffic.more(300);
  await traffic.turnOver();
  t.equal(await returned(), known, 'once it is known nobody is sent there');
  const ledger = await traffic.stop();
  judge(t, ledger, fleet);
  t.same(ledger.lost(), [], 'nothing reached the hole, so everything went elsewhere');
  return undefined;
}

async function hangs(t: Test, { fleet, deploy }: Stage): Promise<void> {
  const site = await deploy(t, fleet.regions, { ...QUICK_CHECKS, timeouts: { response: '500ms' } });
  const traffic = new Traffic({ port: site.proxy.port, clients: CLIENTS });
  await traffic.more(300);
  await Promise.all(fleet.of('eu').map((server) => server.behave({ hangs: true })));
  await untilOut(site, traffic, fleet.of('eu'));
  const known = traffic.begun;
  await traffic.more(300);
  const ledger = await traffic.stop();
  judge(t, ledger, fleet);
  // No answer, no knowledge whether it was read: no POST is repeated. A GET is, where a manager has answered 504: by
  // default not on the proxy's own timeout.
  if (site.keeper('eu') !== site.proxy)
    t.same(ledger.lost('GET'), [], 'a GET behind a manager goes elsewhere');
  t.ok(
    ledger.lost().every(({ status }) => status === 504),
    'who waited for them got 504',
  );
  t.same(ledger.readAfter(known, fleet.of('eu')), [], 'afterwards nobody is sent there');
}

async function slowsDown(t: Test, { fleet, deploy }: Stage): Promise<void> {
  const site = await deploy(t, fleet.regions, { ...QUICK_CHECKS, limits: { inFlightPerServer: LIMIT } });
  const traffic = new Traffic({ port: site.proxy.port, clients: CLIENTS });
  await traffic.more(200);
  const slow = fleet.servers[0]!;
  await slow.behave({ answerMs: 1000 });
  let most = 0;
  for (let look = 0; look < 20; look++) {
    most = Math.max(most, await site.inFlight(slow));
    await pause(50);
  }
  await traffic.more(300);
  const ledger = await traffic.stop();
  judge(t, ledger, fleet);
  t.ok(most > 0 && most <= LIMIT, `${most} in flight of the ${LIMIT} allowed`);
  t.same(ledger.lost(), []);
}

async function flaps(t: Test, { fleet, deploy }: Stage): Promise<void> {
  // Up and down for 700 ms each, four times instead of 30; ejections of 400 ms instead of 30 s.
  const outlier = { baseEjection: '400ms', maxEjection: '4s' };
  const site = await deploy(t, fleet.regions, {
    ...QUICK_CHECKS,
    health: { ...QUICK_CHECKS.health, outlier },
  });
  const traffic = new Traffic({ port: site.proxy.port, clients: CLIENTS, pauseMs: 20 });
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
  judge(t, ledger, fleet);
  t.same(ledger.lost('GET'), []);
  const { log } = site.keeper(flapping.region);
  const lengths = log.filter(({ msg }) => msg === 'server ejected').map(({ forMs }) => forMs as number);
  t.comment(`ejections of ${lengths.join(', ')} ms`);
  // That they grow, and are forgotten after a good while, is told with time by hand (health/outlier).
  t.ok(
    lengths.every((ms) => ms >= 400 && ms <= 4000),
    'ejections are within their bounds',
  );
  const changes = log.filter(({ msg, server }) => server === flapping.url && msg !== 'access');
  // At most one of each kind a turn: unhealthy, ejected, back, healthy.
  t.ok(changes.length <= 4 * turns, `${changes.length} changes of state logged`);
}

async function lastOne(t: Test, { fleet, deploy }: Stage): Promise<void> {
  const regions = fleet.regions.map(({ id, servers }) => ({ id, servers: servers.slice(0, 1) }));
  const site = await deploy(t, regions, { health: { active: false } });
  await fleet.of('eu')[0]!.end('SIGKILL');
  const traffic = new Traffic({ port: site.proxy.port, clients: CLIENTS, requests: 200 });
  const ledger = await traffic.stop();
  judge(t, ledger, fleet);
  t.same(ledger.lost(), [], 'whom it refuses goes elsewhere');
  t.notOk(site.keeper('eu').log.some(({ msg }) => msg === 'server ejected'));
}

// One percent of the POSTs of the story.
const MOST_LOST_TO_A_STALL = 5;

async function closesIdle(t: Test, { fleet, deploy }: Stage): Promise<void> {
  // 1,000 requests instead of 10,000.
  await Promise.all(fleet.servers.map((server) => server.behave({ idleCloseMs: 5, answerMs: 1 })));
  const site = await deploy(t, fleet.regions, QUICK_CHECKS);
  const traffic = new Traffic({ port: site.proxy.port, clients: CLIENTS, requests: 1000, pauseMs: 5 });
  const ledger = await traffic.stop();
  judge(t, ledger, fleet);
  t.same(ledger.lost('GET'), []);
  // A POST that is under way while the server closes is lost to any proxy that executes none twice. The moment is
  // short where nothing stalls (0 or 1 of 500); it is as long as the stall where something does.
  t.comment(`${ledger.lost('POST').length} POST lost`);
  t.ok(ledger.lost('POST').length <= MOST_LOST_TO_A_STALL, 'POSTs lost are few');
}

/** Resolves when the proxy counts as many healthy servers in a region as `healthy` says. */
export async function untilHealthy(
  seen: () => Promise<number>,
  healthy: () => Promise<number>,
): Promise<void> {
  await until(
    async () => (await seen()) === (await healthy()),
    PATIENCE_MS,
    'the proxy has heard of the servers',
  );
}
