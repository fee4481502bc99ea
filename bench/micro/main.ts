// npm run bench:micro: what the single steps cost, in nanoseconds of one thread, beside the bound that the
// project has set for them. Each figure is the median of rounds, after the code has been compiled; a figure
// over its bound makes the command fail.

import { parseArgs } from 'node:util';
import { systemClock } from '../../src/core/clock.ts';
import { describeCommit, describeMachine, formatOrigin } from '../report/machine.ts';
import { openProgress } from '../report/progress.ts';
import { RESULTS_FOLDER, resultHead, writeResult } from '../report/result-file.ts';
import { formatTable, type Table } from '../report/table.ts';
import { cases } from './cases.ts';
import { type Measured, measure } from './measure.ts';

const HELP = `npm run bench:micro -- [options]

Costs of single steps of a decision and of publishing a plan, in microseconds, medians of rounds.

  --only TEXT   cases whose name contains TEXT
  --rounds 9    rounds a case
  --quick       3 rounds
  --out DIR     default bench/results
  --json        the result as JSON on stdout instead of the table
`;

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      only: { type: 'string', default: '' },
      rounds: { type: 'string', default: '9' },
      quick: { type: 'boolean', default: false },
      out: { type: 'string', default: RESULTS_FOLDER },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(HELP);
    return 0;
  }
  const head = resultHead('micro', process.argv.slice(2), systemClock);
  const rounds = values.quick ? 3 : Number(values.rounds);
  const progress = openProgress();
  const results: Measured[] = [];
  for (const make of cases) {
    if (!make.name.includes(values.only)) continue;
    progress.show(make.name);
    results.push(measure(make.name, make.bound, make.prepare(), rounds, systemClock));
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
    title: 'Costs of single steps, microseconds',
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
    ],
  };
}

function micros(value: number): string {
  return value >= 1000 ? Math.round(value).toLocaleString('en') : value.toFixed(value < 10 ? 2 : 1);
}

process.exit(await main());
