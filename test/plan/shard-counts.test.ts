// Counts of shards between processes.

import t from 'tap';
import { decodeShardCounts, encodeShardCounts } from '../../src/plan/shard-counts.ts';

t.test('on the wire they are what they were; what is malformed is said', async (t) => {
  const sent = {
    proxy: 'proxy-1',
    seconds: 10,
    tables: [['a,b', new Uint32Array([0, 1, 4_000_000_000])]],
  } as const;
  const wire = JSON.parse(JSON.stringify(encodeShardCounts(sent)));
  t.strictSame(decodeShardCounts(wire), sent);
  const [table] = wire.tables;
  const wrong: readonly [object, RegExp][] = [
    [{ ...wire, proxy: '' }, /^proxy: /],
    [{ ...wire, seconds: 0 }, /^seconds: /],
    [{ ...wire, tables: [{ ...table, counts: 'ä' }] }, /^tables.0.counts: must be base64/],
    [{ ...wire, tables: [{ ...table, encoding: 'hex' }] }, /^tables.0.encoding: /],
    [{ ...wire, tables: Array(33).fill(table) }, /^tables: /],
  ];
  for (const [body, message] of wrong) t.match(decodeShardCounts(body), message);
  t.match(decodeShardCounts('x'), /^body: /);
});
