import t from 'tap';
import { type RegionIndex, regionIndex } from '../../src/core/ids.ts';
import { RetryBudget } from '../../src/proxy/retry-budget.ts';
import type { RouteRetry } from '../../src/routing/snapshot.ts';

const RETRY = { budget: 0.2, minBudget: 3 } as RouteRetry;
const HERE: RegionIndex = regionIndex(0);
const START = 5000;

/** Takes until it is refused. */
function takeAll(budget: RetryBudget, now: number, region = HERE, limit = 1000): number {
  let taken = 0;
  while (taken < limit && budget.take(0, region, RETRY, now)) taken += 1;
  return taken;
}

/** `count` requests that begin and end one after the other over a second. */
function traffic(budget: RetryBudget, from: number, count: number): void {
  for (let i = 0; i < count; i++) {
    budget.began(0, HERE, from + (i * 1000) / count);
    budget.ended(0, HERE);
  }
}

t.test(
  'what a dying server had under way may be retried, though little is in flight at that moment',
  async (t) => {
    const budget = new RetryBudget(1, 2, 1);
    traffic(budget, START, 300);
    t.equal(takeAll(budget, START + 999), 60, 'a fifth of the requests of a second');
    t.equal(takeAll(budget, START + 999, regionIndex(1)), 3, 'the floor, where there was no traffic');
  },
);

t.test('retries stay a share of the requests, however long everything fails', async (t) => {
  const budget = new RetryBudget(1, 1, 1);
  let retries = 0;
  for (let ms = 0; ms < 10_000; ms++) {
    budget.began(0, HERE, START + ms);
    budget.ended(0, HERE);
    if (budget.take(0, HERE, RETRY, START + ms)) retries += 1;
  }
  t.ok(retries <= 0.2 * 10_000 + 3, `${retries} retries of 10,000 requests`);
  t.ok(retries > 0.15 * 10_000, `${retries} retries of 10,000 requests`);
});

t.test('slow requests count as long as they are under way', async (t) => {
  const budget = new RetryBudget(1, 1, 1);
  for (let i = 0; i < 50; i++) budget.began(0, HERE, START);
  t.equal(takeAll(budget, START + 9000), 10);
});

t.test('the floor is for each second and divided among workers', async (t) => {
  const budget = new RetryBudget(1, 1, 2);
  t.equal(takeAll(budget, START), 2);
  t.equal(takeAll(budget, START + 100), 0);
  t.equal(takeAll(budget, START + 5000), 2);
});

t.test('a budget of nothing allows nothing', async (t) => {
  const budget = new RetryBudget(1, 1, 1);
  traffic(budget, START, 300);
  t.notOk(budget.take(0, HERE, { ...RETRY, budget: 0, minBudget: 0 }, START + 999));
});

t.test('a new snapshot inherits what was begun and spent', async (t) => {
  const before = new RetryBudget(1, 2, 1);
  traffic(before, START, 300);
  t.equal(takeAll(before, START + 999, HERE, 20), 20);
  const after = new RetryBudget(3, 3, 1);
  after.inherit([2, regionIndex(1)], before, [0, HERE]);
  let taken = 0;
  while (after.take(2, regionIndex(1), RETRY, START + 999)) taken += 1;
  t.ok(taken <= 40 && taken >= 3, `${taken} of the 40 left`);
});
