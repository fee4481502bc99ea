// `foreshard backtest anomaly`: how abnormal each recorded row is. Folders of one metric a file, each seen from its
// first row; or a table of metrics with a history to learn from. Detectors are those of the engine, and what
// they say of a row is written before they see the next.

import { mkdirSync, readdirSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { MetricDetector } from '../../analytics/anomaly/metric-detector.ts';
import { fitRowModel, LEAST_ROWS, RowDetector } from '../../analytics/anomaly/row-detector.ts';
import type { CommandIo } from '../command-io.ts';
import { type CsvTable, readCsvFile, writeCsvFile } from '../csv-file.ts';
import { readTable, required, runKind, WrongUse } from './row-options.ts';

const HELP = `usage: foreshard backtest anomaly --data DIR --out DIR
       foreshard backtest anomaly --train FILE --test FILE --out FILE

With --data: for each DIR/<category>/<file>.csv[.gz] with timestamp,value a file <category>/<file>.csv with
timestamp,value,anomaly_score. The score, 0..1, rises once at the beginning of an incident.

With --train and --test: rows of many metrics, t,...metrics...[,label]; columns t and label are not looked
at. Writes t,risk for each row of the test: how abnormal it is, 0..1, all the time that an incident lasts.

  --data DIR    folders of recorded metrics
  --train FILE  rows from before the test, which the model is fitted to
  --test FILE   rows to be judged, with the same metrics
  --out PATH    what is written: a folder with --data, else a file
`;

const NOT_METRICS = ['t', 'label'];
/** Rows of the history that a detector is warmed up with. */
const WARM_UP = 500;

/** Scores of a series of one metric; each depends on the values up to its own alone. */
export function* scoreMetric(values: Iterable<number>): Generator<number> {
  const detector = new MetricDetector();
  for (const value of values) yield detector.push(value).score;
}

/** Scores of the rows of `test` after a model was fitted to `train`; metrics in the same order. */
export function* scoreRows(train: readonly Float64Array[], test: Iterable<Float64Array>): Generator<number> {
  const model = fitRowModel(train);
  if (model === undefined) {
    throw new Error(`the history must have at least ${LEAST_ROWS} rows, it has ${train.length}`);
  }
  const detector = new RowDetector(model, train.slice(-WARM_UP));
  for (const row of test) yield detector.push(row);
}

/** Runs the sub-command; resolves to the exit code. */
export function run(args: readonly string[], io: CommandIo): Promise<number> {
  return runKind(io, { kind: 'anomaly', help: HELP, body: () => replay(args, io) });
}

async function replay(args: readonly string[], io: CommandIo): Promise<string | undefined> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      data: { type: 'string' },
      train: { type: 'string' },
      test: { type: 'string' },
      out: { type: 'string' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) return HELP;
  const out = resolve(io.cwd, required(values.out, 'out'));
  if (values.data === undefined) {
    const train = required(values.train, 'train');
    return replayRows(readTable(io, train), readTable(io, required(values.test, 'test')), out);
  }
  if (values.train !== undefined || values.test !== undefined) {
    throw new WrongUse('--data goes without --train and --test');
  }
  return replayFolder(resolve(io.cwd, values.data), out);
}

function replayFolder(data: string, out: string): string {
  const names = readdirSync(data, { recursive: true, encoding: 'utf8' })
    .filter((name) => /^[^/\\]+[/\\][^/\\]+\.csv(\.gz)?$/.test(name))
    .sort();
  if (names.length === 0) throw new Error(`${data} has no <category>/<file>.csv or .csv.gz`);
  let rows = 0;
  for (const name of names) {
    const table = readCsvFile(join(data, name));
    const timestamps = table.text('timestamp');
    const values = table.text('value');
    const scores = [...scoreMetric(table.numbers('value'))];
    const path = join(out, name.replace(/\.gz$/, ''));
    mkdirSync(dirname(path), { recursive: true });
    writeCsvFile(
      path,
      ['timestamp', 'value', 'anomaly_score'],
      scores.map((score, row) => [timestamps[row]!, values[row]!, score]),
    );
    rows += scores.length;
  }
  return `${names.length} files, ${rows} rows\n`;
}

function replayRows(train: CsvTable, test: CsvTable, out: string): string {
  if (test.rowCount === 0) throw new Error('the test has no rows: a header and at least one row are needed');
  const metrics = train.columns.filter((column) => column !== '' && !NOT_METRICS.includes(column));
  if (metrics.length === 0) throw new Error('the history has no column of a metric');
  const scores = [...scoreRows(rowsOf(train, metrics), rowsOf(test, metrics))];
  mkdirSync(dirname(out), { recursive: true });
  writeCsvFile(
    out,
    ['t', 'risk'],
    scores.map((score, row) => [row, score]),
  );
  return `${metrics.length} metrics, ${scores.length} rows\n`;
}

function rowsOf(table: CsvTable, metrics: readonly string[]): Float64Array[] {
  const columns = metrics.map((metric) => table.numbers(metric));
  return Array.from({ length: table.rowCount }, (_, row) =>
    Float64Array.from(columns, (column) => column[row]!),
  );
}
