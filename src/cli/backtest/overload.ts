// `foreshard backtest overload`: at each row of the test part, the probability that an overload begins
// within the next rows. Labels are not read by the predictor at all: whether load is above capacity is
// plain from the rows themselves.

import { parseArgs } from 'node:util';
import { DemandForecaster } from '../../analytics/demand-forecaster.ts';
import { OverloadPredictor } from '../../analytics/failure/overload.ts';
import type { OverloadRule } from '../../analytics/failure/overload-event.ts';
import { isBetter } from '../../analytics/train.ts';
import type { CommandIo } from '../command-io.ts';
import { writeCsvFile } from '../csv-file.ts';
import { reportRisk, rivalsOf } from './risk-report.ts';
import { numbered, replayOptions, runKind } from './row-options.ts';

const HELP = `usage: foreshard backtest overload --train FILE --test FILE --window ROWS --out FILE

Writes t,risk: for row t (0-based) of the test part the probability that an overload begins within the next
ROWS rows, from the rows up to t. An overload is 3 of the last 5 rows above capacity; pauses of less than
30 rows belong to it. Prints the engine's accuracy beside its trivial rivals.

  --train FILE     t,time,requests; a row a minute
  --test FILE      t,time,requests,capacity,label; capacity is known beforehand
  --window ROWS    how far ahead an overload counts as predicted
  --out FILE
`;

const STEP_MS = 60_000;
const ROWS_PER_DAY = 1440;
const MOST_WINDOW = 1440;
// The rule of the recorded files.
const RULE: OverloadRule = { window: 5, exceeding: 3, pauseRows: 30 };

export interface OverloadBacktest {
  /** Load before the test part: nothing is written for it, and no capacity is known in it. */
  readonly before: Float64Array;
  readonly loads: Float64Array;
  readonly capacities: Float64Array;
  readonly window: number;
}

/** Risk of each test row, in order; it depends on the rows up to it alone. */
export function* backtestOverload({
  before,
  loads,
  capacities,
  window,
}: OverloadBacktest): Generator<number> {
  const predictor = new OverloadPredictor({ stepMs: STEP_MS, horizonMs: window * STEP_MS, rule: RULE });
  let weights: Float64Array | undefined;
  const refit = (): void => {
    const due = predictor.trainingRows();
    if (due === undefined) return;
    const trained = OverloadPredictor.train(due, weights);
    if (!isBetter(trained)) return;
    weights = trained.model;
    predictor.adopt(weights);
  };
  const demand = new DemandForecaster({ stepMs: STEP_MS, horizonSteps: window });
  for (const load of before) {
    predictor.push(load);
    demand.push(load);
    refit();
  }
  for (let row = 0; row < loads.length; row += 1) {
    const capacity = capacities[row]!;
    predictor.push(loads[row]!, capacity);
    demand.push(loads[row]!);
    const outlook = demand.outlook();
    const foreseen = outlook && { probability: outlook.above(capacity), confidence: outlook.confidence };
    yield predictor.predict(foreseen).begins;
    refit();
  }
}

/** Runs the sub-command; resolves to the exit code. */
export function run(args: readonly string[], io: CommandIo): Promise<number> {
  return runKind(io, { kind: 'overload', help: HELP, body: () => replay(args, io) });
}

async function replay(args: readonly string[], io: CommandIo): Promise<string | undefined> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      train: { type: 'string' },
      test: { type: 'string' },
      window: { type: 'string' },
      out: { type: 'string' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) return HELP;
  const { out, window, read } = replayOptions(values, io, MOST_WINDOW);
  const { train, test } = read();
  const replayed = {
    before: train.numbers('requests'),
    loads: test.numbers('requests'),
    capacities: test.numbers('capacity'),
    window,
  };
  const risk = Float64Array.from(backtestOverload(replayed));
  writeCsvFile(out, ['t', 'risk'], numbered(risk));
  const labels = test.numbers('label');
  return reportRisk([{ name: 'foreshard', risk }, ...rivalsOf(labels, window, ROWS_PER_DAY)], labels, window);
}
