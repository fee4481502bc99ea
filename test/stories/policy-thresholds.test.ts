// Policies with risk thresholds of their own: their traffic leaves a region that others still use, set in the file or
// while the proxy runs; tried before, a change says what it would move.

import t, { type Test } from 'tap';
import { controlJson } from '../rig/control.ts';
import { post, until } from '../rig/engine-client.ts';
import { proxyConfig, type RunningProxy, startProxy } from '../rig/proxy.ts';
import { startServer } from '../rig/server.ts';

const REGIONS = ['a', 'b', 'c'];
const KEYS = Array.from({ length: 90 }, (_, i) => `key-${i}`);
const CAREFUL = { low: 0.05, high: 0.15 };
// A machine that stalls makes answers late: guards that looked at it would take shifts back.
const STALLING = { errors: '100%', p99: 100, utilisation: '200%' };

async function configOf(t: Test, policies: object[], parts: object = {}): Promise<Record<string, unknown>> {
  const regions = await Promise.all(
    REGIONS.map(async (id) => {
      const server = await startServer(t, id, (_request, response) => response.end(id));
      return { id, capacity: 1000, servers: [server.url] };
    }),
  );
  return proxyConfig({
    regions,
    sharding: { policy: 'consistent_hash', shiftPeriod: '500ms', guards: STALLING },
    pae: {
      mode: 'auto',
      evaluateEvery: '300ms',
      planTtl: '60s',
      horizon: '10s',
      thresholds: { dwell: '1s' },
    },
    shardingPolicies: policies,
    routes: [
      { id: 'careful', match: { path: '/careful' }, shardingPolicy: 'careful' },
      { id: 'others', match: { path: '/**' } },
    ],
    ...parts,
  });
}

/** How many keys of a path each region serves. */
async function placesOf(proxy: RunningProxy, path: string): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const key of KEYS) {
    const place = await (await fetch(`${proxy.url}${path}`, { headers: { 'x-shard-key': key } })).text();
    counts[place] = (counts[place] ?? 0) + 1;
  }
  return counts;
}

/** A storm over region b: a risk of 0.2, below every threshold of all. */
async function storm(proxy: RunningProxy): Promise<string> {
  const now = Date.now();
  const [start, end] = [now - 1000, now + 3_600_000].map((at) => new Date(at).toISOString());
  const event = { kind: 'weather', title: 'storm', severity: 1, regions: ['b'], start, end };
  return until(async () => {
    const { status, body } = await post(`${proxy.controlUrl}/external_events`, event);
    return status === 201 ? String(body.id) : undefined;
  }, 'an engine that takes events');
}

interface ShardsView {
  readonly tables: readonly {
    readonly id: string;
    readonly owned: Readonly<Record<string, number>>;
    readonly shift?: object;
  }[];
}

const ownedBy = async (
  proxy: RunningProxy,
  id: RegExp,
): Promise<Readonly<Record<string, number>> | undefined> => {
  const { tables } = await controlJson<ShardsView>(proxy.controlUrl, '/shards');
  const table = tables.find((one) => id.test(one.id));
  return table?.shift === undefined ? table?.owned : undefined;
};

const untilLeft = (proxy: RunningProxy): Promise<Readonly<Record<string, number>>> =>
  until(async () => {
    const owned = await ownedBy(proxy, /^all@/);
    return owned !== undefined && owned.b! < 400 ? owned : undefined;
  }, 'the careful ones to have left b');

t.test('in a storm the careful leave and the others stay; afterwards all are back', async (t) => {
  const proxy = await startProxy(t, await configOf(t, [{ name: 'careful', thresholds: CAREFUL }]));
  const id = await storm(proxy);
  await untilLeft(proxy);
  t.strictSame(await ownedBy(proxy, /^all$/), { a: 1366, b: 1365, c: 1365 });
  const careful = await placesOf(proxy, '/careful');
  const others = await placesOf(proxy, '/x');
  t.ok((careful.b ?? 0) < 12, `${careful.b} of ${KEYS.length} keys are left, the tenth that watches`);
  t.ok(others.b! > 15, `${others.b} keys of others are there`);
  const explained = await post(`${proxy.controlUrl}/explain`, { method: 'GET', url: '/careful' });
  t.match(
    explained.body,
    { regions: [{}, { region: 'b', weight: 0.1 }, {}] },
    'with the weight of this traffic',
  );
  await fetch(`${proxy.controlUrl}/external_events/${id}`, { method: 'DELETE' });
  await until(async () => ((await ownedBy(proxy, /^all@/))?.b === 1365 ? true : undefined), 'the return');
});

t.test('thresholds are set and taken back while the proxy runs, and tried before', async (t) => {
  const proxy = await startProxy(t, await configOf(t, [{ name: 'careful' }]));
  await storm(proxy);
  await until(async () => {
    const { planning } = await controlJson<{ planning: { weights: { id: string; actedRisk: number }[] } }>(
      proxy.controlUrl,
      '/risk_scores',
    );
    return planning.weights.some(({ id, actedRisk }) => id === 'b' && actedRisk > 0.15) || undefined;
  }, 'the risk');
  const put = (query: string, body: object, match = '*'): Promise<Response> =>
    fetch(`${proxy.controlUrl}/sharding_policies/careful?${query}`, {
      method: 'PUT',
      headers: { 'content-type': 'application/json', 'if-match': match },
      body: JSON.stringify(body),
    });
  const tried = (await (await put('dryRun=1', { thresholds: CAREFUL })).json()) as Record<string, unknown>;
  t.match(tried, {
    valid: true,
    diff: [{ route: 'careful', to: { thresholds: CAREFUL } }],
    violatedPolicies: [],
  });
  t.ok(Number(tried.shardsMoved) > 900 && Number(tried.shardsMoved) < 1400, `${tried.shardsMoved} shards`);
  const wrong = await put('dryRun=1', { thresholds: { low: 0.8 } });
  t.match(await wrong.json(), {
    valid: false,
    problems: [/low < high <= evict, given 0.8, 0.7, 0.9/],
    violatedPolicies: [{ policy: 'careful', route: 'careful', rule: 'thresholds' }],
  });
  t.equal(await ownedBy(proxy, /^all@/), undefined, 'nothing was touched');
  t.equal((await put('reason=storm', { thresholds: CAREFUL })).status, 200);
  await untilLeft(proxy);
  const careful = await placesOf(proxy, '/careful');
  t.ok((careful.b ?? 0) < 12, `${careful.b} keys`);
  t.equal((await put('reason=over', {})).status, 200);
  await until(async () => ((await placesOf(proxy, '/careful')).b ?? 0) > 15 || undefined, 'the table of all');
});
