// A configuration that changes under load: figure F7 of http-rules.md, and the ways in which a file is
// changed: a signal, an editor's rename, Kubernetes' swap of a link. Also what is wrong at the start.

import { mkdirSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { stringify } from 'yaml';
import { controlJson, metricOf, serversOf } from '../rig/control.ts';
import { startFleet } from '../rig/fleet.ts';
import { proxyConfig, type RunningProxy, runToEnd, startProxy } from '../rig/proxy.ts';
import { pause, Traffic, until } from '../rig/traffic.ts';

const fleet = await startFleet(t);

const applied = (proxy: RunningProxy): Promise<number> =>
  metricOf(proxy.controlUrl, 'foreshard_config_generation');
const refused = (proxy: RunningProxy): Promise<number> =>
  metricOf(proxy.controlUrl, 'foreshard_config_rejected_total');

t.test('F7: 100 reloads under load, every fifth invalid', async (t) => {
  await fleet.reset();
  const base = proxyConfig({ debugHeaders: true, limits: { headerTimeout: '30s' } });
  // Two versions that share one region: a request that read both would be seen in a region of the other.
  const version = (isOdd: boolean): object => ({
    ...base,
    regions: fleet.regions.filter(({ id }) => id !== (isOdd ? 'us' : 'ap')),
  });
  // All of it is right but for one word, so that half of it could be taken.
  const wrong = { ...version(true), regions: fleet.regions, healthCheckInterval: 'soon' };
  const proxy = await startProxy(t, version(true));
  const traffic = new Traffic({ port: proxy.port });
  await traffic.more(100);
  for (let i = 1; i <= 100; i++) {
    proxy.writeConfig(i % 5 === 0 ? wrong : version(i % 2 === 1));
    proxy.child.kill('SIGHUP');
    await pause(20);
  }
  proxy.writeConfig(version(false));
  proxy.child.kill('SIGHUP');
  await until(
    async () => (await regionIds(proxy)).join() === 'eu,us',
    10_000,
    'the last version is in force',
  );
  await traffic.more(100);
  const ledger = await traffic.stop();
  t.comment(ledger.summary());
  t.comment(`${await applied(proxy)} applied, ${await refused(proxy)} refused`);
  t.ok((await applied(proxy)) > 10 && (await refused(proxy)) > 2, 'many of them were seen');
  t.same(ledger.broken(), [], 'no connection is reset');
  t.same(ledger.lost(), []);
  t.same(ledger.doubled(fleet), []);
  t.same(ledger.mixed(), []);
  t.notOk(
    ledger.entries.some(({ route, server }) => !server!.startsWith(/region=([a-z]+)/.exec(route!)![1]!)),
    'a server is one of the region that was decided',
  );
  const regionsOf = new Map<string, Set<string>>();
  for (const { route } of ledger.entries) {
    const generation = /generation=(\d+)/.exec(route!)![1]!;
    regionsOf.set(
      generation,
      (regionsOf.get(generation) ?? new Set()).add(/region=([a-z]+)/.exec(route!)![1]!),
    );
  }
  t.notOk(
    [...regionsOf.values()].some((regions) => regions.has('ap') && regions.has('us')),
    'a request sees one version',
  );
});

async function regionIds(proxy: RunningProxy): Promise<string[]> {
  const { regions } = await controlJson<{ regions: { id: string }[] }>(proxy.controlUrl, '/regions');
  return regions.map(({ id }) => id);
}

t.test('health, ejections and counters survive a reload', async (t) => {
  await fleet.reset();
  const [dead, ...others] = fleet.of('eu');
  await dead!.end('SIGKILL');
  const config = proxyConfig({ regions: fleet.regions, healthCheckInterval: '500ms' });
  const proxy = await startProxy(t, config);
  const traffic = new Traffic({ port: proxy.port, requests: 200 });
  await traffic.stop();
  await until(
    async () => (await serversOf(proxy.controlUrl)).some(({ health }) => health === 'unhealthy'),
    10_000,
    'the dead server is known to be dead',
  );
  const viewOf = async (): Promise<object> => ({
    requests: await metricOf(proxy.controlUrl, 'foreshard_requests_total'),
    ejections: await metricOf(proxy.controlUrl, 'foreshard_ejections_total'),
    servers: (await serversOf(proxy.controlUrl)).map(({ id, health, attempts }) => ({
      id,
      health,
      attempts,
    })),
  });
  const before = await viewOf();
  proxy.writeConfig({ ...config, log: { access: 'all' } });
  proxy.child.kill('SIGHUP');
  await until(async () => (await applied(proxy)) === 2, 5000, 'the change is in force');
  t.same(await viewOf(), before);
  t.match(before, { requests: 200 });
  t.equal(others.length, 1);
});

t.test('turning active checks off forgets their verdicts', async (t) => {
  await fleet.reset();
  const dead = fleet.of('eu')[0]!;
  await dead.end('SIGKILL');
  const config = proxyConfig({ regions: fleet.regions, healthCheckInterval: '500ms' });
  const proxy = await startProxy(t, config);
  const healthOf = async (): Promise<string> =>
    (await serversOf(proxy.controlUrl)).find(({ id }) => id === dead.url)!.health;
  await until(async () => (await healthOf()) === 'unhealthy', 10_000, 'probes have failed');
  proxy.writeConfig({ ...config, health: { active: false } });
  proxy.child.kill('SIGHUP');
  await until(async () => (await healthOf()) === 'unknown', 5000, 'nobody knows any more');
  proxy.writeConfig(config);
  proxy.child.kill('SIGHUP');
  await until(async () => (await healthOf()) === 'unhealthy', 10_000, 'probes run again');
});

t.test('a reload is seen without a signal, after a rename and after a swap of links', async (t) => {
  await fleet.reset();
  const config = proxyConfig({ regions: fleet.regions });
  const graced = (seconds: number): object => ({ ...config, shutdown: { grace: `${seconds}s` } });
  // Made once: a folder that is made anew is emptied first, under whoever writes into it.
  const folder = t.testdir({ plain: {}, mount: { '..1': {} } });
  const proxy = await startProxy(t, graced(1), { folder: join(folder, 'plain') });
  proxy.writeConfig(graced(2));
  await until(async () => (await applied(proxy)) === 2, 10_000, 'the renamed file is in force');

  // As a mounted ConfigMap: proxy.yaml -> ..data/proxy.yaml, ..data -> a folder with a date in its name.
  const mount = join(folder, 'mount');
  const text = (seconds: number): string =>
    stringify({ ...graced(seconds), state: { path: join(folder, 'data') } });
  writeFileSync(join(mount, '..1', 'proxy.yaml'), text(1));
  symlinkSync('..1', join(mount, '..data'));
  symlinkSync('..data/proxy.yaml', join(mount, 'proxy.yaml'));
  const mounted = await startProxy(t, {}, { folder: mount });
  mkdirSync(join(mount, '..2'));
  writeFileSync(join(mount, '..2', 'proxy.yaml'), text(3));
  symlinkSync('..2', join(mount, '..data_tmp'));
  renameSync(join(mount, '..data_tmp'), join(mount, '..data'));
  await until(async () => (await applied(mounted)) === 2, 10_000, 'the swapped link is in force');
  mkdirSync(join(mount, '..3'));
  writeFileSync(join(mount, '..3', 'proxy.yaml'), 'listen: nowhere\n');
  symlinkSync('..3', join(mount, '..data_tmp'));
  renameSync(join(mount, '..data_tmp'), join(mount, '..data'));
  await until(async () => (await refused(mounted)) === 1, 10_000, 'the wrong one is refused');
  t.equal(await applied(mounted), 2);
  await mounted.waitForLog(({ msg }) => msg.startsWith('configuration refused'), 5000);
});

t.test('a wrong configuration at the start: every problem is said at once, and the exit is 1', async (t) => {
  const path = join(t.testdir({}), 'proxy.yaml');
  writeFileSync(
    path,
    [
      'listen: [ { address: "127.0.0.1:0" } ]',
      'wrokers: 2',
      'regions: [ { id: a, servers: [ nonsense ] } ]',
      'healthCheckInterval: soon',
      '',
    ].join('\n'),
  );
  const { code, errors } = await runToEnd(['proxy', '--config', path]);
  t.equal(code, 1);
  t.match(errors, /proxy\.yaml:2:\d+: .*wrokers.*workers/);
  t.match(errors, /proxy\.yaml:3:\d+: .*nonsense/);
  t.match(errors, /proxy\.yaml:4:\d+: .*soon/);
});
