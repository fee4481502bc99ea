// What managers lay down, through `decide`: a lock holds for the pick, for every fallback and in panic, and it
// fails closed.

import t from 'tap';
import { decide } from '../../src/routing/decide.ts';
import { fallbacksOf } from '../../src/routing/fallbacks.ts';
import { type PolicyDocument, policyDocument } from '../../src/routing/regional-policy.ts';
import { contextOf, factsOf, type RequestParts, World } from '../rig/world.ts';

const policy = (parts: Record<string, unknown>): PolicyDocument => policyDocument.parse(parts);

function worldWith(policies: Record<string, PolicyDocument>): World {
  const regions = ['a', 'b', 'c'].map((id) => ({ id, servers: 2 }));
  const world = new World({ regions, routes: [{ policy: 'consistent_hash' }], policies });
  for (const { id } of regions) world.setHealthy(id, 2);
  return world;
}

/** Regions that a request could come to in any way, or why it comes to none. */
function reach(
  world: World,
  request: RequestParts,
  claims: Record<string, unknown> | null = null,
): string[] | string {
  const context = contextOf({ verify: () => claims });
  const decision = decide(world.snapshot, world.live(), factsOf(request), context);
  if (decision.kind !== 'forward') return decision.kind === 'refuse' ? decision.reason : decision.kind;
  return [decision.region, ...fallbacksOf(world.snapshot, decision)]
    .map((region) => world.snapshot.regions[region]!.id as string)
    .sort();
}

const keyed = (target: string, key = '7'): RequestParts => ({ target, fields: ['x-shard-key', key] });

t.test('a lock on a path binds every region, whoever publishes it', async (t) => {
  const lock = policy({ residency: [{ path: '/patients/**', regions: ['a', 'b'] }] });
  const world = worldWith({ c: lock });
  t.strictSame(reach(world, keyed('/patients/1')), ['a', 'b']);
  t.strictSame(reach(world, keyed('/%70atients/1')), ['a', 'b'], 'encoded');
  t.strictSame(reach(world, keyed('//patients//1')), ['a', 'b'], 'with empty segments');
  for (const path of [
    '/patients%2F1',
    '/patients%5c1',
    '/patients;v=1/1',
    '/x/..%2Fpatients/1',
    '/x/..;/patients',
  ])
    t.strictSame(reach(world, keyed(path)), ['a', 'b'], path);
  t.strictSame(reach(world, keyed('/other')), ['a', 'b', 'c']);
  t.strictSame(reach(world, keyed('/other/patients%2F1')), ['a', 'b', 'c']);
});

t.test('locks of several regions hold together; what none of them leaves is 421', async (t) => {
  const world = worldWith({
    a: policy({ residency: [{ path: '/x/**', regions: ['a', 'b'] }] }),
    b: policy({ residency: [{ path: '/x/secret/**', regions: ['b', 'c'] }] }),
    c: policy({ residency: [{ path: '/x/never/**', regions: ['nowhere'] }] }),
  });
  t.strictSame(reach(world, keyed('/x/1')), ['a', 'b']);
  t.strictSame(reach(world, keyed('/x/secret/1')), ['b']);
  t.equal(reach(world, keyed('/x/never/1')), 'residency');
});

t.test('a lock on a key prefix counts a request without the key as locked', async (t) => {
  const world = worldWith({
    a: policy({
      residency: [{ key: { kind: 'header', name: 'x-tenant' }, prefix: 'eu-', regions: ['a'] }],
    }),
  });
  const tenant = (name: string): RequestParts => ({ fields: ['x-shard-key', '7', 'x-tenant', name] });
  t.strictSame(reach(world, tenant('eu-17')), ['a']);
  t.strictSame(reach(world, tenant('us-17')), ['a', 'b', 'c']);
  t.strictSame(reach(world, tenant('eu')), ['a', 'b', 'c'], 'shorter than the prefix');
  t.strictSame(reach(world, keyed('/')), ['a']);
  const fields = ['x-shard-key', '7', 'x-tenant', 'us-17', 'x-tenant', 'eu-17'];
  t.strictSame(reach(world, { fields }), ['a'], 'given twice: nobody knows which one a server takes');
});

t.test('a lock on a segment of the path holds however the path is read', async (t) => {
  const rule = { key: { kind: 'path', segment: 1 }, prefix: 'eu-', regions: ['a'] };
  const world = worldWith({ a: policy({ residency: [rule] }) });
  t.strictSame(reach(world, keyed('/us-1/x')), ['a', 'b', 'c']);
  t.strictSame(reach(world, keyed('/eu-1/x')), ['a']);
  t.strictSame(reach(world, keyed('/us-1%2F..%2Feu-1/x')), ['a']);
  t.strictSame(reach(world, keyed('/;/eu-1/x')), ['a']);
});

t.test('a claim decides only when it was verified; without, the request counts as locked', async (t) => {
  const keys = [{ kty: 'EC' }];
  const rule = { claim: { name: 'country', in: ['DE', 'FR'], keys }, regions: ['b'] };
  const world = worldWith({ b: policy({ residency: [rule] }) });
  t.strictSame(reach(world, keyed('/'), { country: 'DE' }), ['b']);
  t.strictSame(reach(world, keyed('/'), { country: 'US' }), ['a', 'b', 'c']);
  t.strictSame(reach(world, keyed('/'), { country: ['US', 'FR'] }), ['b'], 'any of several');
  t.strictSame(reach(world, keyed('/'), { country: { DE: 1 } }), ['b'], 'something that is no value');
  t.strictSame(reach(world, keyed('/'), {}), ['b']);
  t.strictSame(reach(world, keyed('/'), null), ['b']);
});

t.test('methods, paths, headers and sizes are the region’s own affair', async (t) => {
  const world = worldWith({
    a: policy({ methods: ['GET'] }),
    b: policy({ paths: ['/public/**'], requireHeader: { 'x-tenant': '^[a-z]+$' } }),
    c: policy({ maxBody: 100 }),
  });
  const request = (parts: RequestParts): RequestParts => ({ ...keyed('/public/1'), ...parts });
  t.strictSame(reach(world, request({})), ['a', 'c']);
  t.strictSame(reach(world, request({ fields: ['x-tenant', 'abc'] })), ['a', 'b', 'c']);
  t.strictSame(reach(world, request({ fields: ['x-tenant', 'ABC'] })), ['a', 'c']);
  const twice = ['x-tenant', 'abc', 'x-tenant', '../ABC'];
  t.strictSame(reach(world, request({ fields: twice })), ['a', 'c'], 'every line counts');
  const fields = ['x-tenant', 'abc'];
  t.strictSame(
    reach(world, request({ fields, target: '/public/..%2Fadmin' })),
    ['a', 'c'],
    'out of the path',
  );
  t.strictSame(reach(world, request({ fields, target: '/public/a..b%2Fc' })), ['a', 'b', 'c']);
  t.strictSame(reach(world, request({ method: 'POST', contentLength: 100 })), ['c']);
  t.equal(reach(world, request({ method: 'POST', contentLength: 101 })), 'body_too_large');
  t.equal(reach(worldWith({ a: policy({ methods: ['PUT'] }) }), request({})).length, 2);
});

t.test('the health check passes whatever the policy says', async (t) => {
  const closed = policy({ paths: ['/nothing'], healthPath: '/healthz' });
  const world = worldWith({ a: closed, b: closed, c: closed });
  t.strictSame(reach(world, keyed('/healthz')), ['a', 'b', 'c']);
  t.equal(reach(world, { ...keyed('/healthz'), method: 'POST' }), 'region_policy');
});
