import t from 'tap';
import { type OverloadPrediction, OverloadPredictor } from '../../../src/analytics/failure/overload.ts';
import { OverloadTracker } from '../../../src/analytics/failure/overload-event.ts';
import { seededRandom } from '../../../src/core/random.ts';

const RULE = { window: 5, exceeding: 3, pauseRows: 30 };
const HORIZON_ROWS = 10;
const DAY = 1440;

function newPredictor(): OverloadPredictor {
  return new OverloadPredictor({ stepMs: 60_000, horizonMs: HORIZON_ROWS * 60_000, rule: RULE });
}

/** Days of requests with a daily wave, noise, and a surge on some evenings that climbs for half an hour. */
function demand(days: number, seed: number, surge: (day: number) => number): number[] {
  const random = seededRandom(seed);
  return Array.from({ length: days * DAY }, (_, row) => {
    const wave = 100 + 60 * Math.sin((2 * Math.PI * row) / DAY);
    const minute = row % DAY;
    const climb = Math.min(1, Math.max(0, (minute - 300) / 30)) * (minute < 400 ? 1 : 0);
    const noise = 1 + 0.1 * (random.next() + random.next() + random.next() - 1.5);
    return wave * noise * (1 + surge(Math.floor(row / DAY)) * climb);
  });
}

function run(loads: readonly number[], capacity?: number): OverloadPrediction[] {
  const predictor = newPredictor();
  let weights: Float64Array | undefined;
  return loads.map((load) => {
    predictor.push(load, capacity);
    const said = predictor.predict();
    const due = predictor.trainingRows();
    if (due !== undefined) {
      weights = OverloadPredictor.train(due, weights).model;
      predictor.adopt(weights);
    }
    return said;
  });
}

function beginnings(loads: readonly number[], capacity: number): number[] {
  const tracker = new OverloadTracker(RULE);
  return loads.flatMap((load, row) => (tracker.push(load, capacity) ? [row] : []));
}

t.test('an overload is three of five rows above capacity, and short pauses belong to it', async (t) => {
  const loads = [0, 9, 9, 0, 9, 9, 0, 0, 0, 0, 9, 9, 9, ...Array(40).fill(0), 9, 0, 9, 9];
  t.strictSame(beginnings(loads, 5), [4, 56]);
  const tracker = new OverloadTracker(RULE);
  for (const load of [9, 9, 9]) tracker.push(load, 5);
  t.equal(tracker.over, true);
  t.equal(tracker.exceeding(5), 3);
  tracker.push(Number.NaN, 5);
  tracker.push(0, 5);
  tracker.push(0, 5);
  t.equal(tracker.over, false);
});

t.test(
  'a climb past capacity is foretold minutes before, on days it never saw, better than by the base rate',
  async (t) => {
    const capacity = 200;
    const loads = demand(12, 1, (day) => (day % 3 === 2 ? 0.9 : 0.15));
    const said = run(loads, capacity);
    const begins = beginnings(loads, capacity).filter((row) => row > 4 * DAY);
    t.ok(begins.length >= 2, `${begins.length} overloads`);
    const leads = begins.map((row) => {
      for (let ahead = HORIZON_ROWS; ahead > 0; ahead -= 1) if (said[row - ahead]!.begins > 0.4) return ahead;
      return 0;
    });
    t.ok(
      leads.every((lead) => lead >= 2),
      `leads of ${leads.join(', ')} rows`,
    );
    const { skill, falseRows } = judge(said, begins, 4 * DAY);
    t.ok(skill > 0.1, `Brier skill ${skill}`);
    t.ok(falseRows < 8 * 60, `${falseRows} rows above 0.4 that nothing followed`);
  },
);

function judge(said: readonly OverloadPrediction[], begins: readonly number[], from: number) {
  const outcome = (row: number): number => (begins.some((b) => b > row && b <= row + HORIZON_ROWS) ? 1 : 0);
  let [errors, positives, falseRows, rows] = [0, 0, 0, 0];
  for (let row = from; row < said.length; row += 1) {
    const soon = outcome(row);
    errors += (said[row]!.begins - soon) ** 2;
    positives += soon;
    if (soon === 0 && said[row]!.begins > 0.4) falseRows += 1;
    rows += 1;
  }
  const base = positives / rows;
  return { skill: 1 - errors / rows / (base * (1 - base)), falseRows };
}

t.test(
  'from the first minutes a steep rise is seen, and a level far below capacity is not feared',
  async (t) => {
    const random = seededRandom(5);
    const steady = Array.from({ length: 60 }, () => 50 + 5 * random.next());
    const rise = Array.from({ length: 30 }, (_, row) => 52 + 4 * row);
    const said = run([...steady, ...rise], 150);
    t.ok(
      said.slice(0, 60).every(({ probability }) => probability < 0.05),
      'quiet',
    );
    const before = said[60 + 22]!;
    t.ok(before.probability > 0.3 && before.confidence <= 0.5, `${before.probability} two rows before 150`);
    t.match(before, {
      model: 'damped_trend',
      reasons: [/load is at \d+ % of capacity and may pass it within 10 min/],
    });
    const last = said.at(-1)!;
    t.match(last, { probability: 1, begins: 0, reasons: ['load is above capacity'] });
  },
);

t.test('capacity that is lost server by server counts from the row it is lost', async (t) => {
  const predictor = newPredictor();
  const random = seededRandom(6);
  for (let row = 0; row < 581; row += 1) {
    const servers = row < 560 ? 6 : row < 570 ? 5 : row < 580 ? 4 : 3;
    predictor.push(90 + 4 * random.next(), 25 * servers);
    const { probability } = predictor.predict();
    if (row > 5 && row < 560) t.ok(probability < 0.05, `row ${row}: ${probability}`);
    if (row === 580) t.ok(probability > 0.5, `${probability} in the row that half of them are gone`);
  }
});

t.test('a capacity that nobody gave is learnt from the busiest hours', async (t) => {
  const said = run(demand(3, 7, () => 0));
  const { capacity } = said.at(-1)!;
  t.ok(capacity > 165 && capacity < 215, `${capacity} for peaks of 160 and noise`);
});

t.test('rows to come change nothing that was said', async (t) => {
  const loads = demand(4, 8, (day) => (day % 2 === 1 ? 0.8 : 0));
  const whole = run(loads, 190).map(({ begins }) => begins);
  const cut = 3 * DAY + 123;
  t.strictSame(
    run(loads.slice(0, cut), 190).map(({ begins }) => begins),
    whole.slice(0, cut),
  );
});

t.test('nonsense and silence give finite, modest answers', async (t) => {
  t.match(newPredictor().predict(), { probability: 0, confidence: 0 });
  const cases: readonly (readonly [string, (row: number) => number, number | undefined])[] = [
    ['constant', () => 10, 100],
    ['zero', () => 0, undefined],
    ['unknown', () => Number.NaN, 100],
    ['overflow', (row) => (row % 7 === 0 ? 1e308 : 10), 100],
    ['negative', () => -5, 100],
    ['no capacity', () => 10, Number.NaN],
    ['no room', () => 10, 0],
  ];
  for (const [name, loadOf, capacity] of cases) {
    const said = run(
      Array.from({ length: 1600 }, (_, row) => loadOf(row)),
      capacity,
    );
    const wrong = said.find(({ probability: p, begins: b }) => !(p >= 0 && p <= 1 && b >= 0 && b <= 1));
    t.equal(wrong, undefined, name);
    t.ok(said.at(-1)!.begins < 0.5, `${name}: ${said.at(-1)!.begins}`);
  }
});

t.test('a forecast has a word as far as it is proven, and none in an overload', async (t) => {
  const predictor = new OverloadPredictor({ stepMs: 60_000, horizonMs: 600_000, rule: RULE });
  for (let row = 0; row < 100; row += 1) predictor.push(92 + (row % 7), 100);
  const alone = predictor.predict().probability;
  const said = (probability: number, confidence: number): number =>
    predictor.predict({ probability, confidence }).probability;
  t.ok(said(0.9, 1) > alone && said(0.0001, 1) < alone);
  t.ok(said(0.9, 0.2) < said(0.9, 1), 'a young one less');
  t.equal(said(0.9, 0), alone);
  t.equal(said(Number.NaN, 1), alone);
  for (let row = 0; row < 5; row += 1) predictor.push(120, 100);
  t.equal(said(0.0001, 1), 1);
});
