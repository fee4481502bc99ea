import t from 'tap';
import { calibrate, fitCalibration, IDENTITY, logOdds } from '../../src/analytics/calibrate.ts';
import { seededRandom } from '../../src/core/random.ts';

function outcomesOf(probabilities: readonly number[], truth: (p: number) => number, seed: number): number[] {
  const random = seededRandom(seed);
  return probabilities.map((p) => (random.next() < truth(p) ? 1 : 0));
}

const SPREAD = Array.from({ length: 4000 }, (_, i) => ((i * 37) % 100) / 100 + 0.005);

t.test('odds that are too bold are drawn in, and too timid ones are stretched', async (t) => {
  for (const slope of [0.5, 2]) {
    const truth = (p: number): number => calibrate({ slope, shift: -0.5 }, p);
    const fitted = fitCalibration(SPREAD, outcomesOf(SPREAD, truth, 1), 1);
    t.ok(Math.abs(fitted.slope - slope) < 0.2, `slope ${fitted.slope} for ${slope}`);
    t.ok(Math.abs(fitted.shift + 0.5) < 0.2, `shift ${fitted.shift}`);
  }
});

t.test('few outcomes change little, none change nothing', async (t) => {
  t.strictSame(fitCalibration([], [], 1), IDENTITY);
  const wrong = fitCalibration([0.9, 0.9, 0.9], [0, 0, 0], 1 / 6);
  const corrected = calibrate(wrong, 0.9);
  t.ok(corrected > 0.8 && corrected < 0.9, `${corrected} after half an outcome`);
});

t.test('a model that is always wrong is not turned into its mirror', async (t) => {
  const outcomes = outcomesOf(SPREAD, (p) => 1 - p, 2);
  t.strictSame(fitCalibration(SPREAD, outcomes, 1), IDENTITY);
});

t.test('certainties and nonsense stay finite probabilities', async (t) => {
  const fitted = fitCalibration([0, 1, 1, 0, Number.NaN], [0, 1, 0, 1, 1], 1);
  for (const p of [0, 1, Number.NaN, 0.5]) {
    const q = calibrate(fitted, p);
    t.ok(q > 0 && q < 1, `${p} -> ${q}`);
  }
  t.equal(logOdds(Number.NaN), 0);
});
