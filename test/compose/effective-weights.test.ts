import t from 'tap';
import { effectiveWeights, shiftProgress } from '../../src/compose/effective-weights.ts';
import type { Published } from '../../src/compose/routing-publisher.ts';
import { SharedTables } from '../../src/state/shared-tables.ts';
import { inPeace, ROUND_MS, type Rounds } from '../rig/rounds.ts';

const tables = new SharedTables();
/** What a publisher hands on, on a clock that is the wall's. */
function published({ last }: Rounds): Published {
  return {
    plan: last.plan,
    input: { tables: tables.tablesOf(last.plan, (ms) => ms) },
  } as unknown as Published;
}

t.test('without a shift what is desired is true', async (t) => {
  const site = inPeace();
  t.strictSame(effectiveWeights(published(site), site.now), [1, 1, 1]);
  t.equal(shiftProgress(published(site), site.now), 1);
});

t.test('during a shift they go from what was to what shall be, with the keys', async (t) => {
  const site = inPeace();
  site.risk('a', 0.8).pass(ROUND_MS);
  const now = site.now;
  const at = (ms: number): number[] => effectiveWeights(published(site), now + ms);
  const total = 2.1;
  t.ok(Math.abs(at(0)[0]! - (86 / 256) * total) < 1e-5, 'all is still where it was');
  t.ok(Math.abs(at(60_000)[0]! - 0.1) < 0.01);
  for (const ms of [0, 10_000, 30_000, 60_000]) {
    const weights = at(ms);
    t.ok(Math.abs(weights.reduce((sum, weight) => sum + weight, 0) - total) < 1e-5, 'nothing is lost');
    t.equal(shiftProgress(published(site), now + ms), ms / 60_000);
  }
  t.ok(Math.abs(at(30_000)[0]! - (at(0)[0]! + at(60_000)[0]!) / 2) < 1e-5, 'half-way at half time');
});

t.test('a shift for the thresholds of some routes is none of the weights of all', async (t) => {
  const site = inPeace(undefined, { own: { low: 0.1, high: 0.3, evict: 0.5, critical: 0.1 } });
  site.risk('a', 0.25).pass(ROUND_MS);
  t.equal(site.progress(), undefined);
  t.equal(shiftProgress(published(site), site.now), 0, 'one is under way');
  t.strictSame(effectiveWeights(published(site), site.now), [1, 1, 1]);
});
