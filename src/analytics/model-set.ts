// The engine's models, each behind what the walk expects (models.ts): forecasts of demand, failure and overload
// with their training. The only file that knows the three folders; a test or a backtest brings a set of its own.

import { AnomalyWatch } from './anomaly-watch.ts';
import { DemandForecaster, sumOfDemand } from './demand-forecaster.ts';
import { OVERLOAD_COLUMNS } from './failure/load-levels.ts';
import { OverloadPredictor } from './failure/overload.ts';
import { FailureWatch } from './failure-watch.ts';
import type { Entity } from './ingest/sample.ts';
import type { ModelSet, Models, OverloadModel } from './models.ts';
import { packNumbers } from './state-reader.ts';

export interface ModelOptions {
  readonly stepMs: number;
  readonly horizonMs: number;
  readonly horizonSteps: number;
  /** A latency at which every client has given up; undefined = not known. */
  readonly answerLimitMs?: number | undefined;
}

export function createModels(options: ModelOptions): Models {
  return {
    create: (entity) => createFor(entity, options),
    combine: (parts, correlation) =>
      sumOfDemand(
        parts.flatMap(({ demand, share }) => (demand instanceof DemandForecaster ? [{ demand, share }] : [])),
        correlation,
      ),
  };
}

function createFor({ kind }: Entity, options: ModelOptions): ModelSet {
  return {
    // What servers get is of our own making; what regions get too, but it is all there is without ownership.
    demand: kind === 'server' ? undefined : new DemandForecaster(options),
    anomaly: kind === 'route' ? undefined : new AnomalyWatch(),
    failure: kind === 'route' ? undefined : new FailureWatch(options.horizonMs, options.answerLimitMs),
    overload: kind === 'region' ? createOverload(options) : undefined,
  };
}

// Two of three rows above capacity are an overload, one is a burst.
const OVERLOAD_WINDOW = 3;
const OVERLOAD_ROWS = 2;

function createOverload({ stepMs, horizonMs, horizonSteps }: ModelOptions): OverloadModel {
  const rule = { window: OVERLOAD_WINDOW, exceeding: OVERLOAD_ROWS, pauseRows: horizonSteps };
  const predictor = new OverloadPredictor({ stepMs, horizonMs, rule });
  let weights: Float64Array | undefined;
  return {
    observe: (load, capacity, outlook) => {
      predictor.push(load, capacity);
      const { probability, reasons } = predictor.predict(
        outlook && { probability: outlook.above(capacity), confidence: outlook.confidence },
      );
      return { probability, reasons: reasons.map((text) => ({ text, weight: probability })) };
    },
    training: (isDrifted) => {
      const rows = predictor.trainingRows(isDrifted);
      return rows === undefined ? undefined : { kind: 'overload', rows, champion: weights };
    },
    adopt: (model) => {
      weights = model as Float64Array;
      predictor.adopt(weights);
    },
    // Levels and history come back with the rows that are lived through again; what was fitted does not.
    state: () => (weights === undefined ? undefined : { weights: packNumbers(weights) }),
    restore: (state) => {
      weights = state.numbers('weights', OVERLOAD_COLUMNS);
      predictor.adopt(weights);
    },
  };
}
