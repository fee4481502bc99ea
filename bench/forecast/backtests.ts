// Runs the project's own `backtest` command over recorded data, as a user would, and has the given scorers judge what it
// wrote. Data and scorers stay where they are: nothing of them is part of the project.

import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { run } from '../../src/cli/backtest.ts';
import type { CommandIo } from '../../src/cli/command-io.ts';
import type { Progress } from '../report/progress.ts';

export interface BacktestRig {
  readonly data: string;
  readonly scoring: string;
  /** Made and removed by the caller. */
  readonly scratch: string;
  readonly progress: Progress;
}

/** Figures by the keys of goals.ts; what could not be measured is missing, with the reason in `problems`. */
export interface Figures {
  readonly values: Record<string, number>;
  readonly problems: string[];
}

interface ForecastScore {
  readonly owa: number;
  readonly mase: number;
  readonly coverage: number;
}
interface LoadScore {
  readonly h: number;
  readonly vsPersistence: number;
}
interface RiskScore {
  readonly meanAp: number;
  readonly pooled: { readonly ap: number };
  readonly brierSkill: number;
  readonly events: { readonly f1: number; readonly falsePerDay: number; readonly leadMedian: number };
}

const MINUTE_S = 60;
const LOAD_HORIZON = 15;
const SCORED_AHEAD = 5;
/** Three days: the seasonal rival needs one, the models some hours. */
const LOAD_FROM = 4320;
const PREDICTION_ROWS = 30;
const OVERLOAD_ROWS = 10;

/** The parts by goal number; each adds its figures. */
export const BACKTESTS: Readonly<Record<number, (rig: BacktestRig, figures: Figures) => Promise<void>>> = {
  1: async (rig, { values }) => {
    const out = folder(rig, 'nab');
    await backtest(rig, 'anomaly', ['--data', join(rig.data, 'nab', 'data'), '--out', out]);
    const windows = join(rig.data, 'nab', 'combined_windows.json');
    const score = ask<{ score: number }>(rig, 'nab-score.mjs', ['--windows', windows, '--results', out]);
    values['nab.standard'] = score.score;
  },
  2: async (rig, { values }) => {
    const m4 = join(rig.data, 'm4-hourly');
    const train = join(m4, 'train.csv.gz');
    const out = join(rig.scratch, 'm4.csv');
    await backtest(rig, 'forecast', [
      '--train',
      train,
      '--horizon',
      '48',
      '--season',
      '24,168',
      '--out',
      out,
    ]);
    const test = join(m4, 'test.csv.gz');
    const score = ask<ForecastScore>(rig, 'forecast-score.mjs', [
      ...['--train', train, '--test', test, '--forecast', out],
    ]);
    values['m4.owa'] = score.owa;
    values['m4.mase'] = score.mase;
    values['m4.coverage'] = score.coverage;
    addNotFinite(values, out);
  },
  3: async (rig, { values }) => {
    for (const [key, name] of [
      ['load.nasa', 'nasa-http-1995'],
      ['load.worldcup', 'worldcup98'],
    ] as const) {
      const series = join(rig.data, 'traffic', `${name}.per-minute.csv.gz`);
      const out = join(rig.scratch, `${name}.csv`);
      const options = [
        '--column',
        'requests',
        '--horizon',
        String(LOAD_HORIZON),
        '--from',
        String(LOAD_FROM),
      ];
      await backtest(rig, 'load', ['--series', series, ...options, '--out', out]);
      const scores = ask<readonly LoadScore[]>(rig, 'forecast-score.mjs', [
        ...['--actual', series, '--column', 'requests', '--forecast', out],
      ]);
      values[key] = scores.find(({ h }) => h === SCORED_AHEAD)?.vsPersistence ?? Number.NaN;
      addNotFinite(values, out);
    }
  },
  4: (rig, { values }) => detect(rig, 'smd', MINUTE_S, values),
  5: (rig, { values }) => detect(rig, 'asd', 5 * MINUTE_S, values),
  6: async (rig, { values }) => {
    const step = ['--step', String(MINUTE_S), '--window', String(PREDICTION_ROWS)];
    const out = await eachTest(rig, 'smd', 'failure', step);
    const score = riskScore(rig, 'smd', out, step);
    values['smd.predict.auc'] = score.pooled.ap;
    values['smd.predict.skill'] = score.brierSkill;
  },
  7: async (rig, { values }) => {
    const window = ['--window', String(OVERLOAD_ROWS)];
    const out = await eachTest(rig, 'overload', 'overload', window);
    const score = riskScore(rig, 'overload', out, [...window, '--step', String(MINUTE_S)]);
    values['overload.auc'] = score.pooled.ap;
    values['overload.f1'] = score.events.f1;
    values['overload.false'] = score.events.falsePerDay;
    values['overload.lead'] = score.events.leadMedian;
  },
};

async function detect(rig: BacktestRig, set: 'smd' | 'asd', step: number, values: Record<string, number>) {
  const out = await eachTest(rig, set, 'anomaly', []);
  const score = riskScore(rig, set, out, ['--step', String(step), '--detect']);
  values[`${set}.detect.auc`] = score.meanAp;
  values[`${set}.detect.f1`] = score.events.f1;
}

/** Runs a kind on each pair of train and test files of a set; gives the folder of what was written. */
async function eachTest(
  rig: BacktestRig,
  set: string,
  kind: string,
  options: readonly string[],
): Promise<string> {
  const from = join(rig.data, set);
  const out = folder(rig, `${set}-${kind}`);
  for (const file of readdirSync(from).filter((name) => name.endsWith('.test.csv.gz'))) {
    const name = file.slice(0, -'.test.csv.gz'.length);
    rig.progress.show(`${kind} of ${name}`);
    const files = ['--train', join(from, `${name}.train.csv.gz`), '--test', join(from, file)];
    await backtest(rig, kind, [...files, ...options, '--out', join(out, `${name}.csv`)]);
  }
  return out;
}

function riskScore(rig: BacktestRig, set: string, risk: string, options: readonly string[]): RiskScore {
  return ask(rig, 'failure-score.mjs', ['--labels', join(rig.data, set), '--risk', risk, ...options]);
}

async function backtest(rig: BacktestRig, kind: string, args: readonly string[]): Promise<void> {
  rig.progress.show(`backtest ${kind} ${args.at(-1)}`);
  let problem = '';
  const io: CommandIo = {
    out: () => undefined,
    err: (text) => {
      problem += text;
    },
    env: {},
    cwd: rig.scratch,
  };
  if ((await run([kind, ...args], io)) !== 0) throw new Error(problem.split('\n')[0]);
}

function ask<T>(rig: BacktestRig, scorer: string, args: readonly string[]): T {
  rig.progress.show(`score ${scorer} ${args.at(-1)}`);
  const text = execFileSync(process.execPath, [join(rig.scoring, scorer), ...args, '--json'], {
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  return JSON.parse(text) as T;
}

function folder(rig: BacktestRig, name: string): string {
  const path = join(rig.scratch, name);
  mkdirSync(path, { recursive: true });
  return path;
}

/** Counts the fields of a forecast file that are no finite number, the name of the series apart. */
function addNotFinite(values: Record<string, number>, path: string): void {
  const [, ...lines] = readFileSync(path, 'utf8').trimEnd().split('\n');
  let count = 0;
  for (const line of lines) {
    for (const field of line.split(',').slice(1))
      if (field === '' || !Number.isFinite(Number(field))) count += 1;
  }
  values.finite = (values.finite ?? 0) + count;
}
