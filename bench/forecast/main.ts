// npm run bench:forecast -- --data DIR: all goals of the engine's predictions on public data and generated load, in one
// table beside what must be reached and what others have published. What is not built or fails says so in its row.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { systemClock } from '../../src/core/clock.ts';
import { describeCommit, describeMachine, formatOrigin } from '../report/machine.ts';
import { openProgress, type Progress } from '../report/progress.ts';
import { RESULTS_FOLDER, resultHead, writeResult } from '../report/result-file.ts';
import { formatTable, type Table } from '../report/table.ts';
import { BACKTESTS, type Figures } from './backtests.ts';
import { cycleSeconds, engineMemoryMb, loopDelayMs, MEMORY_ROWS, retrainMs } from './costs.ts';
import { formatBound, GOALS, judge } from './goals.ts';

const HELP = `npm run bench:forecast -- --data DIR [options]

The engine's eleven goals: detection, forecasts, predictions and what they cost.

  --data DIR      recorded data: nab/ m4-hourly/ traffic/ smd/ asd/ overload/
  --scoring DIR   the scorers (DIR of --data/../scoring)
  --only LIST     numbers of goals, such as 2,3,8
  --out DIR       default bench/results
  --json          the result as JSON on stdout instead of the table
`;

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      data: { type: 'string' },
      scoring: { type: 'string' },
      only: { type: 'string' },
      out: { type: 'string', default: RESULTS_FOLDER },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help || values.data === undefined) {
    process[values.help ? 'stdout' : 'stderr'].write(HELP);
    return values.help ? 0 : 2;
  }
  const head = resultHead('forecast', process.argv.slice(2), systemClock);
  const data = resolve(values.data);
  const scoring = values.scoring === undefined ? join(data, '..', 'scoring') : resolve(values.scoring);
  const only = values.only?.split(',').map(Number);
  const progress = openProgress();
  const figures = await measure({ data, scoring, progress, wants: (goal) => only?.includes(goal) ?? true });
  progress.clear();
  const shown = GOALS.filter(({ goal }) => only?.includes(goal) ?? true);
  const table = tableOf(shown, figures);
  const files = writeResult({
    head,
    title: 'Predictions on public data',
    folder: values.out,
    data: { figures: figures.values, problems: figures.problems },
    sections: [{ table }],
  });
  const text = `${formatOrigin(describeMachine(), describeCommit())}\n\n${formatTable(table)}\n${files.json}\n`;
  process.stdout.write(
    values.json
      ? `${JSON.stringify({ ...head, figures: figures.values, problems: figures.problems }, null, 2)}\n`
      : text,
  );
  return shown.some((goal) => judge(goal, figures.values[goal.key]) === 'missed') ? 1 : 0;
}

interface Measuring {
  readonly data: string;
  readonly scoring: string;
  readonly progress: Progress;
  wants(goal: number): boolean;
}

async function measure({ data, scoring, progress, wants }: Measuring): Promise<Figures> {
  const figures: Figures = { values: {}, problems: [] };
  const scratch = mkdtempSync(join(tmpdir(), 'foreshard-forecast-'));
  try {
    for (const [goal, part] of Object.entries(BACKTESTS)) {
      // Whether all forecasts are finite is seen on the files of goals 2 and 3.
      if (!wants(Number(goal)) && !(wants(11) && ['2', '3'].includes(goal))) continue;
      try {
        await part({ data, scoring, scratch, progress }, figures);
      } catch (error) {
        figures.problems.push(`goal ${goal}: ${error instanceof Error ? error.message : String(error)}`);
      }
    }
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
  await measureCosts(figures, progress, wants);
  return figures;
}

async function measureCosts({ values, problems }: Figures, progress: Progress, wants: Measuring['wants']) {
  if (wants(8)) {
    progress.show('retraining of one series');
    values['cost.retrain'] = retrainMs();
  }
  if (wants(9)) {
    progress.show('a cycle of 1,600 series');
    values['cost.cycle'] = cycleSeconds();
    progress.show('memory of an engine with 200 regions');
    const memory = Math.round(engineMemoryMb());
    problems.push(
      `goal 9: an engine that watches 200 regions x 8 metrics takes ${memory} MB after ${MEMORY_ROWS} rows (no goal is set)`,
    );
  }
  if (wants(10)) {
    progress.show('event-loop delay beside a thread that retrains');
    const { idle, training } = await loopDelayMs();
    values['cost.delay'] = training;
    problems.push(
      `goal 10: the same without retraining is ${idle.toFixed(2)} ms; measured on an idle thread`,
    );
  }
}

function tableOf(goals: typeof GOALS, { values, problems }: Figures): Table {
  return {
    title: 'Predictions: what is reached, beside the goals',
    columns: [
      { title: '#', align: 'right' },
      { title: 'figure', align: 'left' },
      { title: 'here', align: 'right' },
      { title: 'must', align: 'right' },
      { title: 'strong', align: 'right' },
      { title: 'stretch', align: 'right' },
      { title: 'reached', align: 'left' },
      { title: 'others', align: 'left' },
    ],
    rows: goals.map((goal) => [
      String(goal.goal),
      goal.title,
      formatValue(values[goal.key]),
      ...[goal.must, goal.strong, goal.stretch].map(formatBound),
      judge(goal, values[goal.key]),
      goal.rivals,
    ]),
    notes: problems,
  };
}

function formatValue(value: number | undefined): string {
  if (value === undefined || Number.isNaN(value)) return '-';
  return Number.isInteger(value) ? String(value) : value.toFixed(Math.abs(value) < 10 ? 3 : 1);
}

process.exit(await main());
