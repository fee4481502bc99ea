// What operators change while the proxy runs: regions that are drained, policies. It takes effect, is written down
// with its reason, survives a restart, and a contradiction is said.

import t from 'tap';
import { controlJson } from '../rig/control.ts';
import { until } from '../rig/engine-client.ts';
import { proxyConfig, type RunningProxy, startProxy } from '../rig/proxy.ts';
import { startServer } from '../rig/server.ts';
import { UNWATCHED } from '../rig/wire.ts';

const east = await startServer(t, 'east');
const west = await startServer(t, 'west');
const regions = [
  { id: 'east', servers: [east.url], capacity: 100, location: { lat: 0, lon: 0 } },
  { id: 'west', servers: [west.url], capacity: 100, location: { lat: 50, lon: 0 } },
];
const written = proxyConfig({
  // Without an engine a change of weights is whole at once.
  pae: { mode: 'off' },
  health: UNWATCHED,
  regions,
  shardingPolicies: [{ name: 'gold', policy: 'consistent_hash' }],
  routes: [{ id: 'orders', shardingPolicy: 'gold', key: { from: [{ header: 'x-key' }] } }],
});

interface Answer {
  readonly status: number;
  readonly etag: string | null;
  readonly body: Record<string, unknown> & { title?: string; revision?: number };
}

async function call(
  { controlUrl }: Pick<RunningProxy, 'controlUrl'>,
  method: string,
  path: string,
  { body, match }: { body?: unknown; match?: string } = {},
): Promise<Answer> {
  const answer = await fetch(`${controlUrl}${path}`, {
    method,
    headers: {
      ...(body !== undefined && { 'content-type': 'application/json' }),
      ...(match !== undefined && { 'if-match': match }),
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  return {
    status: answer.status,
    etag: answer.headers.get('etag'),
    body: (await answer.json()) as Answer['body'],
  };
}

/** Names of the servers that answer so many requests. */
async function served({ url }: RunningProxy, count = 60): Promise<Set<string>> {
  const names = new Set<string>();
  for (let i = 0; i < count; i++) {
    const answer = await fetch(`${url}/orders`, { headers: { 'x-key': `k${i}` } });
    names.add(((await answer.json()) as { name: string }).name);
  }
  return names;
}

/** Workers take a new snapshot a moment after it is said. */
async function untilServed(proxy: RunningProxy, wanted: readonly string[]): Promise<void> {
  for (let tries = 0; tries < 100; tries++) {
    if ([...(await served(proxy))].sort().join() === wanted.join()) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`not served by ${wanted.join()}`);
}

t.test(
  'a drained region gets nothing, over a restart, until it is taken back; all of it is written down',
  async (t) => {
    const proxy = await startProxy(t, written);
    await untilServed(proxy, ['east', 'west']);
    const refused = await call(proxy, 'POST', '/regions/east/drain', { body: {} });
    t.equal(refused.status, 400, 'a reason is required');
    for (const body of [{ reason: '  ' }, { reason: 'new disks', for: '0s' }])
      t.equal((await call(proxy, 'POST', '/regions/east/drain', { body })).status, 400, JSON.stringify(body));
    t.equal((await call(proxy, 'POST', '/regions/nowhere/drain', { body: { reason: 'x' } })).status, 404);
    const drained = await call(proxy, 'POST', '/regions/east/drain', {
      body: { reason: 'new disks', by: 'ann' },
    });
    t.match(drained, { status: 200, body: { override: { kind: 'drain', reason: 'new disks', by: 'ann' } } });
    await untilServed(proxy, ['west']);
    await proxy.stop();

    const again = await startProxy(t, {}, { folder: proxy.folder });
    t.strictSame([...(await served(again))], ['west'], 'from the first request on');
    const { regions: seen } = await controlJson<{ regions: Record<string, unknown>[] }>(
      again.controlUrl,
      '/regions',
    );
    t.match(seen[0], {
      id: 'east',
      configuredWeight: 1,
      weight: { base: 0 },
      override: { reason: 'new disks' },
    });
    const { owned } = (
      await controlJson<{ tables: { owned: Record<string, number> }[] }>(again.controlUrl, '/shards')
    ).tables[0]!;
    t.strictSame(owned, { east: 0, west: 4096 });
    const body = { weight: 3, reason: 'half of the racks' };
    t.equal((await call(again, 'POST', '/regions/east/weight', { body })).status, 200);
    await untilServed(again, ['east', 'west']);
    await call(again, 'POST', '/regions/west/maintenance', { body: { reason: 'short', for: '1ms' } });
    await call(again, 'POST', '/regions/east/undrain', { body: { reason: 'done' } });
    for (let tries = 0; ; tries++) {
      const { entries } = (await call(again, 'GET', '/audit')).body as {
        entries: { what: string; who: string }[];
      };
      if (entries.length >= 5) {
        t.strictSame(entries.map(({ what }) => what).sort(), [
          'region.drain',
          'region.maintenance',
          'region.undrain',
          'region.undrain',
          'region.weight',
        ]);
        t.match(entries.at(-1), {
          who: /^ann@/,
          target: 'east',
          from: null,
          to: { kind: 'drain' },
          why: 'new disks',
        });
        t.ok(
          entries.some(({ who }) => who === 'foreshard'),
          'what is over ends by itself',
        );
        break;
      }
      if (tries > 500) throw new Error('maintenance for 1 ms does not end');
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  },
);

t.test(
  'a policy is changed, tried first, raced for, rolled back, and stands apart from the file',
  async (t) => {
    const proxy = await startProxy(t, written);
    const path = '/sharding_policies/gold';
    const first = await call(proxy, 'GET', '/sharding_policies');
    t.match(first, {
      etag: '"0"',
      body: { policies: [{ name: 'gold', source: 'file', usedBy: ['orders'] }] },
    });
    await served(proxy, 20);
    const near = { policy: 'consistent_hash', geography: { near: { lat: 1, lon: 1 }, withinKm: 1000 } };
    const tried = await call(proxy, 'PUT', `${path}?dryRun=1`, { body: near });
    t.match(tried.body, {
      valid: true,
      diff: [{ route: 'orders', to: { regions: ['east'] } }],
      projectedUtilisation: { east: Number, west: 0 },
    });
    t.ok((tried.body.shardsMoved as number) > 1000 && (tried.body.shardsMoved as number) < 3000);
    const none = { geography: { near: { lat: -80, lon: 0 }, withinKm: 10 } };
    const empty = await call(proxy, 'PUT', `${path}?dryRun=1`, { body: none });
    t.match(empty.body, { valid: false, problems: [/leaves route orders no eligible region/] });
    t.match((await call(proxy, 'GET', path)).etag, '"0"', 'a dry run touches nothing');

    t.equal((await call(proxy, 'PUT', path, { body: near })).status, 428);
    const wrong = await call(proxy, 'PUT', path, { body: { colour: 'red' }, match: '"0"' });
    t.match(wrong, { status: 400, body: { title: /colour/ } });
    t.match(await call(proxy, 'PUT', path, { body: none, match: '"0"' }), { status: 422 });
    const racers = await Promise.all(
      ['ann', 'bob'].map((by) =>
        call(proxy, 'PUT', `${path}?by=${by}&reason=nearer`, { body: near, match: '"0"' }),
      ),
    );
    t.strictSame(racers.map(({ status }) => status).sort(), [200, 412], 'one of two that race');
    await untilServed(proxy, ['east']);
    const shown = await call(proxy, 'GET', path);
    t.match(shown, { etag: '"1"', body: { source: 'api', file: { policy: 'consistent_hash' }, api: near } });
    t.match((await call(proxy, 'DELETE', `${path}?dryRun=1`)).body, {
      diff: [{ route: 'orders', from: { regions: ['east'] }, to: { regions: null } }],
    });
    t.match(await call(proxy, 'PUT', '/sharding_policies/revisions', { body: near, match: '*' }), {
      status: 400,
      body: { title: /revisions is a resource/ },
    });
    t.equal((await call(proxy, 'DELETE', path, { match: '"1"' })).status, 200);
    await untilServed(proxy, ['east', 'west']);
    t.match((await call(proxy, 'GET', path)).body, { isDeleted: true, inForce: null });
    t.equal((await call(proxy, 'POST', '/sharding_policies/rollback/1', { match: '"2"' })).status, 200);
    await untilServed(proxy, ['east']);
    await proxy.stop();

    const again = await startProxy(t, {}, { folder: proxy.folder });
    t.strictSame([...(await served(again))], ['east'], 'from the first request on');
    const { revisions } = (await call(again, 'GET', '/sharding_policies/revisions')).body as {
      revisions: { revision: number; policies: object; why: string }[];
    };
    t.strictSame(
      revisions.map(({ revision, policies }) => [revision, policies]),
      [
        [3, { gold: near }],
        [2, { gold: null }],
        [1, { gold: near }],
      ],
    );
    // The file says something else of what was changed.
    again.writeConfig({ ...written, shardingPolicies: [{ name: 'gold', policy: 'round_robin' }] });
    const overruled = /gold of the file is not in force, it was changed at run time \(revision 3\)/;
    await again.waitForLog(({ problem }) => overruled.test(String(problem)));
    t.strictSame([...(await served(again))], ['east']);
    // The file takes away what the policy needs.
    again.writeConfig({ ...written, regions: [regions[1]] });
    const line = await again.waitForLog(({ msg }) => msg === 'configuration refused, the one in force stays');
    t.match(
      line.problem,
      /changed at run time does not fit: .*gold.* leaves route orders no eligible region/,
    );
    t.strictSame([...(await served(again))], ['east']);
    const refused = (await call(again, 'GET', '/sharding_policies')).body;
    t.match(refused, { refusedReload: { problems: [/gold.* leaves route orders no eligible region/] } });
    t.equal((await call(again, 'POST', '/sharding_policies/rollback/99', { match: '*' })).status, 404);
    t.equal((await call(again, 'POST', '/sharding_policies/rollback/0', { match: '*' })).status, 200);
    await untilServed(again, ['east', 'west']);
    again.writeConfig({ ...written, workers: 0 });
    await until(async () => {
      const { refusedReload } = (await call(again, 'GET', '/sharding_policies')).body as {
        refusedReload: { problems: string[] } | null;
      };
      return refusedReload?.problems.some((problem) => problem.includes('workers')) || undefined;
    }, 'what is wrong with the file is told');
    again.writeConfig(written);
    await until(async () => {
      const { refusedReload } = (await call(again, 'GET', '/sharding_policies')).body as {
        refusedReload: object | null;
      };
      return refusedReload === null || undefined;
    }, 'the file is in force');
  },
);
