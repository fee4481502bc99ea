import t from 'tap';
import { naiveMethods, SLOW_METHODS, type SlowMethod } from '../../../src/analytics/forecast/method-sets.ts';
import { checkedPath, foretold } from '../../../src/analytics/forecast/path-model.ts';
import { SeriesForecaster } from '../../../src/analytics/forecast/series-forecaster.ts';
import { asMethods, fitSlowly } from '../../../src/analytics/forecast/slow-fits.ts';
import { daily, HOSTILE } from './series-shapes.ts';

const SEASON = 12;
const HORIZON = 12;

function forecasterOf(values: Float64Array): SeriesForecaster {
  const forecaster = new SeriesForecaster({
    horizon: HORIZON,
    seasons: [SEASON],
    streaming: naiveMethods([SEASON]),
  });
  for (const value of values) forecaster.push(value);
  return forecaster;
}

/** Mean absolute error of what is issued, against the true values that follow. */
function errorOf(forecaster: SeriesForecaster, truth: Float64Array): number {
  const { steps } = forecaster.forecast();
  return steps.reduce((sum, { mean }, i) => sum + Math.abs(mean - truth[i]!), 0) / steps.length;
}

const VALUES = daily(252, SEASON, 4);

for (const method of SLOW_METHODS) {
  t.test(`${method}, fitted elsewhere, beats the naive methods and walks on`, async (t) => {
    const forecaster = forecasterOf(VALUES.subarray(0, 228));
    const naive = errorOf(forecaster, VALUES.subarray(228));
    const fit = asMethods(await fitSlowly(forecaster.slowFit([method])));
    t.strictSame(fit.failed, []);
    t.strictSame(forecaster.retrain(fit.methods).methods, [method]);
    t.ok(errorOf(forecaster, VALUES.subarray(228)) < naive, `${naive}`);
    for (const value of VALUES.subarray(228, 240)) forecaster.push(value);
    t.ok(forecaster.forecast().steps.every(({ mean }) => Number.isFinite(mean)));
  });

  t.test(`${method} gives a sane path or none of anything`, async (t) => {
    for (const [shape, values] of Object.entries(HOSTILE)) {
      const forecaster = forecasterOf(values);
      const { methods, failed } = asMethods(await fitSlowly(forecaster.slowFit([method])));
      t.equal(methods.length + failed.length, 1, shape);
      forecaster.retrain(methods);
      t.ok(
        forecaster.forecast().steps.every((step) => Object.values(step).every(Number.isFinite)),
        shape,
      );
    }
  });
}

t.test('a fit that was made for an earlier moment is followed from where the series is now', async (t) => {
  const forecaster = forecasterOf(VALUES.subarray(0, 228));
  const { methods } = asMethods(await fitSlowly(forecaster.slowFit(['mstl'])));
  for (const value of VALUES.subarray(228, 231)) forecaster.push(value);
  t.strictSame(forecaster.retrain(methods).methods, ['mstl']);
  const { steps } = forecaster.forecast();
  const error = steps.reduce((sum, { mean }, i) => sum + Math.abs(mean - VALUES[231 + i]!), 0) / steps.length;
  t.ok(error < 20, `in step with the day: ${error}`);
});

t.test('a diverged path is refused, one within the spread of the history is taken', async (t) => {
  const history = Float64Array.of(10, 20, 30);
  t.strictSame(checkedPath(history, [25, 49, -9]), Float64Array.of(25, 49, -9));
  for (const bad of [[-1e300], [51], [20, Number.NaN], [Number.POSITIVE_INFINITY], []]) {
    t.equal(checkedPath(history, bad), null, String(bad));
  }
  t.equal(asMethods([{ method: 'sarima' as SlowMethod, paths: [] }]).failed.length, 1);
  t.equal(foretold('none', []).name, 'none');
});
