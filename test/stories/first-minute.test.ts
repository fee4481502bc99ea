// What a new user meets: the shipped configuration with sample servers, a server that dies, two proxies on
// one port, a disk that takes nothing.

import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { metricOf, serversOf } from '../rig/control.ts';
import { startFleet } from '../rig/fleet.ts';
import { freePorts } from '../rig/process-facts.ts';
import { proxyConfig, type RunningProxy, startProxy } from '../rig/proxy.ts';
import { Traffic, until } from '../rig/traffic.ts';

const fleet = await startFleet(t, { regions: ['eu', 'us'], servers: 1 });

const SHIPPED = join(import.meta.dirname, '..', '..', 'proxy.yaml');

t.test('the shipped configuration runs with sample servers, and without one of them', async (t) => {
  await fleet.reset();
  const text = readFileSync(SHIPPED, 'utf8');
  const used = [...new Set([...text.matchAll(/127\.0\.0\.1:(\d+)/g)].map(([, port]) => port!))];
  const ports = await freePorts(used.length);
  // The first server is one that runs already: it is left alone, and dies later.
  const own = fleet.servers[0]!;
  const first = used.indexOf('9101');
  let changed = text;
  for (const [i, port] of used.entries())
    changed = changed.replaceAll(`:${port}`, `:${i === first ? own.port : ports[i]}`);
  const folder = t.testdir({ 'proxy.yaml': `${changed}\nstate: { path: ${join(t.testdirName, 'data')} }\n` });
  const proxy = await startProxy(t, {}, { folder, args: ['--sample-servers'] });
  await until(() => proxy.errors().includes('Try:'), 5000, 'it says what to try');
  t.equal((proxy.errors().match(/^sample server /gm) ?? []).length, 5, 'five are started, the sixth runs');
  const curl = /curl -i (http:\S+)/.exec(proxy.errors())?.[1];
  const answer = await fetch(curl!, { headers: { 'x-user-id': '42' } });
  t.equal(answer.status, 200);
  t.match(answer.headers.get('via'), /foreshard/);
  t.equal(new Set((await serversOf(proxy.controlUrl)).map(({ id }) => id)).size, 6);
  await own.end('SIGKILL');
  for (let i = 0; i < 60; i++) {
    const { status } = await fetch(`${proxy.url}/orders/${i}`, { headers: { 'x-user-id': `user-${i}` } });
    if (status !== 200) t.fail(`request ${i}: ${status}`);
  }
  await until(
    async () =>
      (await serversOf(proxy.controlUrl)).some(({ id, health }) => id === own.url && health === 'unhealthy'),
    15_000,
    'the dead server is seen as dead',
  );
  t.same(await proxy.stop('SIGTERM'), { code: 0, signal: null });
});

t.test('two proxies with different configurations on one port share its connections', async (t) => {
  await fleet.reset();
  const [eu, us] = fleet.regions;
  const [port] = await freePorts(1);
  const listen = [{ address: `127.0.0.1:${port}` }];
  const one = await startProxy(t, proxyConfig({ listen, regions: [eu!] }));
  const other = await startProxy(t, proxyConfig({ listen, regions: [us!] }), { folder: folderFor(t) });
  t.not(other.controlUrl, '', 'another state, another control port: it does not follow');
  const ledger = await new Traffic({ port: port!, requests: 200, closes: true }).stop();
  t.same(ledger.lost(), []);
  t.same(ledger.mixed(), []);
  const counts = await Promise.all(
    [one, other].map((proxy) => metricOf(proxy.controlUrl, 'foreshard_requests_total')),
  );
  t.equal(counts[0]! + counts[1]!, 200);
  t.ok(Math.min(...counts) > 0, `${counts.join(' and ')} of 200`);
});

/** A second folder of one test. */
function folderFor(t: Test): string {
  const folder = join(t.testdirName, 'other');
  mkdirSync(folder);
  return folder;
}

async function servesOn(t: Test, proxy: RunningProxy): Promise<void> {
  const ledger = await new Traffic({ port: proxy.port, requests: 100 }).stop();
  t.same(ledger.lost(), []);
  t.not(proxy.controlUrl, '');
}

t.test('a state path that cannot be used does not keep a proxy from serving', async (t) => {
  await fleet.reset();
  const file = join(t.testdir({ file: '' }), 'file');
  const proxy = await startProxy(
    t,
    proxyConfig({ regions: fleet.regions, state: { path: join(file, 'data') } }),
    {
      folder: t.testdirName,
    },
  );
  await proxy.waitForLog(({ msg }) => msg === 'nothing can be kept on disk, serving without');
  await servesOn(t, proxy);
  t.same(await proxy.stop('SIGTERM'), { code: 0, signal: null });
});

t.test('a plan that cannot be written costs a line in the log', async (t) => {
  await fleet.reset();
  // A folder where the file should be: nobody can rename a file over it, not even root.
  const folder = t.testdir({ data: { 'plan.json': { inside: '' } } });
  const proxy = await startProxy(t, proxyConfig({ regions: fleet.regions }), { folder });
  await proxy.waitForLog(({ msg }) => msg === 'the plan could not be kept on disk');
  await servesOn(t, proxy);
});

t.test('a full disk costs what is kept on it, not the traffic', async (t) => {
  await fleet.reset();
  const disk = mkdtempSync(join(tmpdir(), 'foreshard-disk-'));
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=16k', 'tmpfs', disk]);
  if (mounted.status !== 0) {
    rmdirSync(disk);
    return t.pass('', { skip: 'no right to mount a small disk' });
  }
  t.teardown(() => {
    spawnSync('umount', ['-l', disk]);
    rmdirSync(disk);
  });
  try {
    writeFileSync(join(disk, 'filler'), Buffer.alloc(1_000_000));
  } catch {
    // Full, as intended.
  }
  const proxy = await startProxy(t, proxyConfig({ regions: fleet.regions, state: { path: disk } }));
  await proxy.waitForLog(({ level }) => level === 'error');
  await servesOn(t, proxy);
  t.same(await proxy.stop('SIGTERM'), { code: 0, signal: null });
});
