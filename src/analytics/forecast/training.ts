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

/** Scores all methods on the last part of the window's history. */
export function rehearse(options: TrainingOptions): Rehearsal {
  const { context, floorNames, bounds, scaleOf } = options;
  const history = context.window.history();
  const wanted = Math.max(REPLAYED_HORIZONS * context.horizon, Math.floor(history.length * REPLAYED_SHARE));
  const replayed = Math.min(wanted, Math.floor(history.length * MOST_REPLAYED_SHARE));
  const window = new SeriesWindow(context.window.capacity, context.window.seasons);
  const features = new SeasonalFeatures(window, context.tracked);
  const own: ModelContext = { ...context, window, features };
  const streaming = fitExperts(options.streaming, own, floorNames);
  const start = history.length - replayed;
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
