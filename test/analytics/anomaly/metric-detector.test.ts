import fc from 'fast-check';
import t from 'tap';
import { MetricDetector } from '../../../src/analytics/anomaly/metric-detector.ts';
import { type Break, recordMetric } from './recordings.ts';

const ROWS = 2600;
const AT = 2000;
/** Of the scores of quiet rows behind the first two days, this one is the bar that a break must pass. */
const QUIET_FROM = 600;

function scoresOf(values: Iterable<number>): number[] {
  const detector = new MetricDetector();
  return Array.from(values, (value) => detector.push(value).score);
}

const greatest = (scores: readonly number[]): number => scores.reduce((a, b) => Math.max(a, b), 0);

t.test('a break stands out from everything that the same metric did before', async (t) => {
  for (const breaks of ['spike', 'level', 'variance', 'period', 'drift', 'flat'] satisfies Break[]) {
    for (const seed of [1, 2, 3]) {
      const scores = scoresOf(recordMetric({ rows: ROWS, seed, breaks, at: AT }));
      const before = greatest(scores.slice(QUIET_FROM, AT));
      const during = greatest(scores.slice(AT, AT + 140));
      t.ok(during > before, `${breaks}, seed ${seed}: ${during.toFixed(3)} over ${before.toFixed(3)}`);
    }
  }
});

t.test('one incident gives one rise, not one a row, while the level stays up', async (t) => {
  for (const seed of [4, 12, 13]) {
    const detector = new MetricDetector();
    const said = Array.from(recordMetric({ rows: ROWS, seed, breaks: 'level', at: AT }), (value) =>
      detector.push(value),
    );
    const during = said.slice(AT, AT + 120);
    const alarms = during.filter(({ score }) => score >= 0.3).length;
    const up = during.filter(({ level }) => level >= 0.3).length;
    t.ok(alarms >= 1 && alarms <= 5, `seed ${seed}: ${alarms} rows at 0.3 or more`);
    t.ok(up > 20, `seed ${seed}: abnormal on ${up} rows`);
  }
});

t.test('a day like the days before stays quiet', async (t) => {
  for (const seed of [5, 6, 7]) {
    const scores = scoresOf(recordMetric({ rows: ROWS, seed, breaks: 'none', at: AT }));
    const alarms = scores.slice(QUIET_FROM).filter((score) => score >= 0.7).length;
    t.ok(alarms <= 2, `${alarms} rows of ${ROWS - QUIET_FROM} at 0.7 or more`);
  }
});

t.test('says in words what is abnormal, and nothing while little is', async (t) => {
  const detector = new MetricDetector();
  const said = Array.from(
    recordMetric({ rows: ROWS, seed: 8, breaks: 'level', at: AT }),
    (value) => detector.push(value).words,
  );
  t.match(
    said.slice(AT, AT + 60).find((words) => words?.startsWith('rose')),
    /^rose \d+\.\d deviations from its usual level$/,
  );
  t.equal(said[0], undefined);
});

t.test('what is said of a row does not depend on later rows', async (t) => {
  const values = recordMetric({ rows: 1500, seed: 9, breaks: 'drift', at: 1000 });
  const whole = scoresOf(values);
  for (const cut of [1, 13, 499, 1044]) t.strictSame(scoresOf(values.subarray(0, cut)), whole.slice(0, cut));
});

t.test('anything that a broken exporter sends gives a score from 0 to 1', async () => {
  const odd = fc.constantFrom(
    Number.NaN,
    Number.POSITIVE_INFINITY,
    Number.NEGATIVE_INFINITY,
    1e308,
    -1e308,
    5e-324,
    0,
  );
  fc.assert(
    fc.property(fc.array(fc.oneof(odd, fc.double()), { minLength: 1, maxLength: 600 }), (values) => {
      for (const score of scoresOf(values)) if (!(score >= 0 && score <= 1)) return false;
      return true;
    }),
    { numRuns: 60, seed: 1 },
  );
});

t.test('a constant series and a series of one value are not abnormal', async (t) => {
  t.equal(greatest(scoresOf(new Float64Array(3000).fill(7))), 0);
  t.equal(greatest(scoresOf(new Float64Array(3000))), 0);
  t.strictSame(scoresOf([42]), [0]);
});

t.test('an absurd value is forgotten: the metric can still be judged after it', async (t) => {
  const values = recordMetric({ rows: ROWS, seed: 10, breaks: 'level', at: AT });
  values[700] = 1e308;
  const scores = scoresOf(values);
  const before = greatest(scores.slice(1100, AT));
  t.ok(greatest(scores.slice(AT, AT + 140)) > before);
});

t.test('missing values change nothing of what is said of the others', async (t) => {
  const values = recordMetric({ rows: 900, seed: 11, breaks: 'spike', at: 700 });
  const gappy = Array.from(values).flatMap((value, row) => (row % 5 === 0 ? [Number.NaN, value] : [value]));
  t.strictSame(
    scoresOf(gappy).filter((_, i) => !Number.isNaN(gappy[i]!)),
    scoresOf(values),
  );
});
