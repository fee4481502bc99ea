// What forecasting is made of: a method makes a model of the values seen so far, a model takes a value a step
// and foretells the next ones. series-forecaster.ts runs all models of a series side by side, weighs them by how
// well each has done lately and puts intervals around the result; engine and backtests use nothing else.
// Refused: LSTM and other networks. Measured: 0.7 s an epoch and series with tfjs (294 MB), or a MASE of 2.9 with
// brain.js where the methods here reach 0.8. Prophet is there to be selected: its MASE of 1.9 is worse than the seasonal
// naive's 1.3.

import type { SeasonalFeatures } from './seasonal-features.ts';
import type { SeriesWindow } from './series-window.ts';

/** What a method may look at, shared by all models of a series. The forecaster moves it on before its models. */
export interface ModelContext {
  readonly window: SeriesWindow;
  readonly features: SeasonalFeatures;
  /** Longest forecast that will be asked for, in steps. */
  readonly horizon: number;
  /** Steps ahead, ascending, at which forecasts are compared with what came; the last is `horizon`. */
  readonly tracked: readonly number[];
}

/** Foretells one series. Reads the shared window and keeps its own state; never throws, always finite. */
export interface Model {
  /** Takes the step that the window has just been given. */
  push(): void;
  /** Writes the forecast of step h (1..out.length) to out[h - 1], in the unit of the series. */
  forecast(out: Float64Array): void;
  /** What it has learnt, as numbers; of a model whose past is all in the window there are none. */
  numbers?(): number[];
  /** Takes what a model of the same method and context gave; false when it cannot be. */
  restore?(numbers: Float64Array): boolean;
}

/** One way to forecast. */
export interface ForecastMethod {
  /** Word for logs, metrics and /risk_scores. */
  readonly name: string;
  /**
   * A model that has learnt from the window's history, or null when that is too short for the method.
   * A model that only learns by `push` starts from nothing.
   */
  fit(context: ModelContext): Model | null;
}
