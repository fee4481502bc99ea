import t from 'tap';
import { seededRandom } from '../../src/core/random.ts';
import { decide, idleContext } from '../../src/routing/decide.ts';
import { type ExplainRequest, type Explanation, explain } from '../../src/routing/explain.ts';
import { readUnverifiedClaim } from '../../src/routing/shard-key.ts';
import { contextOf, factsOf, type RequestParts, World, type WorldOptions } from '../rig/world.ts';

function explained(world: World, request: Partial<ExplainRequest>): Explanation {
  const context = idleContext(seededRandom(1), readUnverifiedClaim, () => null);
  const whole = { method: 'GET', url: '/', headers: [], clientAddress: '127.0.0.1', ...request };
  return explain(world.snapshot, world.live(), whole, context);
}

/** The shard that a worker would find for what curl sends. */
function shardOf(world: World, request: RequestParts): number | undefined {
  const decision = decide(world.snapshot, world.live(), factsOf(request), contextOf());
  return decision.kind === 'forward' ? decision.shard : undefined;
}

const three: WorldOptions = { regions: ['a', 'b', 'c'].map((id) => ({ id, servers: 4 })), shards: 4096 };
const verdicts = (explanation: Explanation): string[] =>
  explanation.regions.map(({ region, verdict, rank, stage, reason }) =>
    [region, verdict, rank, stage, reason].filter((word) => word !== undefined).join(' '),
  );

t.test('every region is named with what became of it', async (t) => {
  const world = new World({
    regions: [...three.regions, { id: 'd' }, { id: 'e' }],
    routes: [{ regions: ['a', 'b', 'c', 'e'] }],
    weights: { e: 0 },
  }).setHealthy('b', 0);
  const result = explained(world, { headers: [['X-Shard-Key', 'u1']] });
  t.match(result, { route: 'route-0', policy: 'weighted_random', key: 'found', panic: false, generation: 1 });
  t.strictSame(
    [...verdicts(result)].sort(),
    [
      `${result.chosen} chosen`,
      `${result.fallbacks[0]} fallback 1`,
      'b removed gate unhealthy',
      'd removed route not_in_route',
      'e removed filter weight_zero',
    ].sort(),
  );
  t.match(result.regions[1], { weight: 1, healthy: 0, registered: 4 });
});

t.test('a refused request says why, and which regions would have been eligible', async (t) => {
  const world = new World({
    ...three,
    routes: [{ match: { path: '/a' }, key: { onMissing: 'reject' } }],
  }).setHealthy('b', 0);
  t.match(explained(world, { url: '/b' }), { route: null, chosen: null, refused: 'no_route', regions: [] });
  const keyless = explained(world, { url: '/a' });
  t.match(keyless, { route: 'route-0', chosen: null, refused: 'no_shard_key' });
  t.strictSame(verdicts(keyless), ['a eligible', 'b removed gate unhealthy', 'c eligible']);
});

t.test('a request is read as a worker would read it from the wire', async (t) => {
  const world = new World({
    ...three,
    routes: [
      {
        match: { host: 'shop.example.com' },
        key: { from: [{ header: 'x-user' }, { query: 'u' }, { path: 2 }, { json: '/id' }] },
      },
    ],
  });
  const at = 'http://SHOP.example.com:8080';
  const host = 'shop.example.com';
  const shard = (request: Partial<ExplainRequest>): number | undefined =>
    explained(world, { url: `${at}/x`, ...request }).shard;

  t.equal(
    shard({ headers: [['X-User', 'gr\u00fc\u00dfe']] }),
    shardOf(world, { host, fields: ['x-user', Buffer.from('gr\u00fc\u00dfe').toString('latin1')] }),
    'values are UTF-8 on the wire',
  );
  t.equal(shard({ url: `${at}/x?u=a%20b` }), shardOf(world, { host, target: '/x?u=a+b' }));
  t.equal(shard({ url: `${at}/x/gr\u00fc\u00dfe` }), shardOf(world, { host, target: '/x/gr%C3%BC%C3%9Fe' }));
  t.equal(
    shard({ url: '/x/gr\u00fc\u00dfe#part', headers: [['host', host]] }),
    shardOf(world, { host, target: '/x/gr%C3%BC%C3%9Fe' }),
    'a path alone, too',
  );
  t.equal(shard({ body: '{"id":"u7"}' }), shardOf(world, { host, target: '/x', body: [Buffer.from('u7')] }));
  t.equal(
    explained(world, { url: '/x', headers: [['Host', 'shop.example.com.:80']] }).route,
    'route-0',
    'a name with its final dot',
  );
  t.equal(
    explained(world, { url: `${at}/x`, headers: [['Host', 'other']] }).route,
    null,
    'Host comes before the URL',
  );
});

t.test('a body that a worker would not read has no key', async (t) => {
  const world = new World({ ...three, routes: [{ key: { from: [{ json: '/id' }], maxBody: '12B' } }] });
  const key = (body: string, ...headers: [string, string][]): string | undefined =>
    explained(world, { body, headers }).key;
  t.equal(key('{"id":1234}'), 'found');
  t.equal(key('{"id":123456789}'), 'missing', 'a number that the limit cuts is no shorter number');
  t.equal(key('{"id":"12"}  '), 'found', 'read far enough');
  t.equal(key('{"id":1234}', ['Content-Encoding', 'gzip']), 'missing');
  t.equal(key('{"id":1234}', ['content-encoding', 'identity']), 'found');
  t.equal(explained(world, {}).key, 'missing', 'no body at all');
});

t.test('in panic the explanation says so, and a drawn shard is not shown', async (t) => {
  const world = new World(three).setHealthy('a', 1).setHealthy('b', 1).setHealthy('c', 1);
  const result = explained(world, {});
  t.match(result, { panic: true, key: 'missing' });
  t.notOk('shard' in result);
});
