import fc from 'fast-check';
import t from 'tap';
import {
  ASSUMED_CORRELATION,
  measuredCorrelation,
  sumForecasts,
} from '../../src/analytics/forecast/demand-sum.ts';
import { ExpertWeights } from '../../src/analytics/forecast/expert-weights.ts';
import type { ForecastMethod } from '../../src/analytics/forecast/forecast.ts';
import { type Forecast, probabilityAbove, quantileOf } from '../../src/analytics/forecast/forecast-result.ts';
import {
  naiveMethods,
  quickMethods,
  streamingMethods,
  TRAINED_METHODS,
  trainedMethods,
} from '../../src/analytics/forecast/method-sets.ts';
import { NormalEquations } from '../../src/analytics/forecast/normal-equations.ts';
import { LEVELS, ResidualBand } from '../../src/analytics/forecast/residual-band.ts';
import { SeasonalFeatures } from '../../src/analytics/forecast/seasonal-features.ts';
import { SeriesForecaster, trackedHorizons } from '../../src/analytics/forecast/series-forecaster.ts';
import { SeriesWindow } from '../../src/analytics/forecast/series-window.ts';
import { seededRandom } from '../../src/core/random.ts';
import { daily, HOSTILE, make, noisyLevel, normal, randomWalk, SEASON } from './forecast/series-shapes.ts';

const HORIZON = 24;
const EVERY_METHOD: readonly ForecastMethod[] = [
  ...new Map(
    [...streamingMethods([SEASON]), ...quickMethods(TRAINED_METHODS)].map((method) => [method.name, method]),
  ).values(),
];

/** Runs one method alone over a series: fitted after `fitAt` values, then moved on by the rest. */
function runMethod(method: ForecastMethod, values: Float64Array, fitAt: number) {
  const window = new SeriesWindow(1000, [SEASON]);
  const tracked = trackedHorizons(HORIZON);
  const features = new SeasonalFeatures(window, tracked);
  const context = { window, features, horizon: HORIZON, tracked };
  const take = (value: number): void => {
    window.push(value);
    features.push();
  };
  for (const value of values.subarray(0, fitAt)) take(value);
  const model = method.fit(context);
  if (model === null) return null;
  for (const value of values.subarray(fitAt)) {
    take(value);
    model.push();
  }
  const path = new Float64Array(HORIZON);
  model.forecast(path);
  const again = new Float64Array(HORIZON);
  model.forecast(again);
  return { path, again };
}

function isStreaming(method: ForecastMethod): boolean {
  return streamingMethods([SEASON]).some(({ name }) => name === method.name);
}

for (const method of EVERY_METHOD) {
  t.test(`${method.name} gives finite forecasts of anything, and the same when asked twice`, async (t) => {
    for (const [shape, values] of Object.entries(HOSTILE)) {
      for (const fitAt of [0, Math.floor(values.length / 2), values.length]) {
        if (fitAt === 0 && values.length === 0) continue;
        const made = runMethod(method, values, fitAt);
        if (made === null) continue;
        t.ok(made.path.every(Number.isFinite), `${shape}, fitted at ${fitAt}`);
        t.strictSame(made.again, made.path, `${shape}: asking changes nothing`);
      }
    }
  });

  if (isStreaming(method) || method.name.includes('naive')) continue;
  t.test(`${method.name} beats the seasonal naive on a noisy day`, async (t) => {
    const values = daily(500, SEASON, 3);
    const made = runMethod(method, values.subarray(0, 460), 400);
    t.ok(made, 'enough history');
    let own = 0;
    let naive = 0;
    for (let h = 0; h < HORIZON; h++) {
      own += Math.abs(made!.path[h]! - values[460 + h]!);
      naive += Math.abs(values[460 + h - SEASON]! - values[460 + h]!);
    }
    t.ok(own < naive, `${own.toFixed(1)} against ${naive.toFixed(1)}`);
  });
}

/** Mean absolute error over that of persistence at one horizon, and the coverage of 90 %, of rolling forecasts. */
function roll(values: Float64Array, h: number, from: number, options = { seasons: [] as readonly number[] }) {
  const forecaster = new SeriesForecaster({ horizon: 10, ...options });
  let own = 0;
  let naive = 0;
  let inside = 0;
  let count = 0;
  for (let i = 0; i < values.length; i++) {
    forecaster.push(values[i]!);
    if (i < from || i + h >= values.length) continue;
    const step = forecaster.forecast().steps[h - 1]!;
    const target = values[i + h]!;
    own += Math.abs(step.mean - target);
    naive += Math.abs(values[i]! - target);
    count += 1;
    if (target >= step.lower90 && target <= step.upper90) inside += 1;
  }
  return { ratio: own / naive, coverage: inside / count, last: forecaster.forecast() };
}

t.test('the forecaster finds the level under noise, and leaves a random walk alone', async (t) => {
  const level = roll(noisyLevel(3000), 5, 500);
  t.ok(level.ratio < 0.75, `a level: ${level.ratio}, at best 0.71`);
  const walk = roll(randomWalk(3000), 5, 500);
  t.ok(walk.ratio < 1.05, `a random walk: ${walk.ratio}, at best 1`);
});

t.test('the forecaster uses the time of the day', async (t) => {
  const values = daily(24 * 60, 96, 5);
  const withSeason = roll(values, 5, 700, { seasons: [96] });
  t.ok(withSeason.ratio < 0.5, `${withSeason.ratio}`);
});

t.test('90 % intervals hold about 90 %, also when the noise doubles', async (t) => {
  for (const [name, values] of Object.entries({
    noisy: noisyLevel(3000, 7),
    walk: randomWalk(3000, 7),
    doubled: make(4000, (t, random) => 200 + (t < 2000 ? 10 : 20) * normal(random), 9),
    skewed: make(3000, (_, random) => -50 * Math.log(1 - random.next()), 11),
  })) {
    const { coverage } = roll(values, 5, 500);
    t.ok(coverage > 0.86 && coverage < 0.94, `${name}: ${coverage}`);
  }
});

t.test('what is issued changes when the series does', async (t) => {
  // First pure noise, where a slow level is best; then a walk, where only the last value counts.
  const random = seededRandom(3);
  let level = 100;
  const values = make(4000, (t) => {
    if (t > 2000) level += 8 * normal(random);
    return level + (t > 2000 ? 0 : 20 * normal(random));
  });
  const forecaster = new SeriesForecaster({ horizon: 10, seasons: [] });
  const gaps = { before: 0, after: 0 };
  for (let i = 0; i < values.length - 1; i++) {
    forecaster.push(values[i]!);
    const distance = Math.abs(forecaster.forecast(1).steps[0]!.mean - values[i]!);
    if (i > 1500 && i <= 2000) gaps.before += distance / 500;
    if (i > 3500) gaps.after += distance / 500;
  }
  t.ok(gaps.before > 10, `keeps away from the last value of noise: ${gaps.before}`);
  t.ok(gaps.after < 3, `and near the last value of a walk: ${gaps.after}`);
});

t.test(
  'nothing, one point, a constant: finite, wide where nothing is known, with the confidence said',
  async (t) => {
    const empty = new SeriesForecaster({ horizon: 5, seasons: [SEASON] }).forecast();
    t.equal(empty.confidence, 0);
    t.ok(empty.steps.every((step) => Object.values(step).every(Number.isFinite)));

    const one = new SeriesForecaster({ horizon: 5, seasons: [SEASON] });
    one.push(80);
    const step = one.forecast().steps[4]!;
    t.equal(step.mean, 80);
    t.ok(step.lower90 <= 10 && step.upper90 >= 150, 'one point says next to nothing');
    t.equal(one.forecast().method, 'persistence');

    const constant = new SeriesForecaster({ horizon: 5, seasons: [SEASON] });
    for (let i = 0; i < 500; i++) constant.push(42);
    const sure = constant.forecast();
    t.ok(sure.steps.every(({ mean }) => Math.abs(mean - 42) < 1e-6));
    t.equal(sure.confidence, 1);
    t.ok(probabilityAbove(sure, 0, 50) < 0.01);
  },
);

t.test('a gap widens the interval and lowers the confidence', async (t) => {
  const forecaster = new SeriesForecaster({ horizon: 10, seasons: [] });
  for (const value of randomWalk(1000)) forecaster.push(value);
  const before = forecaster.forecast();
  for (let i = 0; i < 40; i++) forecaster.push(Number.NaN);
  const after = forecaster.forecast();
  const width = ({ steps }: Forecast): number => steps[0]!.upper90 - steps[0]!.lower90;
  t.ok(width(after) > 3 * width(before), `${width(before)} to ${width(after)}`);
  t.ok(after.confidence < before.confidence / 2);
});

t.test(
  'property: any values in, finite ordered intervals out; what was said does not depend on what follows',
  async () => {
    const value = fc.oneof(
      { weight: 6, arbitrary: fc.double({ min: 0, max: 1000, noNaN: true }) },
      { weight: 1, arbitrary: fc.double() },
      { weight: 1, arbitrary: fc.constantFrom(0, Number.NaN, 1e308, -1e308, 1e15, 1e-300) },
    );
    fc.assert(
      fc.property(
        fc.array(value, { maxLength: 150 }),
        fc.nat(150),
        fc.boolean(),
        (values, cutAt, isTrained) => {
          const options = { horizon: 6, seasons: [7], trained: isTrained ? trainedMethods : [] };
          const whole = new SeriesForecaster(options);
          const cut = new SeriesForecaster(options);
          values.forEach((each, i) => {
            whole.push(each);
            if (isTrained && i % 50 === 49) whole.retrain();
            if (i < cutAt) {
              cut.push(each);
              if (isTrained && i % 50 === 49) cut.retrain();
            }
            if (i !== Math.min(cutAt, values.length) - 1) return;
            if (JSON.stringify(whole.forecast()) !== JSON.stringify(cut.forecast()))
              throw new Error('differs');
          });
          for (const step of whole.forecast().steps) {
            const order = [step.lower90, step.lower80, step.upper80, step.upper90];
            if (!order.every(Number.isFinite) || !Number.isFinite(step.mean))
              throw new Error(`not finite: ${order}`);
            if (order.some((bound, i) => i > 0 && bound < order[i - 1]!))
              throw new Error(`not ordered: ${order}`);
          }
        },
      ),
      { numRuns: 150 },
    );
  },
);

t.test('retraining takes over the trained methods and is better on seasons', async (t) => {
  const values = daily(600, SEASON, 13);
  const errorsOf = (isTrained: boolean): number => {
    const forecaster = new SeriesForecaster({
      horizon: HORIZON,
      seasons: [SEASON],
      capacity: 1000,
      streaming: naiveMethods([SEASON]),
      trained: trainedMethods,
    });
    for (const value of values.subarray(0, 576)) forecaster.push(value);
    if (isTrained) {
      const result = forecaster.retrain();
      t.ok(result.isReplaced);
      t.equal(result.methods.length, trainedMethods.length);
    }
    return forecaster
      .forecast()
      .steps.reduce((sum, { mean }, i) => sum + Math.abs(mean - values[576 + i]!), 0);
  };
  t.ok(errorsOf(true) < 0.9 * errorsOf(false));
});

t.test('a retraining without enough history leaves all as it was', async (t) => {
  const forecaster = new SeriesForecaster({ horizon: HORIZON, seasons: [SEASON], trained: trainedMethods });
  for (const value of daily(5, SEASON)) forecaster.push(value);
  const before = forecaster.forecast();
  t.strictSame(forecaster.retrain().methods, []);
  t.strictSame(
    forecaster.forecast().steps.map(({ mean }) => mean),
    before.steps.map(({ mean }) => mean),
  );
});

t.test('expert weights find the good expert and follow a change', async (t) => {
  const random = seededRandom(5);
  const weights = new ExpertWeights(3);
  const live = (good: number): void => {
    for (let i = 0; i < 400; i++) {
      const value = 100 + normal(random);
      const said = Float64Array.of(110, 110, 110);
      said[good] = 100 + normal(random);
      weights.learn(value, said, Float64Array.from(weights.current));
    }
  };
  live(1);
  t.ok(weights.current[1]! > 0.9, `${weights.current}`);
  live(2);
  t.ok(weights.current[2]! > 0.9, `${weights.current}`);
  t.ok(Math.abs(weights.current.reduce((a, b) => a + b) - 1) < 1e-9);
});

t.test('property: the band forgets the oldest errors, and its quantiles are those of the rest', async () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: -50, max: 50 }), { minLength: 300, maxLength: 700 }), (errors) => {
      const band = new ResidualBand();
      for (const error of errors) band.add(error);
      const sorted = errors.slice(-256).toSorted((a, b) => a - b);
      const width = band.quantile(1) / (sorted.at(-1)! || 1);
      if (sorted.at(-1) === 0) return;
      for (const p of [0.1, 0.25, 0.5, 0.9]) {
        const position = 257 * p - 1;
        const low = sorted[Math.floor(position)]!;
        const expected = low + (position % 1) * (sorted[Math.floor(position) + 1]! - low);
        if (Math.abs(band.quantile(p) - expected * width) > 1e-9)
          throw new Error(`${p}: ${band.quantile(p)}`);
      }
    }),
    { numRuns: 50 },
  );
});

t.test('least squares find the coefficients, and survive features that repeat each other', async (t) => {
  const random = seededRandom(9);
  const equations = new NormalEquations(3);
  for (let i = 0; i < 200; i++) {
    const [a, b] = [normal(random), normal(random)];
    equations.add(Float64Array.of(a, b, 1), 2 * a - 3 * b + 0.5, 1, 1);
  }
  const found = new Float64Array(3);
  t.ok(equations.solve(1e-9, found));
  t.ok(
    [2, -3, 0.5].every((value, i) => Math.abs(found[i]! - value) < 1e-6),
    `${found}`,
  );

  const doubled = new NormalEquations(2);
  for (let i = 0; i < 50; i++) doubled.add(Float64Array.of(i, i), 4 * i, 1, 1);
  const shared = new Float64Array(2);
  t.ok(doubled.solve(1e-6, shared));
  t.ok(Math.abs(shared[0]! + shared[1]! - 4) < 0.01, `${shared}`);

  const nothing = Float64Array.of(1, 1);
  t.notOk(new NormalEquations(2).solve(1, nothing), 'nothing learnt is no solution');
  t.strictSame(nothing, Float64Array.of(1, 1));
});

t.test('the chance of passing a limit is the inverse of the quantiles, and falls beyond them', async (t) => {
  const forecaster = new SeriesForecaster({ horizon: 5, seasons: [] });
  for (const value of noisyLevel(2000)) forecaster.push(value);
  const forecast = forecaster.forecast();
  for (const p of LEVELS.slice(1, -1)) {
    t.ok(Math.abs(1 - p - probabilityAbove(forecast, 4, quantileOf(forecast, 4, p))) < 1e-9, `${p}`);
  }
  let before = 1;
  for (let limit = -100; limit < 400; limit += 5) {
    const chance = probabilityAbove(forecast, 4, limit);
    t.ok(chance <= before && chance >= 0, `${limit}: ${chance} after ${before}`);
    before = chance;
  }
  t.ok(before < 1e-4 && before > 0, 'small, never nothing');
});

t.test('a sum of demands is as wide as its parts agree', async (t) => {
  const groups = 8;
  const together = (shared: number) => {
    const random = seededRandom(21);
    const parts = Array.from({ length: groups }, () => new SeriesForecaster({ horizon: 5, seasons: [] }));
    const total = new SeriesForecaster({ horizon: 5, seasons: [] });
    for (let i = 0; i < 1500; i++) {
      const common = normal(random);
      let sum = 0;
      for (const part of parts) {
        const value = 100 + 15 * (Math.sqrt(shared) * common + Math.sqrt(1 - shared) * normal(random));
        part.push(value);
        sum += value;
      }
      total.push(sum);
    }
    const forecasts = parts.map((part) => part.forecast());
    const correlation = measuredCorrelation(total.forecast(), forecasts);
    return { correlation, sum: sumForecasts(forecasts, correlation), total: total.forecast() };
  };
  for (const shared of [0, 0.5, 0.95]) {
    const { correlation, sum, total } = together(shared);
    t.ok(Math.abs(correlation - shared) < 0.25, `measured ${correlation} of ${shared}`);
    const width = (forecast: Forecast): number => forecast.steps[2]!.upper90 - forecast.steps[2]!.lower90;
    t.ok(Math.abs(width(sum) / width(total) - 1) < 0.25, `${width(sum)} for ${width(total)}`);
    t.ok(Math.abs(sum.steps[2]!.mean - 800) < 80);
  }
  const single = new SeriesForecaster({ horizon: 5, seasons: [] }).forecast();
  t.equal(sumForecasts([single]), single);
  t.throws(() => sumForecasts([]), RangeError);
  t.equal(measuredCorrelation(single, [single]), ASSUMED_CORRELATION);
});

t.test(
  'a series that never moved has an interval, and one that only rose is not believed to rise for ever',
  async (t) => {
    const after = (values: readonly number[]) => {
      const forecaster = new SeriesForecaster({ horizon: 10, seasons: [] });
      for (const value of values) forecaster.push(value);
      return forecaster.forecast().steps.at(-1)!;
    };
    const widthOf = (values: readonly number[]): number => {
      const { lower90, upper90 } = after(values);
      return upper90 - lower90;
    };
    const constant = widthOf(new Array(300).fill(50));
    t.ok(constant > 0.25 && constant < 2.5, `a per cent or so of 50: ${constant}`);
    t.ok(widthOf(new Array(300).fill(0)) > 0, 'nothing is known to stay nothing');
    const ramp = (length: number): number[] => Array.from({ length }, (_, i) => 10 + i);
    const [short, long] = [widthOf(ramp(40)), widthOf(ramp(2000))];
    // It rose by ten in a horizon, three times over: it may stop, or go on.
    t.ok(short > 15, `after 40 steps ${short}`);
    t.ok(after(ramp(40)).lower90 < 49 && after(ramp(40)).upper90 > 59);
    t.ok(long / 2000 < 0.2 * (short / 40), `after 2,000 steps ${long}`);
  },
);
