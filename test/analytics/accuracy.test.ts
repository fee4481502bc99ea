// How the engine judges itself: by hand-made predictions with known outcomes.

import t from 'tap';
import { ForecastScore, ProbabilityScore } from '../../src/analytics/accuracy.ts';
import { packNumbers, StateReader } from '../../src/analytics/state-reader.ts';

const H = 300;
const DAY = 86_400_000;

t.test('a failure inside the window makes a prediction right, outside it wrong', async (t) => {
  const score = new ProbabilityScore();
  score.predicted(0, H, 0.9);
  score.predicted(100, 100 + H, 0.8);
  score.pass(250);
  t.equal(score.figures().scored, 0, 'nothing is judged before its window closes');
  score.eventBegan(260);
  t.match(score.figures(), { scored: 2, events: 1, foreseen: 1, leadMs: 260 });
  t.ok(Math.abs(score.figures().brier! - (0.01 + 0.04) / 2) < 1e-12);
  score.predicted(300, 300 + H, 0.9);
  t.equal(score.figures().scored, 2, 'while it lasts there is nothing to foresee');
  score.eventEnded();
  score.predicted(1000, 1000 + H, 0.7);
  score.pass(1000 + H);
  t.equal(score.figures().scored, 3);
  t.ok(score.figures().falseAlarmsPerDay! > 0);
});

t.test('a prediction that was acted upon leaves the score, unless the failure came anyway', async (t) => {
  const score = new ProbabilityScore();
  score.predicted(0, H, 0.9, true);
  score.pass(H);
  t.match(score.figures(), { scored: 0, censored: 1, brier: undefined });
  score.predicted(400, 400 + H, 0.9, true);
  score.eventBegan(500);
  t.match(score.figures(), { scored: 1, censored: 1, events: 1 });
  t.equal(score.figures().falseAlarmsPerDay, undefined, 'a prevented failure is no false alarm');
});

t.test('skill is judged from five failures on', async (t) => {
  const score = new ProbabilityScore();
  for (let i = 0; i < 6; i++) {
    const at = i * 10_000;
    if (i < 5) t.equal(score.figures().skill, undefined, `${i} failures say nothing`);
    for (let k = 0; k < 10; k++) {
      score.predicted(at + k * H, at + (k + 1) * H, 0.05);
      score.pass(at + (k + 1) * H);
    }
    score.predicted(at + 11 * H, at + 12 * H, 0.95);
    score.eventBegan(at + 11.5 * H);
    score.eventEnded();
  }
  t.ok(score.figures().skill! > 0.9);
  const useless = new ProbabilityScore();
  for (let i = 0; i < 6; i++) {
    useless.predicted(i * 1000, i * 1000 + H, 0.1);
    useless.eventBegan(i * 1000 + 10);
    useless.eventEnded();
    useless.predicted(i * 1000 + 500, i * 1000 + 500 + H, 0.9);
    useless.pass(i * 1000 + 900);
  }
  t.ok(useless.figures().skill! < 0, 'worse than the base rate is said to be');
});

t.test('a quiet day after failures does not end the judgement', async (t) => {
  const score = new ProbabilityScore();
  for (let i = 0; i < 5; i++) {
    const at = i * 3_600_000;
    score.predicted(at, at + 300_000, 0.01);
    score.eventBegan(at + 100_000);
    score.eventEnded();
  }
  for (let i = 0; i < 4000; i++) {
    const at = 20_000_000 + i * 30_000;
    score.predicted(at, at + 30_000, 0.6);
    score.pass(at + 30_000);
  }
  const { skill, baseRate } = score.figures();
  t.ok(skill! < 0, `alarms all day and no failure: ${skill}`);
  t.ok(baseRate! > 0 && baseRate! < 0.01);
  t.ok(score.takeErrors().length > 0);
  t.strictSame(score.takeErrors(), [], 'each error is told once');
});

t.test('an alarm held for long is one alarm a window', async (t) => {
  const score = new ProbabilityScore();
  for (let i = 0; i < 10; i++) score.predicted(i * 30, i * 30 + H, 0.9);
  for (let i = 0; i < 10; i++) score.predicted(DAY + i * 30, DAY + i * 30 + H, 0.9);
  score.pass(2 * DAY);
  t.ok(Math.abs(score.figures().falseAlarmsPerDay! - 2) < 0.01);
});

t.test('an incident that an operator confirms later turns false alarms into foresight', async (t) => {
  const score = new ProbabilityScore();
  score.predicted(0, H, 0.9);
  score.pass(10_000);
  t.ok(score.figures().brier! > 0.8);
  score.confirmed(200, H);
  t.match(score.figures(), { events: 1, foreseen: 1, leadMs: 200 });
  t.ok(score.figures().brier! < 0.02);
  score.confirmed(90_000, H);
  t.equal(score.figures().events, 1, 'one that nothing was said before is not about us');
});

t.test('what is kept comes back, with predictions that still wait', async (t) => {
  const score = new ProbabilityScore();
  score.predicted(0, H, 0.25);
  score.pass(H);
  score.predicted(400, 400 + H, 0.75);
  const read = (state: unknown) =>
    ProbabilityScore.restore(new StateReader(JSON.parse(JSON.stringify(state))));
  const again = read(score.state());
  again.eventBegan(500);
  score.eventBegan(500);
  t.strictSame(again.figures(), score.figures());
  const whole = score.state();
  const bad = [null, 7, {}, { ...whole, settled: 'xxxx' }, { ...whole, settled: packNumbers([1, 2, 3]) }];
  for (const state of bad) t.throws(() => read(state), { message: /must be|no score/ });
});

t.test('memory of predictions is bounded', async (t) => {
  const score = new ProbabilityScore();
  for (let i = 0; i < 20_000; i++) {
    score.predicted(i, i + 10, 0.1);
    score.pass(i);
  }
  t.equal(score.figures().scored, 2880);
  const forecasts = new ForecastScore();
  for (let i = 0; i < 10_000; i++) {
    forecasts.predicted({ slot: i + 3, value: 1, lower: 0, upper: 2, naive: 1 });
    forecasts.actual(i, 1);
  }
  t.equal(forecasts.figures().scored, 2880);
});

t.test('forecasts are scored against what came, persistence and the size of a step', async (t) => {
  const score = new ForecastScore();
  for (let i = 0; i < 20; i++) {
    const value = i * 2;
    score.predicted({ slot: i + 5, value: value + 9, lower: value + 8, upper: value + 10, naive: value });
    score.actual(i, value);
  }
  const { scored, mase, overPersistence, coverage } = score.figures();
  t.strictSame(
    { scored, mase, overPersistence, coverage },
    { scored: 15, mase: 0.5, overPersistence: 0.1, coverage: 1 },
  );
  score.predicted({ slot: 30, value: Number.NaN, lower: 0, upper: 1, naive: 0 });
  score.actual(30, 5);
  t.equal(score.figures().scored, 15, 'what is no number is not scored');
  score.actual(31, undefined);
  t.equal(new ForecastScore().figures().mase, undefined);
});
