import fc from 'fast-check';
import t from 'tap';
import { addCounts, latencyQuantile, ServedTally } from '../../src/state/served-tally.ts';

t.test('shards are counted per table, until they are taken', async (t) => {
  const tally = new ServedTally();
  for (const shard of [0, 3, 3]) tally.countShard('a,b', 4, shard);
  tally.countShard('a', 4, 1);
  t.strictSame(tally.take().shards, [
    ['a,b', Uint32Array.of(1, 0, 0, 2)],
    ['a', Uint32Array.of(0, 1, 0, 0)],
  ]);
  t.strictSame(tally.take(), { shards: [], latencies: [] });
  tally.countShard('a', 4, 1);
  tally.countShard('a', 8, 7);
  t.strictSame(
    tally.take().shards,
    [['a', Uint32Array.of(0, 0, 0, 0, 0, 0, 0, 1)]],
    'of a table resized since',
  );
});

t.test('a quantile of latencies is right to five percent', async () => {
  const anyMs = fc.double({ min: 0.6, max: 100_000, noNaN: true });
  fc.assert(
    fc.property(
      fc.array(anyMs, { minLength: 1, maxLength: 200 }),
      fc.constantFrom(0.5, 0.9, 0.99),
      (all, q) => {
        const tally = new ServedTally();
        for (const ms of all) tally.countLatency('a', ms);
        const measured = latencyQuantile(tally.take().latencies[0]![1], q)!;
        const exact = all.toSorted((a, b) => a - b)[Math.ceil(q * all.length) - 1]!;
        return Math.abs(measured / exact - 1) < 0.0501;
      },
    ),
  );
});

t.test('what lies beyond the scale is at its ends, and nothing has no quantile', async (t) => {
  const tally = new ServedTally();
  for (const ms of [0, -1, Number.NaN]) tally.countLatency('a', ms);
  tally.countLatency('b', 1e9);
  const [[, low], [, high]] = tally.take().latencies as [[string, Uint32Array], [string, Uint32Array]];
  t.equal(latencyQuantile(low, 0.99), 0.5);
  t.ok(latencyQuantile(high, 0.5)! > 120_000);
  t.equal(latencyQuantile(new Uint32Array(132), 0.5), undefined);
});

t.test('counts of several workers add up without changing what they gave', async (t) => {
  const one = Uint32Array.of(1, 2);
  const sum = addCounts(undefined, one);
  t.strictSame(addCounts(sum, Uint32Array.of(10, 20)), Uint32Array.of(11, 22));
  t.strictSame(one, Uint32Array.of(1, 2));
  t.strictSame(addCounts(sum, Uint32Array.of(1, 1, 1)), Uint32Array.of(1, 1, 1), 'of another size: anew');
});
