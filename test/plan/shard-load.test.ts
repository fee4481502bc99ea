import t from 'tap';
import { type Random, seededRandom } from '../../src/core/random.ts';
import { BALANCE_TOLERANCE, balance, lendHotShards } from '../../src/plan/rebalance.ts';
import { estimateShardLoads } from '../../src/plan/shard-load.ts';
import { assignShards, countMoved, shardQuotas } from '../../src/routing/shard-table.ts';
import { ordersOf } from '../rig/regions.ts';

/** Knuth's product of uniform numbers; the mean is small here. */
function poisson(random: Random, mean: number): number {
  const limit = Math.exp(-mean);
  let n = 0;
  for (let product = random.next(); product > limit; product *= random.next()) n += 1;
  return n;
}

const SHARDS = 1024;
const countsOf = (random: Random, meanOf: (shard: number) => number): Float64Array =>
  Float64Array.from({ length: SHARDS }, (_, shard) => poisson(random, meanOf(shard)));

t.test('equal shards counted by chance are equal: nothing to balance by', async (t) => {
  let apart = 0;
  for (let seed = 0; seed < 100; seed++) {
    const random = seededRandom(seed);
    if (
      estimateShardLoads(
        countsOf(random, () => [1, 4, 20][seed % 3]!),
        60,
      ) !== undefined
    )
      apart += 1;
  }
  t.ok(apart <= 1, `told apart in ${apart} of 100 rounds`);
});

t.test('too few requests say nothing at all', async (t) => {
  t.equal(estimateShardLoads(new Float64Array(SHARDS).fill(0.5), 60), undefined);
  t.equal(estimateShardLoads(new Float64Array(SHARDS).fill(100), 0), undefined);
});

t.test('a hot shard is seen at its full load, and the others as they were', async (t) => {
  const counts = countsOf(seededRandom(7), (shard) => (shard === 33 ? 400 : 4));
  const loads = estimateShardLoads(counts, 10)!;
  t.equal(loads[33], counts[33]! / 10);
  const others = loads.filter((_, shard) => shard !== 33);
  t.ok(Math.max(...others) < 0.8, 'no other one is hot');
  t.ok(Math.min(...others) > 0.2);
});

t.test('several hot shards do not hide each other', async (t) => {
  const hot = new Set([1, 2, 3, 500, 501, 900]);
  const counts = countsOf(seededRandom(8), (shard) => (hot.has(shard) ? 300 : 5));
  const loads = estimateShardLoads(counts, 1)!;
  const seen = [...loads.entries()].filter(([, load]) => load > 100).map(([shard]) => shard);
  t.strictSame(new Set(seen), hot);
});

t.test('shards that really differ are told apart as far as the counts go', async (t) => {
  const mean = (shard: number): number => (shard % 2 === 0 ? 20 : 60);
  const loads = estimateShardLoads(countsOf(seededRandom(9), mean), 1)!;
  const average = (parity: number): number => {
    const own = loads.filter((_, shard) => shard % 2 === parity);
    return own.reduce((sum, load) => sum + load, 0) / own.length;
  };
  t.ok(Math.abs(average(0) - 20) < 5, `light ones ${average(0)}`);
  t.ok(Math.abs(average(1) - 60) < 5, `heavy ones ${average(1)}`);
});

t.test(
  'a region full of warm shards is relieved, one with a single hot shard lends a part of it',
  async (t) => {
    const orders = ordersOf(['a', 'b', 'c', 'd'], SHARDS);
    const previous = assignShards(orders, shardQuotas([1, 1, 1, 1], SHARDS));
    const weights = [1, 1, 1, 1];
    const warm = Float64Array.from(previous, (owner) => (owner === 2 ? 3 : 1));
    const after = balance(
      { orders, weights, loads: warm, previous },
      { budget: 40, tolerance: BALANCE_TOLERANCE },
    );
    t.equal(countMoved(previous, after), 40, 'the whole budget where there is need');
    previous.forEach((owner, shard) => {
      if (after[shard] !== owner) t.equal(owner, 2);
    });
    t.strictSame(
      lendHotShards({ orders, weights, loads: warm, previous }),
      [],
      'no shard of it is hot by itself',
    );
    const one = previous.indexOf(1);
    const hot = new Float64Array(SHARDS).fill(1);
    hot[one] = 800;
    const lends = lendHotShards({ orders, weights, loads: hot, previous });
    t.equal(lends.length, 1);
    t.equal(lends[0]!.shard, one);
    t.ok(lends[0]!.share <= 0.5);
  },
);
