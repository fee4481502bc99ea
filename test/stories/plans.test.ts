// Plans, whole: what an engine foresees moves keys before it happens; an operator has the last word; without the
// engine nothing moves for a ttl and then only what has to go home.

import { createHmac } from 'node:crypto';
import { join } from 'node:path';
import tap, { type Test } from 'tap';
import { controlJson, metricOf } from '../rig/control.ts';
import { post, until } from '../rig/engine-client.ts';
import { proxyConfig, type RunningProxy, startProxy } from '../rig/proxy.ts';
import { startServer } from '../rig/server.ts';

const REGIONS = ['a', 'b', 'c'];
const KEYS = Array.from({ length: 60 }, (_, i) => `key-${i}`);
// A machine that stalls makes answers late: guards that looked at it would take shifts back.
const STALLING = { errors: '100%', p99: 100, utilisation: '200%' };
const PAE = {
  mode: 'auto',
  evaluateEvery: '300ms',
  planTtl: '60s',
  horizon: '10s',
  thresholds: { dwell: '1s' },
};

interface PlanView {
  readonly incarnation: string;
  readonly generation: number;
  readonly mode: string;
  readonly regions: readonly { readonly id: string; readonly weight: number }[];
  readonly tables: readonly { readonly owners: string; readonly shift?: object }[];
}

/** Three regions of one server each, which answers with its region. */
async function site(t: Test): Promise<object[]> {
  return Promise.all(
    REGIONS.map(async (id) => {
      const server = await startServer(t, id, (_request, response) => response.end(id));
      return { id, capacity: 1000, servers: [server.url] };
    }),
  );
}

function autoConfig(regions: object[], parts: object = {}): Record<string, unknown> {
  return proxyConfig({
    regions,
    pae: PAE,
    sharding: { policy: 'consistent_hash', shiftPeriod: '500ms', guards: STALLING },
    healthCheckInterval: '200ms',
    ...parts,
  });
}

/** Region that serves each key now. */
async function placesOf(proxy: RunningProxy): Promise<string[]> {
  return Promise.all(
    KEYS.map(async (key) => {
      const answer = await fetch(`${proxy.url}/x`, { headers: { 'x-shard-key': key } });
      return answer.text();
    }),
  );
}

const planOf = (url: string): Promise<PlanView> => controlJson<PlanView>(url, '/plan');

async function weightOf(url: string, region: string): Promise<number> {
  return (await planOf(url)).regions.find(({ id }) => id === region)!.weight;
}

/** Announces that a region will be off for an hour. @returns the event's id. */
async function announce(url: string, region: string): Promise<string> {
  const now = Date.now();
  const event = {
    kind: 'maintenance',
    title: 'new disks',
    regions: [region],
    start: new Date(now + 5000).toISOString(),
    end: new Date(now + 3_600_000).toISOString(),
  };
  return until(async () => {
    const { status, body } = await post(`${url}/external_events`, event);
    return status === 201 ? String(body.id) : undefined;
  }, 'an engine that takes events');
}

const settled = (proxy: RunningProxy): Promise<true> =>
  until(
    async () =>
      (await planOf(proxy.controlUrl)).tables.every(({ shift }) => shift === undefined) ? true : undefined,
    'the end of the shift',
  );

tap.test(
  'an announced maintenance empties its region before it begins, and only its keys move',
  async (t) => {
    const proxy = await startProxy(t, autoConfig(await site(t)));
    const before = await placesOf(proxy);
    t.strictSame([...new Set(before)].sort(), REGIONS, 'every region has keys');
    const id = await announce(proxy.controlUrl, 'b');
    await until(
      async () => ((await weightOf(proxy.controlUrl, 'b')) === 0 ? true : undefined),
      'the eviction',
    );
    await settled(proxy);
    const during = await placesOf(proxy);
    t.notOk(during.includes('b'), 'nobody is sent there any more');
    t.ok(
      before.every((place, i) => place === 'b' || place === during[i]),
      'nobody else has moved',
    );
    t.ok((await metricOf(proxy.controlUrl, 'foreshard_shard_moves_total', 'reason="risk"')) > 1000);
    t.equal(await metricOf(proxy.controlUrl, 'foreshard_region_weight', 'region="b",kind="effective"'), 0);

    await fetch(`${proxy.controlUrl}/external_events/${id}`, { method: 'DELETE' });
    await until(async () => ((await weightOf(proxy.controlUrl, 'b')) === 1 ? true : undefined), 'the return');
    await settled(proxy);
    const after = await placesOf(proxy);
    t.ok(after.includes('b'), 'called off: the region has keys again');
  },
);

tap.test('an operator freezes, lets go, and goes back to earlier weights', async (t) => {
  const proxy = await startProxy(t, autoConfig(await site(t)));
  const command = (name: string, body: object = {}): ReturnType<typeof post> =>
    post(`${proxy.controlUrl}/plan/${name}`, body);
  // Its first plan comes a moment before it answers questions.
  const frozen = await until(async () => {
    const answer = await command('freeze');
    return answer.status === 200 ? answer : undefined;
  }, 'an engine that obeys');
  t.match(frozen, { body: { frozen: true } });
  await announce(proxy.controlUrl, 'b');
  const risky = await until(async () => {
    const { planning } = await controlJson<{ planning: { weights: { id: string; risk: number }[] } }>(
      proxy.controlUrl,
      '/risk_scores',
    );
    return planning.weights.find(({ id, risk }) => id === 'b' && risk === 0);
  }, 'the wish to evict');
  t.ok(risky);
  t.equal(await weightOf(proxy.controlUrl, 'b'), 1, 'frozen: it stays a wish');
  t.match(await command('unfreeze'), { status: 200, body: { frozen: false } });
  await until(async () => ((await weightOf(proxy.controlUrl, 'b')) === 0 ? true : undefined), 'the eviction');
  await settled(proxy);
  t.match(await command('rollback'), { status: 200, body: { frozen: true } }, 'back, and frozen there');
  await until(
    async () => ((await weightOf(proxy.controlUrl, 'b')) === 1 ? true : undefined),
    'the weights before',
  );
  t.match(await command('rollback', { generation: 99_999 }), { status: 409 });
  t.match(await command('rollback', { generation: 'x' }), { status: 400 });
  t.match(await command('accept'), { status: 409, body: { title: /not advisory/ } });
});

tap.test('in advisory mode nothing moves until an operator accepts', async (t) => {
  const proxy = await startProxy(t, autoConfig(await site(t), { pae: { ...PAE, mode: 'advisory' } }));
  await announce(proxy.controlUrl, 'c');
  await until(async () => {
    const { planning } = await controlJson<{ planning: { proposed: Record<string, number> } }>(
      proxy.controlUrl,
      '/risk_scores',
    );
    return planning.proposed.c === 0 ? true : undefined;
  }, 'the proposal');
  t.equal(await weightOf(proxy.controlUrl, 'c'), 1);
  t.match(await post(`${proxy.controlUrl}/plan/accept`, {}), { status: 200 });
  await until(
    async () => ((await weightOf(proxy.controlUrl, 'c')) === 0 ? true : undefined),
    'what was accepted',
  );
});

tap.test('proxies of one engine place every key alike, and go on without it', async (t) => {
  const regions = await site(t);
  const sharding = { policy: 'consistent_hash', shiftPeriod: '500ms', guards: STALLING };
  const engineConfig = { pae: { ...PAE, listen: '127.0.0.1:0' }, regions, sharding };
  const root = t.testdir({ engine: {}, one: {}, other: {} });
  const engine = await startProxy(t, proxyConfig(engineConfig), {
    command: 'pae',
    folder: join(root, 'engine'),
  });
  const pae = { ...PAE, source: engine.url, planTtl: '3s' };
  const config = autoConfig(regions, { pae, paeUpdateInterval: '200ms' });
  const proxies = await Promise.all(
    ['one', 'other'].map((name) => startProxy(t, config, { folder: join(root, name) })),
  );
  const tagOf = async (url: string): Promise<string> => {
    const { incarnation, generation } = await planOf(url);
    return `${incarnation}.${generation}`;
  };
  const agreed = (): Promise<true> =>
    until(async () => {
      const tags = await Promise.all([engine.url, ...proxies.map(({ controlUrl }) => controlUrl)].map(tagOf));
      return new Set(tags).size === 1 ? true : undefined;
    }, 'one plan everywhere');
  await agreed();
  t.strictSame(await placesOf(proxies[0]!), await placesOf(proxies[1]!));
  await announce(engine.url, 'a');
  await until(async () => ((await weightOf(engine.url, 'a')) === 0 ? true : undefined), 'the eviction');
  await agreed();
  await settled(proxies[0]!);
  const places = await placesOf(proxies[0]!);
  t.strictSame(places, await placesOf(proxies[1]!));
  t.notOk(places.includes('a'));

  await engine.stop('SIGKILL');
  const [proxy] = proxies;
  const stale = (): Promise<number> => metricOf(proxy!.controlUrl, 'foreshard_plan_stale');
  await until(async () => ((await stale()) === 1 ? true : undefined), 'the end of the ttl');
  await proxy!.waitForLog(({ reason }) => reason === 'plan_stale');
  const home = await until(async () => {
    const now = await placesOf(proxy!);
    return now.filter((place) => place === 'a').length > 10 ? now : undefined;
  }, 'the keys that go home');
  t.ok(
    home.every((place, i) => place === 'a' || place === places[i]),
    'and no others',
  );
  t.ok((await metricOf(proxy!.controlUrl, 'foreshard_plan_pulls_total', 'result="failed"')) > 0);
});

tap.test('a plan that is none is refused whole and counted; requests never notice', async (t) => {
  const regions = await site(t);
  const source = await startServer(t, 'engine', ({ url }, response) => {
    if (!url.startsWith('/plan')) return response.writeHead(202).end();
    return response.end('{"incarnation":"01J","generation":1,"tables":[]}');
  });
  const pae = { ...PAE, source: source.url };
  const proxy = await startProxy(t, autoConfig(regions, { pae, paeUpdateInterval: '100ms' }));
  const refused = (): Promise<number> =>
    metricOf(proxy.controlUrl, 'foreshard_plan_rejected_total', 'reason="invalid"');
  await until(async () => ((await refused()) > 1 ? true : undefined), 'the refusal');
  await proxy.waitForLog(({ msg }) => msg === 'plan refused, the one in force stays');
  t.strictSame([...new Set(await placesOf(proxy))].sort(), REGIONS);
});

tap.test('owners are told which key ranges are about to move', async (t) => {
  const told: {
    shift: string;
    moves: { from: string; to: string; ranges: [string, string][]; shards: number }[];
  }[] = [];
  const listener = await startServer(t, 'owner', ({ body }, response) => {
    told.push(JSON.parse(body.toString()));
    response.end();
  });
  const sharding = {
    policy: 'consistent_hash',
    shiftPeriod: '500ms',
    guards: STALLING,
    notify: `${listener.url}/moves`,
  };
  const proxy = await startProxy(t, autoConfig(await site(t), { sharding }));
  await announce(proxy.controlUrl, 'b');
  const notice = await until(async () => told[0], 'the notice');
  t.ok(notice.moves.every(({ from, to }) => from === 'b' && (to === 'a' || to === 'c')));
  const shards = notice.moves.reduce((sum, move) => sum + move.shards, 0);
  const width = 2n ** 64n / 4096n;
  const covered = notice.moves
    .flatMap(({ ranges }) => ranges)
    .reduce((sum, [first, last]) => sum + (BigInt(`0x${last}`) - BigInt(`0x${first}`) + 1n) / width, 0n);
  t.equal(Number(covered), shards, 'ranges and shards are the same keys');
  await settled(proxy);
  t.notOk((await placesOf(proxy)).includes('b'));
});

tap.test(
  'capacity is forecast for people, for scalers and for a webhook that knows who speaks',
  async (t) => {
    const secret = 'a-secret-that-is-long-enough';
    const told: { signature: unknown; body: Buffer }[] = [];
    const listener = await startServer(t, 'scaler', ({ headers, body }, response) => {
      told.push({ signature: headers['foreshard-signature'], body });
      response.end();
    });
    const pae = { ...PAE, capacityHook: { url: `${listener.url}/scale`, signingKey: secret } };
    const proxy = await startProxy(t, autoConfig(await site(t), { pae }));
    interface Forecast {
      readonly regions: Readonly<Record<string, { demand: { p90: number }; recommendedReplicas?: number }>>;
    }
    const forecast = await until(
      async () => {
        await placesOf(proxy);
        const { regions } = await controlJson<Forecast>(proxy.controlUrl, '/capacity_forecast');
        const isKnown = REGIONS.every((id) => regions[id]?.recommendedReplicas !== undefined);
        return isKnown && regions.a!.demand.p90 > 0 ? regions : undefined;
      },
      'a forecast of every region',
      60_000,
    );
    t.equal(forecast.a!.recommendedReplicas, 1, 'a thousand requests a second are far from reached');
    t.ok((await metricOf(proxy.controlUrl, 'foreshard_recommended_replicas', 'region="a"')) >= 1);
    t.ok((await metricOf(proxy.controlUrl, 'foreshard_capacity_demand', 'region="a",quantile="0.9"')) > 0);
    const message = await until(async () => told[0], 'the message');
    t.equal(message.signature, createHmac('sha256', secret).update(message.body).digest('hex'));
    t.match(JSON.parse(message.body.toString()), { event: 'capacity', recommendedReplicas: { a: 1 } });
  },
);
