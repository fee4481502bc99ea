import t from 'tap';
import { trainBoostedTrees } from '../../../src/analytics/failure/boosted-trees.ts';
import {
  type FailurePrediction,
  FailurePredictor,
} from '../../../src/analytics/failure/failure-predictor.ts';
import { seededRandom } from '../../../src/core/random.ts';
import {
  METRICS,
  ROWS_PER_DAY,
  type ServerRow,
  STEP_MS,
  serverRows,
  type Trouble,
} from '../../rig/failing-servers.ts';

const HORIZON_ROWS = 20;
const SPECS = METRICS.map((name) => ({ name }));
// The plan begins to move traffic at this risk.
const ACTS = 0.3;

function newPredictor(): FailurePredictor {
  return new FailurePredictor({ metrics: SPECS, horizonMs: HORIZON_ROWS * STEP_MS });
}

/** Feeds rows as production does: outcome of the row before, the row, the question, training when due. */
function* replay(predictor: FailurePredictor, rows: Iterable<ServerRow>): Generator<FailurePrediction> {
  let last: ServerRow | undefined;
  for (const row of rows) {
    if (last !== undefined) predictor.outcome(last.atMs, last.failing);
    predictor.push(row.atMs, row.values);
    yield predictor.predict();
    const due = predictor.trainingRows();
    if (due !== undefined) predictor.adopt(trainBoostedTrees(due));
    last = row;
  }
}

function predictionsFor(rows: number, troubles: readonly Trouble[], seed: number): FailurePrediction[] {
  return [...replay(newPredictor(), serverRows(rows, troubles, seed))];
}

const START = ROWS_PER_DAY + 700;

t.test(
  'a first failure of each creeping kind is flagged before it, from no experience, with its reason',
  async (t) => {
    for (const [kind, rows, leadRows, reason] of [
      ['leak', 60, 8, /memory reaches its limit in \d+ (s|min)/],
      ['leak', 240, 8, /memory reaches its limit/],
      ['latency', 60, 10, /latency is .* its usual value and rising/],
      ['errors', 60, 15, /the error rate is .* its usual value and rising/],
    ] as const) {
      const failsAt = START + rows;
      const told = predictionsFor(failsAt + 1, [{ kind, row: START, rows }], 11);
      const first = told.findIndex(({ probability }, row) => row >= START && probability > ACTS);
      t.ok(
        first > 0 && failsAt - first >= leadRows,
        `${kind} over ${rows} rows: ${failsAt - first} rows before`,
      );
      t.match(told[Math.min(first + 1, failsAt - 2)]!.reasons.join('; '), reason);
      t.ok(told[failsAt - 1]!.confidence <= 0.5, 'the prior never claims more than half');
      t.ok(
        told.slice(0, START).every(({ probability }) => probability < 0.1),
        'quiet before',
      );
    }
  },
);

t.test('daily peaks, a heap that is collected and noise are flagged by none of four servers', async (t) => {
  for (let seed = 20; seed < 24; seed += 1) {
    const highest = Math.max(
      ...predictionsFor(2 * ROWS_PER_DAY, [], seed).map(({ probability }) => probability),
    );
    t.ok(highest < ACTS, `seed ${seed}: at most ${highest.toFixed(3)}`);
  }
});

t.test(
  'a crash without warning is not claimed beforehand, and the base rate is all that is said',
  async (t) => {
    // Gaps that tell nothing of each other.
    const troubles = [900, 1310, 2950, 3420, 5790, 6100, 7640, 9410].map((row) => {
      return { kind: 'crash', row, rows: 1 } as const;
    });
    const told = predictionsFor(9600, troubles, 31);
    const last = told.at(-1)!;
    t.equal(last.score.outcomes, 8);
    for (const { row } of troubles.slice(1)) t.ok(told[row]!.probability < 0.2, `${told[row]!.probability}`);
    t.equal(last.model, 'base_rate', `skill ${last.score.skill}`);
    t.match(last.reasons, ['no model predicts better than the base rate']);
  },
);

t.test('with failures behind it, models that beat the base rate speak and are trusted more', async (t) => {
  const troubles = Array.from({ length: 9 }, (_, n) => {
    return { kind: 'leak', row: 700 + n * 800 + (n % 4) * 97, rows: 70 } as const;
  });
  const told = predictionsFor(8000, troubles, 41);
  const last = told.at(-1)!;
  t.not(last.model, 'base_rate');
  t.ok(last.score.skill > 0.2, `skill ${last.score.skill} over ${last.score.outcomes} failures`);
  t.ok(last.confidence > 0.5);
});

t.test(
  'rows to come change nothing that was said, and a model from another thread may come later',
  async (t) => {
    const troubles = Array.from(
      { length: 7 },
      (_, n) => ({ kind: 'leak', row: 500 + n * 400, rows: 60 }) as const,
    );
    const whole = predictionsFor(3400, troubles, 51).map(({ probability }) => probability);
    for (const cut of [600, 2999]) {
      const part = predictionsFor(cut, troubles, 51).map(({ probability }) => probability);
      t.strictSame(part, whole.slice(0, cut), `first ${cut} rows`);
    }
  },
);

t.test('predictions that were acted upon are not judged, unless the failure came anyway', async (t) => {
  const skillOf = (fails: boolean, acted: boolean): readonly { skill: number; outcomes: number }[] => {
    const predictor = newPredictor();
    const rows = [...serverRows(START + 30, [{ kind: 'leak', row: START - 60, rows: 70 }], 61)];
    for (const row of rows) {
      predictor.push(row.atMs, row.values);
      predictor.predict();
      predictor.setActedUpon(acted && row.atMs >= (START - 60) * STEP_MS);
      predictor.outcome(row.atMs, fails && row.failing);
    }
    return predictor.skills();
  };
  const prior = 1;
  t.ok(skillOf(false, false)[prior]!.skill < -1, 'a false alarm counts against it');
  t.equal(skillOf(false, true)[prior]!.skill > -0.1, true, 'not when traffic was moved because of it');
  t.ok(skillOf(true, true)[prior]!.skill > 0, 'a failure that came all the same counts for it');
});

t.test('broken rows and empty histories give finite, modest answers', async (t) => {
  const random = seededRandom(71);
  const cases: readonly (readonly [string, (row: number) => number[]])[] = [
    ['constant', () => METRICS.map(() => 0.5)],
    ['all unknown', () => METRICS.map(() => Number.NaN)],
    ['too few columns', () => []],
    ['overflow', (row) => METRICS.map(() => (row % 9 === 0 ? 1e308 : random.next()))],
    ['infinite', (row) => METRICS.map(() => (row % 5 === 0 ? Number.NEGATIVE_INFINITY : random.next()))],
    ['tiny', () => METRICS.map(() => 5e-324)],
  ];
  for (const [name, rowOf] of cases) {
    const predictor = newPredictor();
    const empty = predictor.predict();
    t.ok(
      empty.probability < 0.05 && empty.confidence === 0,
      `${name}: nothing is known before the first row`,
    );
    for (let row = 0; row < 400; row += 1) {
      predictor.push(row * STEP_MS, rowOf(row));
      const { probability, confidence } = predictor.predict();
      if (!(probability >= 0 && probability < ACTS && confidence <= 0.5))
        t.fail(`${name}: ${probability} at ${row}`);
    }
  }
  const predictor = newPredictor();
  t.equal(predictor.push(1000, []), true);
  t.equal(predictor.push(1000, []), false, 'the same time again is left out');
  t.equal(predictor.push(Number.NaN, []), false);
});

t.test(
  'a training waits for its time, or for a drift, and always for rows that nobody has learnt from',
  async (t) => {
    const predictor = newPredictor();
    const troubles = Array.from({ length: 6 }, (_, n) => {
      return { kind: 'leak', row: 500 + n * 400, rows: 60 } as const;
    });
    const rows = [...serverRows(2900 + 30 * HORIZON_ROWS, troubles, 71)];
    const live = (part: readonly ServerRow[]): void => {
      for (const row of part) {
        predictor.push(row.atMs, row.values);
        predictor.outcome(row.atMs, row.failing);
        predictor.predict();
      }
    };
    live(rows.slice(0, 2900));
    const first = predictor.trainingRows();
    t.equal(first?.unseen, first?.labels.length);
    predictor.adopt(trainBoostedTrees(first!));
    live(rows.slice(2900, 2900 + 5 * HORIZON_ROWS));
    t.equal(predictor.trainingRows(true), undefined, 'a drift alone is no ground to judge on');
    live(rows.slice(2900 + 5 * HORIZON_ROWS));
    t.equal(predictor.trainingRows(), undefined, 'it is not due');
    const drifted = predictor.trainingRows(true);
    t.ok(drifted!.unseen! >= 120 && drifted!.unseen! < drifted!.labels.length, `${drifted?.unseen}`);
  },
);
