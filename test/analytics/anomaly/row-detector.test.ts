import fc from 'fast-check';
import t from 'tap';
import { fitRowModel, LEAST_ROWS, RowDetector } from '../../../src/analytics/anomaly/row-detector.ts';
import { recordRows } from './recordings.ts';

const HISTORY = 288 * 6;

function scoresOf(history: readonly Float64Array[], rows: Iterable<Float64Array>): number[] {
  const detector = new RowDetector(fitRowModel(history)!, history.slice(-200));
  return Array.from(rows, (row) => detector.push(row));
}

const greatest = (scores: readonly number[]): number => scores.reduce((a, b) => Math.max(a, b), 0);
const mean = (scores: readonly number[]): number => scores.reduce((a, b) => a + b, 0) / scores.length;

t.test('a metric that no longer goes with the others is abnormal though its value is ordinary', async (t) => {
  for (const seed of [1, 2, 3]) {
    const all = recordRows(HISTORY + 600, seed, HISTORY + 400);
    const history = all.slice(0, HISTORY);
    const scores = scoresOf(history, all.slice(HISTORY));
    t.ok(mean(scores.slice(402, 460)) > greatest(scores.slice(0, 400)), `seed ${seed}`);
  }
});

t.test('the metric that broke is named first', async (t) => {
  const all = recordRows(HISTORY + 460, 4, HISTORY + 400);
  const detector = new RowDetector(fitRowModel(all.slice(0, HISTORY))!, all.slice(HISTORY - 200, HISTORY));
  for (const row of all.slice(HISTORY)) detector.push(row);
  const [first, ...rest] = detector.contributions(3);
  t.equal(first!.metric, 1);
  t.equal(rest.length, 2);
  t.ok(first!.share > 0.4 && first!.share <= 1);
});

t.test('finds the length of a day, and that an idle server at noon is abnormal', async (t) => {
  const all = recordRows(HISTORY + 288, 5);
  const model = fitRowModel(all.slice(0, HISTORY))!;
  t.equal(model.profile?.rowsPerDay, 288);
  const usual = model.profile!.usual;
  const noon = (288 / 4) * 5;
  const midnight = ((3 * 288) / 4) * 5;
  t.ok(usual[noon]! > usual[midnight]! + 0.5, 'the profile knows high from low');
});

t.test('noise without a day has no profile', async (t) => {
  const random = recordRows(1200, 6).map((row) => Float64Array.of(row[4]!, row[4]! ** 2));
  t.equal(fitRowModel(random)!.profile, undefined);
});

t.test('what is said of a row does not depend on later rows', async (t) => {
  const all = recordRows(900, 7, 700);
  const history = all.slice(0, 600);
  const whole = scoresOf(history, all.slice(600));
  for (const cut of [1, 99, 180]) {
    t.strictSame(scoresOf(history, all.slice(600, 600 + cut)), whole.slice(0, cut));
  }
});

t.test('too little history has no model; a constant or missing metric does no harm', async (t) => {
  const rows = recordRows(LEAST_ROWS, 8);
  t.equal(fitRowModel(rows.slice(1)), undefined);
  const odd = recordRows(700, 8).map((row) => Float64Array.of(...row, 3, Number.NaN, row[0]!));
  const scores = scoresOf(odd.slice(0, 500), odd.slice(500));
  t.ok(scores.every((score) => score >= 0 && score < 0.9));
});

t.test('whatever comes in, a score is from 0 to 1, and the history may hold it too', async () => {
  const field = fc.oneof(
    fc.constantFrom(Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 1e308, -1e308, 0, 1),
    fc.double(),
  );
  const rows = fc.array(
    fc.tuple(field, field, field).map((fields) => Float64Array.from(fields)),
    {
      minLength: LEAST_ROWS,
      maxLength: 2 * LEAST_ROWS,
    },
  );
  fc.assert(
    fc.property(rows, rows, (history, test) =>
      scoresOf(history, test).every((score) => score >= 0 && score <= 1),
    ),
    { numRuns: 40, seed: 2 },
  );
});
