import fc from 'fast-check';
import t from 'tap';
import { assignByLoad, countedLoads, regionLoads, targetLoads } from '../../src/plan/rebalance.ts';
import { newU64, SEED_ZERO, xxh64 } from '../../src/routing/hash.ts';
import { assignShards, NO_OWNER, shardQuotas, toWeightUnits } from '../../src/routing/shard-table.ts';
import { ordersOf, regionNames } from '../rig/regions.ts';

const SHARDS = 4096;
const MILLION = 1_000_000;

/** Keys that lie in each shard, of a million. */
const keysIn = new Uint32Array(SHARDS);
{
  const bytes = Buffer.alloc(12);
  bytes[3] = 8;
  const hash = newU64();
  for (let i = 0; i < MILLION; i++) {
    bytes.writeUInt32BE(i, 8);
    keysIn[xxh64(bytes, bytes.length, SEED_ZERO, hash).hi >>> 20]! += 1;
  }
}

const keysMoved = (before: Uint16Array, after: Uint16Array): number =>
  before.reduce((sum, owner, shard) => sum + (owner === after[shard] ? 0 : keysIn[shard]!), 0);
const sharesOf = (weights: readonly number[]): number[] => {
  const total = weights.reduce((sum, one) => sum + one, 0);
  return weights.map((weight) => weight / total);
};
const halfDistance = (one: readonly number[], other: readonly number[]): number => {
  const [a, b] = [sharesOf(one), sharesOf(other)];
  return a.reduce((sum, share, i) => sum + Math.abs(share - b[i]!), 0) / 2;
};

const anyWeight = fc.oneof(fc.constantFrom(0, 1, 1, 1, 0.1), fc.double({ min: 0.01, max: 3, noNaN: true }));
const anyPair = fc.integer({ min: 2, max: 12 }).chain((n) => {
  const weights = fc
    .array(anyWeight, { minLength: n, maxLength: n })
    .filter((all) => all.some((weight) => weight > 0));
  return fc.tuple(weights, weights);
});
const byCount = (weights: readonly number[], previous?: Uint16Array): Uint16Array =>
  assignShards(
    ordersOf(regionNames(weights.length), SHARDS),
    shardQuotas(weights.map(toWeightUnits), SHARDS),
    previous,
  );

t.test(
  'of a million keys, a change of weights moves half the change and a shard per region at most',
  async (t) => {
    fc.assert(
      fc.property(anyPair, ([before, after]) => {
        const n = before.length;
        const [one, other] = [byCount(before), byCount(after, byCount(before))];
        const bound = halfDistance(before, after) + n / SHARDS;
        // Shards hold equal slices of the hash, not exactly equal numbers of keys: five deviations of chance.
        const chance = 5 * Math.sqrt(bound / MILLION);
        return keysMoved(one, other) / MILLION <= bound + chance;
      }),
      { numRuns: 150 },
    );
    t.pass();
  },
);

t.test('what moves is what the counts differ by, shard for shard', async (t) => {
  const counts = (owners: Uint16Array, n: number): number[] => {
    const sums = new Array<number>(n).fill(0);
    for (const owner of owners) if (owner !== NO_OWNER) sums[owner]! += 1;
    return sums;
  };
  fc.assert(
    fc.property(anyPair, ([before, after]) => {
      const n = before.length;
      const one = byCount(before);
      const other = byCount(after, one);
      const [had, has] = [counts(one, n), counts(other, n)];
      const least = had.reduce((sum, count, i) => sum + Math.max(0, count - has[i]!), 0);
      return one.filter((owner, shard) => owner !== other[shard]).length === least;
    }),
    { numRuns: 150 },
  );
  t.pass();
});

/** Loads as they are met: most alike, some hot, some without traffic. */
const anySeed = fc.integer({ min: 0, max: 1_000_000 });
const loadsOf = (seed: number): Float64Array =>
  Float64Array.from({ length: SHARDS }, (_, shard) => {
    const place = (Math.imul(shard + seed, 2_654_435_761) >>> 0) / 2 ** 32;
    return place < 0.1 ? 0 : place > 0.99 ? 20 : 1 + place;
  });

t.test('by load: what is moved is what the donors have too much, and a shard per region', async (t) => {
  fc.assert(
    fc.property(anyPair, anySeed, ([before, after], seed) => {
      const loads = loadsOf(seed);
      const n = before.length;
      const orders = ordersOf(regionNames(n), SHARDS);
      const previous = byCount(before);
      const donors = new Set(
        sharesOf(after).flatMap((share, i) => (share < sharesOf(before)[i]! ? [i] : [])),
      );
      const owners = assignByLoad({ orders, weights: after, loads, previous }, donors);
      const counted = countedLoads(loads);
      const targets = targetLoads(after, counted);
      const had = regionLoads(previous, counted, n);
      const largest = Math.max(...counted);
      let moved = 0;
      owners.forEach((owner, shard) => {
        if (owner === previous[shard]) return;
        moved += counted[shard]!;
        if (!donors.has(previous[shard]!) && after[previous[shard]!] !== 0) throw new Error('no donor gave');
        if (after[owner] === 0) throw new Error('a region without weight was given a shard');
      });
      const surplus = had.reduce(
        (sum, load, i) => sum + (donors.has(i) ? Math.max(0, load - targets[i]!) : 0),
        0,
      );
      if (moved > surplus + n * largest) throw new Error(`moved ${moved} of a surplus of ${surplus}`);
    }),
    { numRuns: 60 },
  );
  t.pass();
});

t.test(
  'by load: the removal of a region moves its own shards and no other, the same way each time',
  async (t) => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 10 }), fc.nat(9), anySeed, (n, pick, seed) => {
        const loads = loadsOf(seed);
        const removed = pick % n;
        const weights = new Array<number>(n).fill(1);
        const previous = byCount(weights);
        weights[removed] = 0;
        const input = { orders: ordersOf(regionNames(n), SHARDS), weights, loads, previous };
        const owners = assignByLoad(input, new Set([removed]));
        if (owners.some((owner) => owner === removed)) throw new Error('a shard is left behind');
        if (owners.some((owner, shard) => previous[shard] !== removed && owner !== previous[shard]))
          throw new Error('a shard of a survivor moved');
        return assignByLoad(input, new Set([removed])).join() === owners.join();
      }),
      { numRuns: 40 },
    );
    t.pass();
  },
);
