import t from 'tap';
import { PooledShare } from '../../../src/analytics/failure/pooled-share.ts';

t.test('rows of many requests say what they say', async (t) => {
  const share = new PooledShare();
  t.equal(share.take(0.1, 60), 0.1);
  t.equal(share.take(0, 60), 0);
});

t.test('rows of few are put together until thirty requests were seen', async (t) => {
  const share = new PooledShare();
  for (let i = 0; i < 9; i++) t.ok(Number.isNaN(share.take(i === 0 ? 1 : 0, 3)));
  t.ok(Math.abs(share.take(0, 3) - 0.1) < 1e-12, 'three of thirty failed');
  t.ok(Number.isNaN(share.take(0, 29)), 'and those are spent');
});

t.test('rows without a request or without a share say nothing', async (t) => {
  const share = new PooledShare();
  t.ok(Number.isNaN(share.take(0, 0)));
  t.ok(Number.isNaN(share.take(Number.NaN, 100)));
  t.ok(Number.isNaN(share.take(0.5, Number.NaN)));
  t.equal(share.take(0.5, 30), 0.5);
});
