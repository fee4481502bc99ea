// `foreshard backtest load`: at each row of a recorded series, the load of the next rows. The forecaster of the
// engine sees one row after the other; what it says at a row is written before it sees the next.

import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { SeriesForecaster } from '../../analytics/forecast/series-forecaster.ts';
import type { CommandIo } from '../command-io.ts';
import { type CsvTable, writeCsvFile } from '../csv-file.ts';
import { readTable, required, runKind, wholeNumber } from './row-options.ts';

const HELP = `usage: foreshard backtest load --series FILE --column NAME --out FILE [options]

Writes index,h,value,lower,upper: what was expected at row index (0-based) for row index + h, with its
90 % interval.

  --series FILE    CSV with a header, one row a step
  --column NAME    the column that is forecast (requests)
  --horizon ROWS   rows ahead (15)
  --season ROWS    length of a day in rows; by default found from the times in the first column, else none
  --every ROWS     a forecast every so many rows (1)
  --from ROW       the first row that a forecast is made at (0)
  --out FILE
`;

const MOST_ROWS = 100_000_000;
const MOST_HORIZON = 10_000;
const DAY_MS = 86_400_000;

export interface LoadBacktest {
  readonly values: Float64Array;
  readonly horizon: number;
  readonly seasons: readonly number[];
  readonly every: number;
  readonly from: number;
}

/** index, h, value, lower and upper bound of 90 %. */
export type LoadRow = readonly [index: number, h: number, value: number, lower: number, upper: number];

/** The forecasts row by row; each depends on the values up to its index alone. */
export function* backtestLoad(options: LoadBacktest): Generator<LoadRow> {
  const { values, horizon, seasons, every, from } = options;
  const forecaster = new SeriesForecaster({ horizon, seasons });
  for (let index = 0; index < values.length; index++) {
    forecaster.push(values[index]!);
    if (index < from || (index - from) % every !== 0) continue;
    const { steps } = forecaster.forecast();
    for (let h = 1; h <= horizon; h++) {
      const step = steps[h - 1]!;
      yield [index, h, step.mean, step.lower90, step.upper90];
    }
  }
}

/** Rows of a day by the distance of the first rows' times; none when the file tells no time. */
export function seasonsOf(table: CsvTable): readonly number[] {
  const times = table
    .text(table.columns[0]!)
    .slice(0, 100)
    .map((text) => Date.parse(`${text.replace(' ', 'T')}Z`));
  const gaps = times.slice(1).map((time, i) => time - times[i]!);
  const step = gaps.filter((gap) => gap > 0).sort((a, b) => a - b)[gaps.length >> 1];
  if (step === undefined) return [];
  const season = Math.round(DAY_MS / step);
  return season >= 2 ? [season] : [];
}

/** Runs the sub-command; resolves to the exit code. */
export function run(args: readonly string[], io: CommandIo): Promise<number> {
  return runKind(io, { kind: 'load', help: HELP, body: () => replay(args, io) });
}

async function replay(args: readonly string[], io: CommandIo): Promise<string | undefined> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      series: { type: 'string' },
      column: { type: 'string', default: 'requests' },
      horizon: { type: 'string', default: '15' },
      season: { type: 'string' },
      every: { type: 'string', default: '1' },
      from: { type: 'string', default: '0' },
      out: { type: 'string' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) return HELP;
  const out = resolve(io.cwd, required(values.out, 'out'));
  const series = required(values.series, 'series');
  const horizon = wholeNumber(values.horizon, 'horizon', 1, MOST_HORIZON);
  const every = wholeNumber(values.every, 'every', 1, MOST_ROWS);
  const from = wholeNumber(values.from, 'from', 0, MOST_ROWS);
  const season = values.season === undefined ? undefined : wholeNumber(values.season, 'season', 0, MOST_ROWS);
  const table = readTable(io, series);
  const seasons = season === undefined ? seasonsOf(table) : season < 2 ? [] : [season];
  const rows = backtestLoad({ values: table.numbers(values.column), horizon, seasons, every, from });
  writeCsvFile(out, ['index', 'h', 'value', 'lower', 'upper'], rows);
  return undefined;
}
