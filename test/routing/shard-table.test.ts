import { createHash } from 'node:crypto';
import fc from 'fast-check';
import t from 'tap';
import {
  assignShards,
  countMoved,
  NO_OWNER,
  shardQuotas,
  toWeightUnits,
} from '../../src/routing/shard-table.ts';
import { ordersOf, regionNames } from '../rig/regions.ts';

/** Webster's method as its definition has it: seat by seat to the largest weight / (2 seats + 1). */
function webster(weights: readonly number[], seats: number): number[] {
  const given = weights.map(() => 0n);
  const exact = weights.map(BigInt);
  if (weights.every((weight) => weight === 0)) return weights.map(() => 0);
  for (let seat = 0; seat < seats; seat++) {
    let best = -1;
    for (let i = 0; i < exact.length; i++) {
      if (exact[i] === 0n) continue;
      const isBetter =
        best === -1 || exact[i]! * (2n * given[best]! + 1n) > exact[best]! * (2n * given[i]! + 1n);
      if (isBetter) best = i;
    }
    given[best]! += 1n;
  }
  return given.map(Number);
}

const sum = (numbers: Iterable<number>): number => [...numbers].reduce((a, b) => a + b, 0);
const sharesOf = (weights: readonly number[]): number[] => {
  const total = sum(weights);
  return weights.map((weight) => (total === 0 ? 0 : weight / total));
};
const countsOf = (owners: Uint16Array, regions: number): number[] => {
  const counts = new Array<number>(regions).fill(0);
  for (const owner of owners) if (owner !== NO_OWNER) counts[owner]! += 1;
  return counts;
};

const anyWeight = fc.oneof(
  fc.constantFrom(0, 1, 2, 3, 1_000_000, 420_000, 1_000_000_000),
  fc.nat(1_000_000_000),
  fc.nat(40),
);
const anyWeights = fc.array(anyWeight, { minLength: 1, maxLength: 12 });
const anyShards = fc.constantFrom(64, 128, 256);

t.test("quotas are Webster's to the seat, ties to the lower index", async (t) => {
  fc.assert(
    fc.property(anyWeights, anyShards, (weights, shards) => {
      return [...shardQuotas(weights, shards)].join() === webster(weights, shards).join();
    }),
    { numRuns: 2000 },
  );
  for (const [weights, shards] of [
    [[7], 4096],
    [regionNames(50).map((_, i) => 1_000_000 + i * 37), 4096],
    [regionNames(512).map((_, i) => (i * 7919) % 1000), 1024],
    [[1, 1_000_000_000], 4096],
    [[1_000_000_000, 1, 1, 1, 0], 64],
    [regionNames(512).map(() => 1), 64],
  ] as const) {
    t.strictSame([...shardQuotas(weights, shards)], webster(weights, shards), `${weights.length} regions`);
  }
});

t.test('quotas fill the table, or nothing when every weight is zero', async (t) => {
  fc.assert(
    fc.property(anyWeights, fc.constantFrom(64, 4096, 65_536), (weights, shards) => {
      const quotas = shardQuotas(weights, shards);
      const expected = weights.some((weight) => weight > 0) ? shards : 0;
      return sum(quotas) === expected && weights.every((weight, i) => weight > 0 || quotas[i] === 0);
    }),
  );
  t.strictSame([...shardQuotas([0, 0], 64)], [0, 0]);
  t.strictSame([...shardQuotas([], 64)], []);
});

t.test('no survivor loses a seat when a region goes, none gains one when a region comes', async () => {
  fc.assert(
    fc.property(anyWeights, fc.nat(), anyShards, (weights, pick, shards) => {
      const gone = pick % weights.length;
      const before = shardQuotas(weights, shards);
      const after = shardQuotas(weights.with(gone, 0), shards);
      return weights.every((_, i) => i === gone || sum(after) === 0 || after[i]! >= before[i]!);
    }),
    { numRuns: 2000 },
  );
});

const REGIONS = 6;
const SHARDS = 256;
const orders = ordersOf(regionNames(REGIONS), SHARDS);
const tableWeights = fc.array(fc.oneof(fc.nat(1000), fc.constantFrom(0, 1, 1000)), {
  minLength: REGIONS,
  maxLength: REGIONS,
});
const liveWeights = tableWeights.filter((weights) => weights.some((weight) => weight > 0));
const assign = (weights: readonly number[], previous?: Uint16Array): Uint16Array =>
  assignShards(orders, shardQuotas(weights, SHARDS), previous);

t.test('every region owns exactly its quota, after any history', async () => {
  fc.assert(
    fc.property(fc.array(liveWeights, { minLength: 1, maxLength: 6 }), (history) => {
      let owners: Uint16Array | undefined;
      for (const weights of history) {
        owners = assign(weights, owners);
        if (countsOf(owners, REGIONS).join() !== [...shardQuotas(weights, SHARDS)].join()) return false;
      }
      return true;
    }),
    { numRuns: 300 },
  );
});

t.test(
  'a change of weights moves half the change of shares, and one shard a region for rounding',
  async () => {
    fc.assert(
      fc.property(fc.array(liveWeights, { minLength: 2, maxLength: 5 }), (history) => {
        let before: readonly number[] = history[0]!;
        let owners = assign(before);
        for (const weights of history.slice(1)) {
          const next = assign(weights, owners);
          const shares = sharesOf(weights);
          const change = sum(sharesOf(before).map((share, i) => Math.abs(share - shares[i]!))) / 2;
          const moved = countMoved(owners, next);
          if (moved / SHARDS > change + REGIONS / SHARDS) return false;
          // And never more than the quotas make necessary.
          const quotas = shardQuotas(weights, SHARDS);
          const surplus = sum(countsOf(owners, REGIONS).map((count, i) => Math.max(0, count - quotas[i]!)));
          if (moved !== surplus) return false;
          owners = next;
          before = weights;
        }
        return true;
      }),
      { numRuns: 400 },
    );
  },
);

t.test(
  'a lost region gives its own shards and nobody else moves; a new one takes and nobody else gains',
  async () => {
    fc.assert(
      fc.property(liveWeights, fc.nat(REGIONS - 1), (weights, region) => {
        const without = weights.with(region, 0);
        if (sum(without) === 0) return true;
        const full = weights.with(region, Math.max(1, weights[region]!));
        const before = assign(full);
        const lost = assign(without, before);
        const back = assign(full, lost);
        return before.every(
          (owner, shard) =>
            (owner === region ? lost[shard] !== region : lost[shard] === owner) &&
            (back[shard] === lost[shard] || back[shard] === region),
        );
      }),
      { numRuns: 400 },
    );
  },
);

t.test('surplus goes where the shard would go if its owner were lost, while there is room', async (t) => {
  // Two receivers with the same quota: the shards of the lost one are not dealt out by number.
  const before = assign([100, 100, 100, 100, 100, 100]);
  const after = assign([0, 100, 100, 100, 100, 100], before);
  const lost = [...before.keys()].filter((shard) => before[shard] === 0);
  const best = lost.filter((shard) => {
    const row = [...orders.regions.subarray(shard * REGIONS, (shard + 1) * REGIONS)];
    return row.find((region) => region !== 0) === after[shard];
  });
  t.ok(
    best.length > lost.length * 0.6,
    `${best.length} of ${lost.length} went to the region they prefer most`,
  );
});

t.test(
  'the same inputs give the same table, and without a previous one the same on every machine',
  async (t) => {
    fc.assert(
      fc.property(liveWeights, liveWeights, (weights, former) => {
        const previous = assign(former);
        const kept = previous.slice();
        const [once, twice] = [assign(weights, previous), assign(weights, previous)];
        return once.join() === twice.join() && previous.join() === kept.join();
      }),
      { numRuns: 100 },
    );
    const table = assignShards(
      ordersOf(regionNames(5), 4096),
      shardQuotas([1_000_000, 1_000_000, 2_000_000, 500_000, 0], 4096),
    );
    const bytes = Buffer.alloc(table.length * 2);
    for (const [shard, owner] of table.entries()) bytes.writeUInt16LE(owner, shard * 2);
    t.equal(
      createHash('sha256').update(bytes).digest('hex'),
      '4ca5e11675636a37ea20eb1770440c4d9eba775b0982794b6a813cee7853f4c5',
    );
  },
);

t.test('with no weight at all a new table is empty, and an old one stays as it was', async (t) => {
  const none = [0, 0, 0, 0, 0, 0];
  t.ok(assign(none).every((owner) => owner === NO_OWNER));
  const before = assign([1, 1, 1, 1, 1, 1]);
  t.equal(countMoved(before, assign(none, before)), 0, 'keys are where they were when weights come back');
});

t.test('owners that do not exist any more lose their shards', async (t) => {
  const before = assign([1, 1, 1, 1, 1, 1]);
  before[3] = 77;
  before[5] = NO_OWNER;
  const after = assign([1, 1, 1, 1, 1, 1], before);
  t.ok(after.every((owner) => owner < REGIONS));
  t.ok(countMoved(before, after) <= 2 + 2);
});

t.test('weights become whole millionths', async (t) => {
  t.equal(toWeightUnits(1), 1_000_000);
  t.equal(toWeightUnits(0.1 + 0.2), 300_000);
  t.equal(toWeightUnits(0.0000004), 0);
});
