// Operators beside an engine of its own: what is said to the engine reaches every proxy by the plan; a proxy that is
// told to drain obeys at once for itself, whatever the engine's plan says, and says that it is only for itself.

import { join } from 'node:path';
import t, { type Test } from 'tap';
import { controlJson } from '../rig/control.ts';
import { post, until } from '../rig/engine-client.ts';
import { proxyConfig, type RunningProxy, startProxy } from '../rig/proxy.ts';
import { startServer } from '../rig/server.ts';

const REGIONS = ['a', 'b', 'c'];
const KEYS = Array.from({ length: 60 }, (_, i) => `key-${i}`);
const PAE = { mode: 'auto', evaluateEvery: '300ms', planTtl: '60s', horizon: '10s' };

interface Site {
  readonly engine: RunningProxy;
  readonly proxies: readonly RunningProxy[];
  startEngine(): Promise<RunningProxy>;
}

async function site(t: Test): Promise<Site> {
  const regions = await Promise.all(
    REGIONS.map(async (id) => {
      const server = await startServer(t, id, (_request, response) => response.end(id));
      return { id, capacity: 1000, servers: [server.url] };
    }),
  );
  const parts = { regions, sharding: { policy: 'consistent_hash', shiftPeriod: '300ms' } };
  const routes = [{ id: 'all', shardingPolicy: 'gold' }];
  const shardingPolicies = [{ name: 'gold' }];
  const root = t.testdir({ engine: {}, one: {}, other: {} });
  const folder = join(root, 'engine');
  const startEngine = (): Promise<RunningProxy> =>
    startProxy(
      t,
      proxyConfig({ ...parts, shardingPolicies, routes, pae: { ...PAE, listen: '127.0.0.1:0' } }),
      {
        command: 'pae',
        folder,
      },
    );
  const engine = await startEngine();
  const config = proxyConfig({
    ...parts,
    shardingPolicies,
    routes,
    pae: { ...PAE, source: engine.url },
    paeUpdateInterval: '200ms',
  });
  const proxies = await Promise.all(
    ['one', 'other'].map((name) => startProxy(t, config, { folder: join(root, name) })),
  );
  for (const { controlUrl } of proxies) {
    await until(async () => {
      const [own, theirs] = await Promise.all([planOf(controlUrl), planOf(engine.url)]);
      return own.incarnation === theirs.incarnation || undefined;
    }, "the engine's plan");
  }
  return { engine, proxies, startEngine };
}

interface PlanView {
  readonly incarnation: string;
  readonly regions: readonly { readonly id: string; readonly weight: number; readonly baseWeight: number }[];
}

const planOf = (url: string): Promise<PlanView> => controlJson<PlanView>(url, '/plan');

async function placesOf({ url }: RunningProxy): Promise<Set<string>> {
  const places = await Promise.all(
    KEYS.map(async (key) => (await fetch(`${url}/x`, { headers: { 'x-shard-key': key } })).text()),
  );
  return new Set(places);
}

const without = (proxy: RunningProxy, region: string): Promise<true> =>
  until(async () => !(await placesOf(proxy)).has(region) || undefined, `no key in ${region}`);
const withAll = (proxy: RunningProxy): Promise<true> =>
  until(async () => (await placesOf(proxy)).size === REGIONS.length || undefined, 'keys in every region');

t.test('a proxy drains for itself, at once, and the plan is as it was', async (t) => {
  const { engine, proxies } = await site(t);
  const [one, other] = proxies as [RunningProxy, RunningProxy];
  const drained = await post(`${one.controlUrl}/regions/a/drain`, { reason: 'new disks' });
  t.match(drained, { status: 200, body: { scope: 'this_proxy', override: { kind: 'drain' } } });
  await without(one, 'a');
  await withAll(other);
  t.match((await planOf(engine.url)).regions[0], { id: 'a', weight: 1, baseWeight: 1 });
  const { regions } = await controlJson<{ regions: object[] }>(one.controlUrl, '/regions');
  t.match(regions[0], { id: 'a', weight: { desired: 0, effective: 0 }, override: { reason: 'new disks' } });
  const heavier = await post(`${one.controlUrl}/regions/b/weight`, { reason: 'x', weight: 0.5 });
  t.match(heavier, { status: 409, body: { title: /engine at pae.source makes/ } });
  const off = await post(`${one.controlUrl}/regions/b/maintenance`, { reason: 'x' });
  t.match(off, { status: 200 });
  await without(one, 'b');
  for (const id of ['a', 'b']) await post(`${one.controlUrl}/regions/${id}/undrain`, { reason: 'done' });
  await withAll(one);
});

t.test('what is said to the engine is part of the plan, for every proxy, over its restart', async (t) => {
  const { engine, proxies, startEngine } = await site(t);
  t.equal((await post(`${engine.url}/regions/nowhere/drain`, { reason: 'x' })).status, 404);
  const drained = await post(`${engine.url}/regions/b/drain`, { reason: 'new disks', by: 'ann' });
  t.match(drained, { status: 200, body: { scope: 'plan', override: { kind: 'drain' } } });
  for (const proxy of proxies) await without(proxy, 'b');
  t.match((await planOf(engine.url)).regions[1], { id: 'b', weight: 0, baseWeight: 0 });
  t.match(await controlJson(engine.url, '/audit'), {
    entries: [{ what: 'region.drain', target: 'b', why: 'new disks', who: /^ann@/ }],
  });
  const event = {
    kind: 'campaign',
    title: 'Sale',
    start: '2030-01-01T00:00:00Z',
    end: '2030-01-02T00:00:00Z',
  };
  const added = await post(`${engine.url}/external_events?by=bob&reason=mail+of+today`, event);
  const { id } = added.body as { id: string };
  await fetch(`${engine.url}/external_events/${id}?by=bob`, { method: 'DELETE' });
  await post(`${engine.url}/plan/freeze`, { by: 'ann', reason: 'a release' });
  await post(`${engine.url}/plan/unfreeze`, {});
  t.match(await controlJson(engine.url, '/audit?limit=4'), {
    entries: [
      { what: 'plan.unfreeze', who: /^operator@/, from: { frozen: true }, to: { frozen: false } },
      { what: 'plan.freeze', who: /^ann@/, why: 'a release', from: { frozen: false }, to: { frozen: true } },
      { what: 'event.remove', target: id, from: { title: 'Sale' }, to: null },
      {
        what: 'event.add',
        target: id,
        who: /^bob@/,
        why: 'mail of today',
        from: null,
        to: { title: 'Sale' },
      },
    ],
  });
  const { code } = await engine.stop('SIGTERM');
  t.equal(code, 0);
  const again = await startEngine();
  const { regions } = await until(
    async () => controlJson<{ regions: object[] }>(again.url, '/regions'),
    'the engine',
  );
  t.match(regions[1], {
    id: 'b',
    configuredWeight: 1,
    weight: { base: 0, desired: 0 },
    override: { by: 'ann' },
  });
  t.equal((await post(`${again.url}/regions/b/undrain`, { reason: 'done' })).status, 200);
  await until(
    async () => (await planOf(again.url)).regions[1]!.weight === 1 || undefined,
    'the weight that the file says',
  );
});

t.test(
  'a policy that the plan of the engine has no table for is refused, not served without it',
  async (t) => {
    const { proxies } = await site(t);
    const [proxy] = proxies as [RunningProxy];
    const put = (body: object): Promise<Response> =>
      fetch(`${proxy.controlUrl}/sharding_policies/gold`, {
        method: 'PUT',
        headers: { 'content-type': 'application/json', 'if-match': '*' },
        body: JSON.stringify(body),
      });
    const answer = await put({ regions: ['a', 'b'] });
    t.equal(answer.status, 409);
    t.match(await answer.json(), { title: /knows the policies of its own file only.*a,b/ });
    t.match(await (await put({ thresholds: { low: 0.1 } })).json(), {
      status: 409,
      title: /with thresholds 0.1/,
    });
    t.equal((await put({ priority: 'high' })).status, 200);
  },
);

t.test('a region that is drained while the engine still starts is drained for the engine, too', async (t) => {
  const regions = await Promise.all(
    REGIONS.map(async (id) => ({ id, servers: [(await startServer(t, id)).url] })),
  );
  const proxy = await startProxy(t, proxyConfig({ regions, pae: PAE, sharding: { shiftPeriod: '0s' } }));
  t.equal((await post(`${proxy.controlUrl}/regions/a/drain`, { reason: 'at once' })).status, 200);
  await until(async () => {
    const { planning } = await controlJson<{ planning: { weights: { id: string; base: number }[] } }>(
      proxy.controlUrl,
      '/risk_scores',
    );
    return planning.weights.some(({ id, base }) => id === 'a' && base === 0) || undefined;
  }, 'an engine that knows');
});
