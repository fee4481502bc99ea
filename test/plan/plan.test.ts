import { createHash } from 'node:crypto';
import fc from 'fast-check';
import t from 'tap';
import { buildPlan } from '../../src/plan/build-plan.ts';
import { decodeOwners, encodeOwners, type Plan, planDigest, validatePlan } from '../../src/plan/plan.ts';
import { NO_OWNER } from '../../src/routing/shard-table.ts';
import { ordersOf } from '../rig/regions.ts';

const STAMP = { incarnation: '01JD0000000000000000000000', generation: 17, at: '2026-11-21T10:00:00.000Z' };
const IDS = ['eu-west', 'us-east', 'us-west'];

function samplePlan(): Plan {
  const table = (regionIds: string[]) => ({ regionIds, orders: ordersOf(regionIds, 64) });
  return buildPlan(
    {
      mode: 'auto',
      regions: [
        { id: 'us-east', baseWeight: 1, weight: 0.42, capacity: 500 },
        { id: 'eu-west', baseWeight: 1, weight: 1 },
        { id: 'us-west', baseWeight: 0.5, weight: 0.5 },
      ],
      failoverOrder: ['eu-west', 'us-west', 'us-east'],
      tables: [table(IDS), table(['eu-west', 'us-east'])],
      shards: 64,
      previous: undefined,
      ttlSeconds: 120,
    },
    STAMP,
  );
}

type Json = Record<string, unknown>;
/** A copy of the sample with a change, under a digest that fits it. */
function changed(change: (plan: Json & { tables: Json[]; regions: Json[] }) => void): Json {
  const plan = structuredClone(samplePlan()) as unknown as Json & { tables: Json[]; regions: Json[] };
  change(plan);
  plan.digest = planDigest(plan);
  return plan;
}
const verdictOf = (document: unknown): string => {
  const verdict = validatePlan(document);
  return verdict.ok ? 'accepted' : verdict.problem;
};
function setAt(document: Json, path: readonly string[], value: unknown): void {
  let parent = document;
  for (const step of path.slice(0, -1)) parent = parent[step] as Json;
  parent[path.at(-1)!] = value;
}

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

t.test('a plan that was built is accepted, also after a trip through JSON', async (t) => {
  const plan = samplePlan();
  t.equal(verdictOf(plan), 'accepted');
  const verdict = validatePlan(JSON.parse(JSON.stringify(plan)));
  t.ok(verdict.ok);
  if (verdict.ok) t.strictSame(verdict.plan, plan);
});

t.test('a plan may leave out what it does not use, and say more than we know', async (t) => {
  const sparse = changed((plan) => {
    for (const table of plan.tables) {
      delete table.lends;
      delete table.neutral;
    }
  });
  t.equal(verdictOf(sparse), 'accepted', 'the digest is of what was sent, not of our defaults');
  const verdict = validatePlan(sparse);
  if (verdict.ok) t.strictSame(verdict.plan.tables[0]!.lends, []);
  t.equal(
    verdictOf(
      changed((plan) => {
        plan.regions[0]!.risk = 0.61;
        plan.regions[0]!.reasons = ['memory reaches its limit in 4 min'];
        plan.tomorrow = { any: 'thing' };
      }),
    ),
    'accepted',
  );
});

t.test('a plan with a shift, loans and neutral owners is accepted', async (t) => {
  t.equal(
    verdictOf(
      changed((plan) => {
        plan.tables[0]!.shift = {
          id: '17',
          moving: [
            [12, 1],
            [40, NO_OWNER],
          ],
          progress: [
            ['2026-11-21T10:00:00Z', 0],
            ['2026-11-21T10:00:30Z', 1],
          ],
        };
        plan.tables[0]!.lends = [{ shard: 7, to: 0, share: 0.2, until: '2026-11-21T11:00:00Z' }];
        plan.tables[0]!.neutral = [[12, 1]];
      }),
    ),
    'accepted',
  );
});

t.test('what is wrong is refused with its place, even when the digest fits', async (t) => {
  const at = '2026-11-21T10:00:00Z';
  const later = '2026-11-21T10:00:30Z';
  const { regions, tables } = samplePlan();
  const shift = (moving: unknown, progress: unknown) => ({ id: '1', moving, progress });
  const loan = { shard: 0, to: 0, share: 0.2, until: at };
  // Where the problem is said to be, what is set, and to what.
  const cases: readonly (readonly [string, string, unknown])[] = [
    ['generation', 'generation', 0],
    ['generation', 'generation', 1.5],
    ['issuedAt', 'issuedAt', 'yesterday'],
    ['ttlSeconds', 'ttlSeconds', 0],
    ['mode', 'mode', 'manual'],
    ['regions', 'regions', []],
    ['regions', 'regions', [...regions].reverse()],
    ['regions', 'regions', [regions[0], regions[0], regions[2]]],
    ['regions.0.weight', 'regions.0.weight', -1],
    ['regions.0.weight', 'regions.0.weight', Number.NaN],
    ['regions.2.id', 'regions.2.id', ''],
    ['failoverOrder', 'failoverOrder', ['eu-west', 'us-west']],
    ['failoverOrder', 'failoverOrder', ['eu-west', 'us-west', 'us-west']],
    ['tables', 'tables', []],
    ['tables.0.shards', 'tables.0.shards', 96],
    ['tables.0.shards', 'tables.0.shards', 32],
    ['tables.0.encoding', 'tables.0.encoding', 'hex'],
    ['tables.0.owners', 'tables.0.owners', encodeOwners(new Uint16Array(63))],
    ['tables.0.owners', 'tables.0.owners', encodeOwners(new Uint16Array(64).fill(3))],
    ['tables.1.owners', 'tables.1.owners', encodeOwners(new Uint16Array(64).fill(2))],
    ['tables.1.owners', 'tables.1.owners', `${tables[1]!.owners}!`],
    ['tables.1.regions', 'tables.1.regions', ['eu-west', 'moon']],
    ['tables.1.regions', 'tables.1.regions', ['eu-west', 'us-east', 'eu-west']],
    ['tables.1.regions', 'tables.1', { ...tables[0], id: 'again', regions: [...IDS].reverse() }],
    ['tables.0.neutral', 'tables.0.neutral', [[64, 0]]],
    ['tables.0.neutral', 'tables.0.neutral', [[0, 3]]],
    ['tables.0.lends.0', 'tables.0.lends', [{ ...loan, shard: 64 }]],
    ['tables.1.lends.1', 'tables.1.lends', [loan, { ...loan, to: 2 }]],
    ['tables.0.lends.0.share', 'tables.0.lends', [{ ...loan, share: 2 }]],
    ['tables.0.shift.moving', 'tables.0.shift', shift([[64, 0]], [[at, 0]])],
    [
      'tables.0.shift.moving',
      'tables.0.shift',
      shift(
        [0, 1].map((owner) => [5, owner]),
        [[at, 0]],
      ),
    ],
    ['tables.0.shift.progress', 'tables.0.shift', shift([[0, 0]], [])],
    ['tables.0.shift.progress', 'tables.0.shift', shift([[0, 0]], [[at, 1.5]])],
    [
      'tables.0.shift.progress.1',
      'tables.0.shift',
      shift(
        [[0, 0]],
        [later, at].map((point) => [point, 0]),
      ),
    ],
    ['deeper', 'extra', JSON.parse('['.repeat(100) + ']'.repeat(100))],
  ];
  for (const [place, path, value] of cases) {
    const verdict = verdictOf(changed((plan) => setAt(plan, path.split('.'), value)));
    t.ok(verdict.includes(place) && verdict !== 'accepted', `${place}: ${verdict}`);
  }
});

t.test('a document of any kind is refused, never thrown on', async (t) => {
  for (const document of [null, undefined, 7, 'plan', [], {}, { regions: 7 }]) {
    t.not(verdictOf(document), 'accepted', JSON.stringify(document));
  }
  let deep: unknown = 1;
  for (let i = 0; i < 200_000; i++) deep = [deep];
  t.match(verdictOf({ ...samplePlan(), extra: deep }), /deeper/, 'a tower of brackets included');
  fc.assert(fc.property(fc.jsonValue(), (document) => verdictOf(document) !== 'accepted'));
});

/** Paths of all leaves of a document. */
function leavesOf(value: unknown, path: readonly string[] = []): (readonly string[])[] {
  if (typeof value !== 'object' || value === null) return [path];
  return Object.entries(value).flatMap(([name, child]) => leavesOf(child, [...path, name]));
}

const STAMPS = new Set(['incarnation', 'generation', 'issuedAt', 'evaluatedAt', 'now']);

t.test('every leaf but the stamps is under the digest', async (t) => {
  const plan = samplePlan();
  const rests = leavesOf(plan).filter(([first]) => !STAMPS.has(String(first)) && first !== 'digest');
  t.ok(rests.length > 15);
  for (const path of rests) {
    const copy = structuredClone(plan) as unknown as Json;
    const value = path.reduce<unknown>((parent, step) => (parent as Json)[step], copy);
    const other = typeof value === 'number' ? value + 1 : typeof value === 'boolean' ? !value : `${value}x`;
    setAt(copy, path, other);
    t.not(verdictOf(copy), 'accepted', path.join('.'));
    t.not(planDigest(copy), plan.digest, path.join('.'));
  }
});

t.test('the digest says what, not when or by whom, and not in which order it is written', async (t) => {
  const plan = samplePlan();
  const other = {
    ...plan,
    incarnation: 'x',
    generation: 1,
    issuedAt: 'a',
    evaluatedAt: 'b',
    now: 'c',
    digest: 'd',
  };
  t.equal(planDigest(other), plan.digest);
  const reversed = Object.fromEntries(Object.entries(plan).reverse());
  t.equal(planDigest(reversed), plan.digest);
  const shift = (progress: unknown, id = '1') =>
    planDigest({ tables: [{ shift: { id, moving: [], progress } }] });
  t.equal(shift([['a', 0]]), shift([['b', 1]]), 'points of a shift are when');
  t.not(shift([], '1'), shift([], '2'), 'its id is what');
  for (const name of [...STAMPS, 'digest', 'progress']) {
    t.not(
      planDigest({ regions: [{ id: 'a', [name]: 1 }] }),
      planDigest({ regions: [{ id: 'a', [name]: 2 }] }),
      `${name} of a region is no stamp of the plan`,
    );
  }
});

t.test('weights count to a millionth', async (t) => {
  const weighed = (weight: number) => planDigest({ regions: [{ id: 'a', baseWeight: 1, weight }] });
  t.equal(weighed(0.1 + 0.2), weighed(0.3));
  t.equal(weighed(1 / 3), weighed(0.333_333));
  t.not(weighed(0.333_333), weighed(0.333_334));
});

t.test('the canonical form is that of RFC 8785', async (t) => {
  const cases: readonly (readonly [Json, string])[] = [
    [
      {
        numbers: [
          Number('333333333.33333329'),
          1e30,
          4.5,
          2e-3,
          0.000000000000000000000000001,
          -0,
          1e21,
          100,
        ],
      },
      '{"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27,0,1e+21,100]}',
    ],
    [
      { string: '\u20ac$\u000F\u000aA\'\u0042\u0022\u005c\\"/' },
      '{"string":"\u20ac$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}',
    ],
    [{ literals: [null, true, false] }, '{"literals":[null,true,false]}'],
    [
      { '\u20ac': 1, '\r': 2, '\ufb33': 3, '1': 4, '\u{1f600}': 5, '\u0080': 6, '\u00f6': 7 },
      '{"\\r":2,"1":4,"\u0080":6,"\u00f6":7,"\u20ac":1,"\u{1f600}":5,"\ufb33":3}',
    ],
    [{ b: undefined, a: {} }, '{"a":{}}'],
  ];
  for (const [value, canonical] of cases) t.equal(planDigest(value), sha256(canonical), canonical);
});

t.test('the digest of the sample is pinned: engines and proxies of any version agree on it', async (t) => {
  t.equal(samplePlan().digest, 'a7b34b00d83aaa7d458693314a3816d73b19e1d3ff244691e3fb15e25f5a2ae0');
});

t.test('owners travel as little-endian 16-bit numbers in base64', async (t) => {
  t.equal(
    encodeOwners(Uint16Array.of(1, 0x0203, NO_OWNER)),
    Buffer.from([1, 0, 3, 2, 255, 255]).toString('base64'),
  );
  fc.assert(
    fc.property(fc.uint16Array({ maxLength: 300 }), (owners) => {
      return decodeOwners(encodeOwners(owners)).join() === owners.join();
    }),
  );
});
