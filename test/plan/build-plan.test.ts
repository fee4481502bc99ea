import fc from 'fast-check';
import t from 'tap';
import { buildPlan, type PlanInput, type RegionWeight, tableId } from '../../src/plan/build-plan.ts';
import { decodeOwners, type Plan, validatePlan } from '../../src/plan/plan.ts';
import { NO_OWNER } from '../../src/routing/shard-table.ts';
import { ordersOf } from '../rig/regions.ts';

const SHARDS = 128;
const ALL = ['a', 'b', 'c', 'd', 'e', 'f'];

type Weights = Readonly<Record<string, number>>;

function inputOf(weights: Weights, sets: readonly (readonly string[])[], previous?: Plan): PlanInput {
  const ids = Object.keys(weights);
  return {
    mode: 'off',
    regions: ids.map((id): RegionWeight => ({ id, baseWeight: 1, weight: weights[id]! })),
    failoverOrder: [...ids].sort(),
    tables: sets.map((set) => {
      const regionIds = [...set].sort();
      return { regionIds, orders: ordersOf(regionIds, SHARDS) };
    }),
    shards: SHARDS,
    previous,
    ttlSeconds: 120,
  };
}

const STAMP = { incarnation: '01JD0000000000000000000000', generation: 1, at: '2026-11-21T10:00:00.000Z' };
const planOf = (weights: Weights, previous?: Plan, sets = [Object.keys(weights)]): Plan =>
  buildPlan(inputOf(weights, sets, previous), STAMP);

/** Names of the owners of a plan's table. */
function ownersOf(plan: Plan, table = 0): (string | null)[] {
  return Array.from(decodeOwners(plan.tables[table]!.owners), (owner) =>
    owner === NO_OWNER ? null : plan.regions[owner]!.id,
  );
}

const anyWeights = fc
  .dictionary(
    fc.constantFrom(...ALL),
    fc.oneof(fc.constantFrom(0, 1, 0.42), fc.double({ min: 0, max: 3, noNaN: true })),
    {
      minKeys: 1,
    },
  )
  .filter((weights) => Object.values(weights).some((weight) => weight > 1e-3));

t.test('every plan that is built is valid', async () => {
  fc.assert(
    fc.property(fc.array(anyWeights, { minLength: 1, maxLength: 4 }), (history) => {
      let plan: Plan | undefined;
      for (const weights of history) {
        plan = planOf(weights, plan);
        const verdict = validatePlan(JSON.parse(JSON.stringify(plan)));
        if (!verdict.ok) throw new Error(verdict.problem);
      }
    }),
    { numRuns: 100 },
  );
});

t.test('the order in which regions are listed does not matter', async () => {
  fc.assert(
    fc.property(anyWeights, anyWeights, fc.infiniteStream(fc.nat()), (former, weights, dice) => {
      const previous = planOf(former);
      const shuffled = Object.fromEntries(
        Object.entries(weights)
          .map((entry) => [dice.next().value, entry] as const)
          .sort(([a], [b]) => a - b)
          .map(([, entry]) => entry),
      );
      return planOf(weights, previous).digest === planOf(shuffled, previous).digest;
    }),
    { numRuns: 100 },
  );
});

t.test('a stamp says who and when, and nothing else depends on it', async (t) => {
  const input = inputOf({ a: 1, b: 1 }, [['a', 'b']]);
  const one = buildPlan(input, STAMP);
  const other = buildPlan(input, { incarnation: 'other', generation: 9, at: '2027-01-01T00:00:00.000Z' });
  t.equal(one.digest, other.digest);
  t.strictSame(one.tables, other.tables);
  t.strictSame(
    [other.incarnation, other.generation, other.issuedAt],
    ['other', 9, '2027-01-01T00:00:00.000Z'],
  );
});

t.test(
  'a region that is taken out of the configuration loses its shards, and no other shard moves',
  async () => {
    fc.assert(
      fc.property(anyWeights, fc.nat(), (weights, pick) => {
        const ids = Object.keys(weights);
        const gone = ids[pick % ids.length]!;
        const { [gone]: _, ...rest } = weights;
        if (!Object.values(rest).some((weight) => weight > 1e-3)) return true;
        const before = planOf(weights);
        const after = ownersOf(planOf(rest, before));
        return ownersOf(before).every((owner, shard) => owner === gone || after[shard] === owner);
      }),
      { numRuns: 200 },
    );
  },
);

t.test('a region that is added takes its shards from all, and nothing moves between the others', async () => {
  fc.assert(
    fc.property(anyWeights, fc.constantFrom(...ALL), (weights, id) => {
      const { [id]: _, ...rest } = weights;
      if (!Object.values(rest).some((weight) => weight > 1e-3)) return true;
      const before = planOf(rest);
      const after = ownersOf(planOf({ ...rest, [id]: 1 }, before));
      return ownersOf(before).every((owner, shard) => after[shard] === owner || after[shard] === id);
    }),
    { numRuns: 200 },
  );
});

t.test('a table of some regions follows its own history, else the table nearest to it', async (t) => {
  const weights = { a: 1, b: 1, c: 1, d: 1 };
  const before = planOf(weights, undefined, [
    ['a', 'b', 'c', 'd'],
    ['a', 'b'],
    ['c', 'd'],
  ]);
  const same = planOf(weights, before, [['a', 'b']]);
  t.strictSame(ownersOf(same), ownersOf(before, 1), 'its own');
  const wider = ownersOf(planOf(weights, before, [['a', 'b', 'c']]));
  const moved = ownersOf(before, 0).filter((owner, shard) => owner !== 'd' && wider[shard] !== owner);
  t.strictSame(moved, [], 'one that shares most regions: only the shards of d move');
  const nested = planOf(weights, undefined, [
    ['a', 'b', 'c', 'd'],
    ['a', 'b', 'c'],
  ]);
  const smaller = ownersOf(planOf(weights, nested, [['a', 'b']]));
  const lost = ownersOf(nested, 1).filter((owner, shard) => owner !== 'c' && smaller[shard] !== owner);
  t.strictSame(lost, [], 'of those that share as many, the smaller: only the shards of c move');
});

t.test('a table with another number of shards is no predecessor', async (t) => {
  const before = planOf({ a: 1, b: 1 });
  const input = inputOf({ a: 1, b: 1 }, []);
  const larger = buildPlan(
    {
      ...input,
      shards: 256,
      previous: before,
      tables: [{ regionIds: ['a', 'b'], orders: ordersOf(['a', 'b'], 256) }],
    },
    STAMP,
  );
  t.equal(decodeOwners(larger.tables[0]!.owners).length, 256);
  t.ok(validatePlan(larger).ok);
});

t.test('weights that are all zero leave a new table without owners', async (t) => {
  t.ok(ownersOf(planOf({ a: 0, b: 0 })).every((owner) => owner === null));
});

t.test('names of tables are readable while they are short, and never meet', async (t) => {
  t.equal(tableId(['a', 'b'], 2), 'all');
  t.equal(tableId(['a', 'b'], 3), 'a+b');
  const long = Array.from({ length: 40 }, (_, i) => `region-${i}`);
  t.match(tableId(long, 50), /^set-[0-9a-f]{16}$/);
  t.not(tableId(long, 50), tableId(long.slice(1), 50));
  t.not(tableId(['all'], 2), 'all', 'a region may be called all');
});
