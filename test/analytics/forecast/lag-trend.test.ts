import t from 'tap';
import { LagTrend } from '../../../src/analytics/forecast/lag-trend.ts';
import { SeriesForecaster } from '../../../src/analytics/forecast/series-forecaster.ts';
import { seededRandom } from '../../../src/core/random.ts';

const HORIZON = 20;

/** Values around `levelOf(i)` with the noise of counts. */
function noisy(count: number, seed: number, levelOf: (i: number) => number): number[] {
  const random = seededRandom(seed);
  return Array.from({ length: count }, (_, i) => {
    const level = levelOf(i);
    return level + Math.sqrt(level) * (random.next() + random.next() + random.next() - 1.5) * 2;
  });
}

function forecasterAfter(values: readonly number[]): SeriesForecaster {
  const forecaster = new SeriesForecaster({ horizon: HORIZON, seasons: [] });
  for (const value of values) forecaster.push(value);
  return forecaster;
}

t.test('a rise that no earlier day showed is carried on, while it is still under way', async (t) => {
  const values = noisy(615, 5, (i) => 170 + Math.max(0, i - 600) * 4);
  const ahead = forecasterAfter(values).forecast().steps.at(-1)!.mean;
  t.ok(ahead > 235, `230 now, more in twenty steps: ${ahead}`);
  t.ok(ahead < 320, `and no more than the line: ${ahead}`);
});

t.test('noise alone raises hardly anything', async (t) => {
  let raised = 0;
  for (let seed = 1; seed <= 5; seed++) {
    const lag = new LagTrend(HORIZON);
    noisy(2000, seed, () => 170).forEach((value, i) => {
      lag.push(i, value, 170);
      if (lag.isBehind) raised += 1;
    });
  }
  t.ok(raised < 200, `${raised} of 10,000 steps`);
});

t.test('it is over soon after the forecasts have caught up', async (t) => {
  const lag = new LagTrend(HORIZON);
  for (let i = 0; i < 100; i++) lag.push(i, 100 + (i % 2), 100.5);
  for (let i = 100; i < 130; i++) lag.push(i, 200 + (i % 2), 100.5);
  t.ok(lag.isBehind);
  t.ok(lag.raise(5, 120) > 190);
  for (let i = 130; i < 150; i++) lag.push(i, 200 + (i % 2), 200.5);
  t.notOk(lag.isBehind);
  t.equal(lag.raise(5, 120), 120);
});

t.test('a fall lowers nothing: it may be a measurement that stalls', async (t) => {
  const lag = new LagTrend(HORIZON);
  for (let i = 0; i < 100; i++) lag.push(i, 100 + (i % 2), 100.5);
  for (let i = 100; i < 130; i++) lag.push(i, 10 + (i % 2), 100.5);
  t.equal(lag.raise(5, 100), 100);
});
