// `foreshard backtest forecast`: for each series of a file the steps after its end. The series goes through the
// engine's forecaster value by value, is trained once at its end, and is forecast from there.

import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import type { Forecast } from '../../analytics/forecast/forecast-result.ts';
import {
  naiveMethods,
  quickMethods,
  slowMethods,
  TRAINED_METHODS,
  type TrainedMethod,
} from '../../analytics/forecast/method-sets.ts';
import { SeriesForecaster } from '../../analytics/forecast/series-forecaster.ts';
import { asMethods, fitSlowly } from '../../analytics/forecast/slow-fits.ts';
import type { CommandIo } from '../command-io.ts';
import { type CsvTable, writeCsvFile } from '../csv-file.ts';
import { readTable, required, runKind, WrongUse, wholeNumber } from './row-options.ts';

const HELP = `usage: foreshard backtest forecast --train FILE --out FILE [options]

Reads series,t,value, rows of a series in order. Writes series,h,value,lower,upper for the steps after the
last row of each, with the 90 % interval.

  --train FILE     the history
  --horizon STEPS  steps ahead (48)
  --season LIST    lengths of the seasons in steps, ascending; 0 for none (24,168)
  --methods LIST   trained methods beside the naive ones: ${TRAINED_METHODS.join(', ')} (ar)
  --out FILE
`;

/** Values of one series that are kept: three months of hours. */
const MOST_VALUES = 2200;
const MOST_HORIZON = 1000;
const MOST_SEASON = 20_000;

export interface SeriesBacktest {
  readonly values: Float64Array;
  readonly horizon: number;
  readonly seasons: readonly number[];
  /** The default set when left out. */
  readonly methods?: readonly TrainedMethod[];
}

/** One series through the forecaster: the forecast after its last value. */
export async function forecastSeries({
  values,
  horizon,
  seasons,
  methods = ['ar'],
}: SeriesBacktest): Promise<Forecast> {
  const forecaster = new SeriesForecaster({
    horizon,
    seasons,
    capacity: MOST_VALUES,
    streaming: naiveMethods(seasons),
    trained: quickMethods(methods),
  });
  for (const value of values) forecaster.push(value);
  const slow = slowMethods(methods);
  const further = slow.length === 0 ? [] : asMethods(await fitSlowly(forecaster.slowFit(slow))).methods;
  forecaster.retrain(further);
  return forecaster.forecast();
}

/** Values of each series of a table with the columns series and value, in the order of the file. */
export function seriesOf(table: CsvTable): Map<string, Float64Array> {
  const names = table.text('series');
  const values = table.numbers('value');
  const lists = new Map<string, number[]>();
  names.forEach((name, row) => {
    const list = lists.get(name) ?? [];
    lists.set(name, list);
    list.push(values[row]!);
  });
  return new Map([...lists].map(([name, list]) => [name, Float64Array.from(list)]));
}

/** Runs the sub-command; resolves to the exit code. */
export function run(args: readonly string[], io: CommandIo): Promise<number> {
  return runKind(io, { kind: 'forecast', help: HELP, body: () => replay(args, io) });
}

async function replay(args: readonly string[], io: CommandIo): Promise<string | undefined> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      train: { type: 'string' },
      horizon: { type: 'string', default: '48' },
      season: { type: 'string', default: '24,168' },
      methods: { type: 'string', default: 'ar' },
      out: { type: 'string' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) return HELP;
  const out = resolve(io.cwd, required(values.out, 'out'));
  const train = required(values.train, 'train');
  const horizon = wholeNumber(values.horizon, 'horizon', 1, MOST_HORIZON);
  const seasons = parseSeasons(values.season);
  const methods = values.methods.split(',').map(parseMethod);
  const rows: (readonly (string | number)[])[] = [];
  for (const [series, history] of seriesOf(readTable(io, train))) {
    const { steps } = await forecastSeries({ values: history, horizon, seasons, methods });
    steps.forEach((step, i) => {
      rows.push([series, i + 1, step.mean, step.lower90, step.upper90]);
    });
  }
  writeCsvFile(out, ['series', 'h', 'value', 'lower', 'upper'], rows);
  return undefined;
}

function parseSeasons(text: string): number[] {
  const seasons = text.split(',').map((part) => wholeNumber(part, 'season', 0, MOST_SEASON));
  if (seasons.length === 1 && seasons[0] === 0) return [];
  const isAscending = seasons.every((season, i) => season >= 2 && season > (seasons[i - 1] ?? 0));
  if (!isAscending)
    throw new WrongUse(`--season must be 0 or ascending lengths of at least 2, given ${text}`);
  return seasons;
}

function parseMethod(name: string): TrainedMethod {
  const known = TRAINED_METHODS.find((method) => method === name);
  if (known !== undefined) return known;
  throw new WrongUse(`--methods must be of ${TRAINED_METHODS.join(', ')}, given ${name}`);
}
