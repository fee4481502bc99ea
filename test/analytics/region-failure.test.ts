import t from 'tap';
import { regionFailure } from '../../src/analytics/region-failure.ts';

t.test('one server in danger of many endangers no region', async (t) => {
  t.equal(regionFailure([]), 0);
  t.equal(regionFailure([0.9, 0, 0, 0]), 0);
  t.equal(regionFailure([0.7]), 0.7);
});

t.test('what shows in all of them is as often as not one cause', async (t) => {
  t.ok(Math.abs(regionFailure([0.4, 0.4]) - (0.5 * 0.4 + 0.5 * 0.16)) < 1e-12);
  const ten = regionFailure(Array.from({ length: 10 }, () => 0.3));
  t.ok(ten > 0.15 && ten < 0.25, `independent ones would hardly ever: ${ten}`);
  t.equal(regionFailure([1, 1, 1]), 1);
  t.equal(regionFailure([Number.NaN, 2]), 0, 'one of two: half of a region is not the region');
});
