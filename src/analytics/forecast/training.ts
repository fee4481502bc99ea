// Retraining: fits the trained methods on the past without its last part, lets them forecast that part step by step
// beside the streaming ones, and keeps their scores: weights and intervals then stem from forecasts that were made
// before their outcome, not from how well a model fits what it was made of.

import { ExpertPool, fitExperts } from './expert-pool.ts';
import type { ForecastMethod, ModelContext } from './forecast.ts';
import type { Scoreboard } from './scoreboard.ts';
import { SeasonalFeatures } from './seasonal-features.ts';
import { SeriesWindow } from './series-window.ts';

export interface TrainingOptions {
  readonly context: ModelContext;
  readonly streaming: readonly ForecastMethod[];
  readonly trained: readonly ForecastMethod[];
  readonly floorNames: ReadonlySet<string>;
  readonly bounds: readonly [number, number];
  readonly scaleOf: (value: number) => number;
}

/** Part of the history that is forecast for the scores, unless two horizons are more. */
const REPLAYED_SHARE = 0.2;
const REPLAYED_HORIZONS = 2;
/** But never more than this: the models must have something to learn from. */
const MOST_REPLAYED_SHARE = 0.4;

export interface Rehearsal {
  /** Scores of the methods that could be fitted, in this order. */
  readonly board: Scoreboard;
  readonly methods: readonly string[];
}

/** Values of a history that the methods are fitted on before they are rehearsed on the rest. */
export function rehearsalStart(length: number, horizon: number): number {
  const wanted = Math.max(REPLAYED_HORIZONS * horizon, Math.floor(length * REPLAYED_SHARE));
  return length - Math.min(wanted, Math.floor(length * MOST_REPLAYED_SHARE));
}

/** Scores all methods on the last part of the window's history. */
export function rehearse(options: TrainingOptions): Rehearsal {
  const { context, floorNames, bounds, scaleOf } = options;
  const history = context.window.history();
  const { capacity, seasons, steps } = context.window;
  const window = new SeriesWindow(capacity, seasons, steps - history.length);
  const features = new SeasonalFeatures(window, context.tracked);
  const own: ModelContext = { ...context, window, features };
  const streaming = fitExperts(options.streaming, own, floorNames);
  const start = rehearsalStart(history.length, context.horizon);
  for (const value of history.subarray(0, start)) {
    window.push(value);
    features.push();
    for (const { model } of streaming) model.push();
  }
  const experts = [...streaming, ...fitExperts(options.trained, own, floorNames)];
  const pool = new ExpertPool({ context: own, experts, isProven: true });
  pool.say(bounds);
  for (const value of history.subarray(start)) {
    window.push(value);
    features.push();
    pool.push(value, bounds, scaleOf);
  }
  return { board: pool.board, methods: experts.map((expert) => expert.name) };
}
