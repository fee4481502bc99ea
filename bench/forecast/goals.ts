// The goals of the engine on public data, as data: what is measured, what must be reached, what others have published.
// Pure: judging a figure is comparing two numbers.

export interface Goal {
  /** Number of the goal; several figures may share one. */
  readonly goal: number;
  /** Key of the measurement. */
  readonly key: string;
  readonly title: string;
  /** `more`: the greater the better. `within`: inside the two bounds of each level. */
  readonly better: 'more' | 'less' | 'within';
  readonly must: Bound;
  readonly strong?: Bound;
  readonly stretch?: Bound;
  /** What others reach, and what the trivial rival does. */
  readonly rivals: string;
}

type Bound = number | readonly [least: number, most: number];

export type Level = 'stretch' | 'strong' | 'must' | 'missed' | 'not measured';

const AUC = 'AUC-PR';
const F1 = 'event F1';

export const GOALS: readonly Goal[] = [
  {
    goal: 1,
    key: 'nab.standard',
    title: 'NAB, standard profile',
    better: 'more',
    must: 60,
    strong: 70.2,
    stretch: 72.1,
    rivals: 'ARTime 72.1, Numenta 70.2, CAD OSE 67.7, random cut forest 55.6, Skyline 54.6',
  },
  {
    goal: 2,
    key: 'm4.owa',
    title: 'M4 Hourly, OWA',
    better: 'less',
    must: 0.55,
    strong: 0.46,
    stretch: 0.41,
    rivals: 'M4 winners .410, .440, FFORMA .484; seasonal naive .595 here; SARIMA .476 here',
  },
  {
    goal: 2,
    key: 'm4.mase',
    title: 'M4 Hourly, MASE',
    better: 'less',
    must: 1,
    strong: 0.9,
    stretch: 0.8,
    rivals: 'FFORMA .819, AutoARIMA .92, seasonal naive 1.19, Prophet 1.78',
  },
  {
    goal: 2,
    key: 'm4.coverage',
    title: 'M4 Hourly, coverage of 90 %',
    better: 'within',
    must: [0.8, 0.97],
    strong: [0.85, 0.95],
    rivals: '.90 is what an interval of 90 % promises',
  },
  {
    goal: 3,
    key: 'load.nasa',
    title: 'load 5 min ahead, NASA / persistence',
    better: 'less',
    must: 1,
    strong: 0.8,
    stretch: 0.77,
    rivals: 'EWMA .83, daily seasonal naive 1.47',
  },
  {
    goal: 3,
    key: 'load.worldcup',
    title: 'load 5 min ahead, World Cup / persistence',
    better: 'less',
    must: 1,
    strong: 0.93,
    stretch: 0.88,
    rivals: 'EWMA .95, daily seasonal naive 5.7',
  },
  {
    goal: 4,
    key: 'smd.detect.auc',
    title: `SMD detection, ${AUC} (mean of files)`,
    better: 'more',
    must: 0.5,
    strong: 0.6,
    stretch: 0.7,
    rivals: 'PCA residual .54, mean |z| .48, base .060',
  },
  {
    goal: 4,
    key: 'smd.detect.f1',
    title: `SMD detection, ${F1}`,
    better: 'more',
    must: 0.45,
    strong: 0.55,
    stretch: 0.65,
    rivals: 'none published without point adjustment',
  },
  {
    goal: 5,
    key: 'asd.detect.auc',
    title: `ASD detection, ${AUC} (mean of files)`,
    better: 'more',
    must: 0.22,
    strong: 0.32,
    stretch: 0.42,
    rivals: 'PCA residual .20, mean |z| .12, base .041',
  },
  {
    goal: 5,
    key: 'asd.detect.f1',
    title: `ASD detection, ${F1}`,
    better: 'more',
    must: 0.3,
    strong: 0.42,
    stretch: 0.52,
    rivals: 'none published without point adjustment',
  },
  {
    goal: 6,
    key: 'smd.predict.auc',
    title: `SMD prediction 30 min, ${AUC} (pooled)`,
    better: 'more',
    must: 0.18,
    strong: 0.25,
    stretch: 0.33,
    rivals: 'time-of-day hazard .207, best anomaly score .043, base .024',
  },
  {
    goal: 6,
    key: 'smd.predict.skill',
    title: 'SMD prediction 30 min, Brier skill',
    better: 'more',
    must: 0.001,
    strong: 0.15,
    stretch: 0.2,
    rivals: 'time-of-day hazard .18, base rate 0',
  },
  {
    goal: 7,
    key: 'overload.auc',
    title: `overload within 10 min, ${AUC} (pooled)`,
    better: 'more',
    must: 0.2,
    strong: 0.3,
    stretch: 0.45,
    rivals: 'damped level .20',
  },
  {
    goal: 7,
    key: 'overload.f1',
    title: `overload within 10 min, ${F1}`,
    better: 'more',
    must: 0.53,
    strong: 0.65,
    stretch: 0.75,
    rivals: 'damped level .53',
  },
  {
    goal: 7,
    key: 'overload.false',
    title: 'overload, false alarms a day',
    better: 'less',
    must: 1,
    strong: 0.5,
    stretch: 0.3,
    rivals: 'damped level .5',
  },
  {
    goal: 7,
    key: 'overload.lead',
    title: 'overload, median lead in s',
    better: 'more',
    must: 120,
    strong: 240,
    stretch: 300,
    rivals: 'damped level 120',
  },
  {
    goal: 8,
    key: 'cost.retrain',
    title: 'retraining of 2,000 points, ms of CPU',
    better: 'less',
    must: 400,
    strong: 100,
    stretch: 50,
    rivals: 'MSTL 250, SARIMA 840 to 2,600, an LSTM epoch 700',
  },
  {
    goal: 9,
    key: 'cost.cycle',
    title: 'forecasts of 200 x 8 series, s of CPU a cycle',
    better: 'less',
    must: 3,
    strong: 1,
    stretch: 0.3,
    rivals: '',
  },
  {
    goal: 10,
    key: 'cost.delay',
    title: 'event-loop delay p99 while a thread retrains, ms',
    better: 'less',
    must: 20,
    strong: 10,
    stretch: 5,
    rivals: '',
  },
  {
    goal: 11,
    key: 'finite',
    title: 'forecasts that are not finite',
    better: 'less',
    must: 0,
    rivals: 'SARIMA of `arima` alone: down to -1e300',
  },
];

/** The best level that a figure reaches. */
export function judge(goal: Goal, value: number | undefined): Level {
  if (value === undefined || Number.isNaN(value)) return 'not measured';
  for (const level of ['stretch', 'strong', 'must'] as const) {
    const bound = goal[level];
    if (bound !== undefined && reaches(goal.better, value, bound)) return level;
  }
  return 'missed';
}

function reaches(better: Goal['better'], value: number, bound: Bound): boolean {
  if (typeof bound !== 'number') return value >= bound[0] && value <= bound[1];
  return better === 'more' ? value >= bound : value <= bound;
}

export function formatBound(bound: Bound | undefined): string {
  if (bound === undefined) return '';
  return typeof bound === 'number' ? String(bound) : bound.join('-');
}
