import t from 'tap';
import { formatBound, GOALS, judge } from '../../bench/forecast/goals.ts';

const goalOf = (key: string) => GOALS.find((goal) => goal.key === key)!;

t.test('a figure is given the best level that it reaches, in the direction of its goal', async (t) => {
  const more = goalOf('nab.standard');
  t.strictSame(
    [59, 60, 70.2, 73].map((value) => judge(more, value)),
    ['missed', 'must', 'strong', 'stretch'],
  );
  const less = goalOf('m4.owa');
  t.strictSame(
    [0.6, 0.55, 0.42, 0.4].map((value) => judge(less, value)),
    ['missed', 'must', 'strong', 'stretch'],
  );
  const within = goalOf('m4.coverage');
  t.strictSame(
    [0.79, 0.96, 0.9, 0.98].map((value) => judge(within, value)),
    ['missed', 'must', 'strong', 'missed'],
  );
  t.equal(judge(goalOf('finite'), 1), 'missed');
});

t.test('what was not measured is neither reached nor missed', async (t) => {
  t.equal(judge(goalOf('m4.owa'), undefined), 'not measured');
  t.equal(judge(goalOf('m4.owa'), Number.NaN), 'not measured');
});

t.test('all eleven goals are there, with levels that get harder', async (t) => {
  t.strictSame([...new Set(GOALS.map(({ goal }) => goal))], [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
  for (const goal of GOALS.filter(({ better }) => better !== 'within')) {
    const levels = [goal.must, goal.strong, goal.stretch].filter((bound) => typeof bound === 'number');
    const harder = levels.every((level, i) => i === 0 || (goal.better === 'more') === level > levels[i - 1]!);
    t.ok(harder, goal.title);
  }
  t.equal(formatBound([0.8, 0.97]), '0.8-0.97');
  t.equal(formatBound(undefined), '');
});
