import t from 'tap';
import { ShardLoadBook } from '../../src/compose/shard-load-book.ts';

const EVALUATION = 1000;
const SHARDS = 64;

/** Ten requests in every shard, a thousand in shard 5. */
function counts(proxy: string, factor = 1, shards = SHARDS) {
  const table = new Uint32Array(shards).fill(40 * factor);
  table[5] = 4000 * factor;
  return { proxy, seconds: 10, tables: [['a,b', table]] as const };
}

t.test('loads are requests a second, the hot shard at its own', async (t) => {
  const book = new ShardLoadBook(EVALUATION);
  book.take(counts('p1'), 0);
  const loads = book.loadsOf('a,b', SHARDS, 0)!;
  t.equal(loads[5], 400);
  t.ok(Math.abs(loads[0]! - 4) < 0.1);
  t.equal(book.loadsOf('a', SHARDS, 0), undefined, 'of another table nothing is known');
});

t.test('several proxies see parts of one traffic', async (t) => {
  const book = new ShardLoadBook(EVALUATION);
  book.take(counts('p1'), 0);
  book.take(counts('p2', 2), 0);
  t.equal(book.loadsOf('a,b', SHARDS, 0)![5], 1200);
});

t.test('counts fade: the rate stays, what happened long ago goes', async (t) => {
  const book = new ShardLoadBook(EVALUATION);
  for (let now = 0; now < 60_000; now += 10_000) book.take(counts('p1'), now);
  t.ok(Math.abs(book.loadsOf('a,b', SHARDS, 60_000)![5]! - 400) < 1e-6, 'the rate of steady traffic');
  for (let now = 60_000; now < 200_000; now += 10_000) {
    book.take({ proxy: 'p1', seconds: 10, tables: [['a,b', new Uint32Array(SHARDS).fill(40)]] }, now);
  }
  t.equal(book.loadsOf('a,b', SHARDS, 200_000), undefined, 'alike again');
});

t.test(
  'a proxy that is heard no more is left out, and so are counts of another number of shards',
  async (t) => {
    const book = new ShardLoadBook(EVALUATION);
    book.take(counts('p1'), 0);
    book.take(counts('p2', 1, 128), 0);
    t.equal(book.loadsOf('a,b', SHARDS, 1000)![5], 400);
    t.equal(book.loadsOf('a,b', SHARDS, 30_001), undefined);
  },
);

t.test('tables and proxies are bounded', async (t) => {
  const book = new ShardLoadBook(EVALUATION);
  for (let i = 0; i < 40; i++)
    book.take({ ...counts('p'), tables: [[`t${i}`, counts('p').tables[0][1]]] }, 0);
  t.not(book.loadsOf('t31', SHARDS, 0), undefined);
  t.equal(book.loadsOf('t32', SHARDS, 0), undefined);
});
