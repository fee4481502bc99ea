// `foreshard backtest failure`: at each row of the test part, the probability that an incident begins within
// the next rows. The engine's predictor sees the train part, then one row after the other; the label of a
// row is told to it before the next row, as an operator would have confirmed it by then.

import { parseArgs } from 'node:util';
import { challengeTrees } from '../../analytics/failure/challenge.ts';
import { FailurePredictor } from '../../analytics/failure/failure-predictor.ts';
import { isBetter } from '../../analytics/train.ts';
import type { CommandIo } from '../command-io.ts';
import { type CsvTable, writeCsvFile } from '../csv-file.ts';
import { reportRisk, rivalsOf } from './risk-report.ts';
import { numbered, replayOptions, required, runKind, WrongUse, wholeNumber } from './row-options.ts';

const HELP = `usage: foreshard backtest failure --train FILE --test FILE --window ROWS --step SECONDS --out FILE

Writes t,risk: for row t (0-based) of the test part the probability that an incident begins within the next
ROWS rows, from the rows up to t and the labels of the rows before it. Prints the engine's accuracy beside
its trivial rivals.

  --train FILE     t,metric,... without labels
  --test FILE      the same metrics and a column label, 1 while an incident lasts
  --window ROWS    how far ahead an incident counts as predicted
  --step SECONDS   length of a row
  --out FILE
`;

const MOST_WINDOW = 100_000;
const MOST_STEP = 86_400;
const DAY_SECONDS = 86_400;

export interface FailureBacktest {
  readonly metrics: readonly string[];
  /** One array a metric, the train part and the test part behind it. */
  readonly columns: readonly Float64Array[];
  readonly trainRows: number;
  /** 1 while an incident lasts, a row of the test part each. */
  readonly labels: Float64Array;
  readonly window: number;
  readonly stepMs: number;
}

/** Risk of each test row, in order; it depends on the rows up to it and the labels before it alone. */
export function* backtestFailure(options: FailureBacktest): Generator<number> {
  const { metrics, columns, trainRows, labels, window, stepMs } = options;
  const predictor = new FailurePredictor({
    metrics: metrics.map((name) => ({ name })),
    horizonMs: window * stepMs,
  });
  const row = new Float64Array(columns.length);
  for (let index = 0; index < trainRows + labels.length; index += 1) {
    const tested = index - trainRows;
    if (tested > 0) predictor.outcome((index - 1) * stepMs, labels[tested - 1]! > 0);
    columns.forEach((column, at) => {
      row[at] = column[index]!;
    });
    predictor.push(index * stepMs, row);
    if (tested < 0) continue;
    yield predictor.predict().probability;
    const due = predictor.trainingRows();
    if (due === undefined) continue;
    const trained = challengeTrees(due, predictor.trees);
    if (isBetter(trained)) predictor.adopt(trained.model);
  }
}

/** Runs the sub-command; resolves to the exit code. */
export function run(args: readonly string[], io: CommandIo): Promise<number> {
  return runKind(io, { kind: 'failure', help: HELP, body: () => replay(args, io) });
}

async function replay(args: readonly string[], io: CommandIo): Promise<string | undefined> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      train: { type: 'string' },
      test: { type: 'string' },
      window: { type: 'string' },
      step: { type: 'string' },
      out: { type: 'string' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) return HELP;
  const { out, window, read } = replayOptions(values, io, MOST_WINDOW);
  const step = wholeNumber(required(values.step, 'step'), 'step', 1, MOST_STEP);
  const { train, test } = read();
  const metrics = metricsOf(train, test);
  const labels = test.numbers('label');
  const columns = metrics.map((name) => Float64Array.from([...train.numbers(name), ...test.numbers(name)]));
  const replayed = { metrics, columns, trainRows: train.rowCount, labels, window, stepMs: step * 1000 };
  const risk = Float64Array.from(backtestFailure(replayed));
  writeCsvFile(out, ['t', 'risk'], numbered(risk));
  const rivals = rivalsOf(labels, window, Math.round(DAY_SECONDS / step));
  return reportRisk([{ name: 'foreshard', risk }, ...rivals], labels, window);
}

/** Columns of the train part but its row number; the test part must have them all. */
function metricsOf(train: CsvTable, test: CsvTable): readonly string[] {
  const metrics = train.columns.filter((name) => name !== 't' && name !== 'label');
  const missing = metrics.filter((name) => !test.columns.includes(name));
  if (missing.length > 0) throw new WrongUse(`--test has no column ${missing.join(', ')}, which --train has`);
  if (metrics.length === 0) throw new WrongUse('--train must have at least one metric beside t');
  return metrics;
}
