// npm run bench:micro: what the single steps cost, in CPU time of one thread, beside the bound that the project
// has set for them. Each figure is the median of rounds, after the code has been compiled; a figure
// over its bound makes the command fail.

import { parseArgs } from 'node:util';
import { systemClock } from '../../src/core/clock.ts';
import { integerOption, WrongUse } from '../load/command-line.ts';
import { describeCommit, describeMachine, formatOrigin } from '../report/machine.ts';
import { openProgress } from '../report/progress.ts';
import { RESULTS_FOLDER, resultHead, writeResult } from '../report/result-file.ts';
import { formatTable, type Table } from '../report/table.ts';
import { cases as stepCases } from './cases.ts';
import { type Measured, measure, measureLongest } from './measure.ts';
import { planCases, sliceCases } from './plan-cases.ts';
import { traceCases } from './trace-cases.ts';

const cases = [...stepCases, ...planCases, ...traceCases, ...sliceCases];

const HELP = `npm run bench:micro -- [options]

Costs of single steps of a decision and of publishing a plan, in CPU microseconds, medians of rounds.
Exit code 1 when one is over its bound.

  --only TEXT   cases whose name contains TEXT
  --rounds 9    rounds a case
  --quick       3 rounds
  --out DIR     default bench/results
  --json        the result as JSON on stdout instead of the table
`;

const OPTIONS = {
  only: { type: 'string', default: '' },
  rounds: { type: 'string', default: '9' },
  quick: { type: 'boolean', default: false },
  out: { type: 'string', default: RESULTS_FOLDER },
  json: { type: 'boolean', default: false },
  help: { type: 'boolean', short: 'h', default: false },
} as const;

function readOptions() {
  try {
    return parseArgs({ options: OPTIONS }).values;
  } catch (error) {
    throw new WrongUse((error as Error).message);
  }
}

async function main(): Promise<number> {
  const values = readOptions();
  if (values.help) {
    process.stdout.write(HELP);
    return 0;
  }
  const rounds = values.quick ? 3 : integerOption('rounds', values.rounds, 1, 1000);
  const wanted = cases.filter((one) => one.name.includes(values.only));
  if (wanted.length === 0) {
    const names = cases.map((one) => one.name).join('; ');
    throw new WrongUse(`--only must be part of a case's name, not "${values.only}": ${names}`);
  }
  const head = resultHead('micro', process.argv.slice(2), systemClock);
  const progress = openProgress();
  const results: Measured[] = [];
  for (const make of wanted) {
    progress.show(make.name);
    results.push(
      'prepareSlices' in make
        ? await measureLongest(make.name, make.bound, make.prepareSlices(), rounds)
        : measure(make.name, make.bound, make.prepare(), rounds),
    );
  }
  progress.clear();
  const table = tableOf(results);
  const files = writeResult({
    head,
    title: 'Costs of single steps',
    folder: values.out,
    data: { results },
    sections: [{ table }],
  });
  if (values.json) process.stdout.write(`${JSON.stringify({ ...head, results }, null, 2)}\n`);
  else
    process.stdout.write(
      `${formatOrigin(describeMachine(), describeCommit())}\n\n${formatTable(table)}\n${files.json}\n`,
    );
  return results.every((result) => result.isWithin) ? 0 : 1;
}

function tableOf(results: readonly Measured[]): Table {
  return {
    title: 'Costs of single steps, CPU microseconds',
    columns: [
      { title: 'step', align: 'left' },
      { title: 'median', align: 'right' },
      { title: 'best', align: 'right' },
      { title: 'worst', align: 'right' },
      { title: 'bound', align: 'right' },
      { title: '', align: 'left' },
    ],
    rows: results.map((result) => [
      result.name,
      micros(result.median),
      micros(result.best),
      micros(result.worst),
      result.bound === undefined ? '' : micros(result.bound),
      result.isWithin ? '' : 'OVER',
    ]),
    notes: [
      'One thread, median of rounds; other work on the machine shows as the distance from best to worst.',
      'Longest slices are by the clock on the wall.',
    ],
  };
}

function micros(value: number): string {
  return value >= 1000 ? Math.round(value).toLocaleString('en') : value.toFixed(value < 10 ? 2 : 1);
}

try {
  process.exitCode = await main();
} catch (error) {
  if (!(error instanceof WrongUse)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 2;
}
