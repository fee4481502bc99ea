// Forecasts one series, a value a step: the one entrance for the engine's tick and for all backtests. Holds the
// window, the features and the pool of experts; puts the intervals around what the pool issues.

import { assert } from '../../core/assert.ts';
import { packNumbers, type StateReader } from '../state-reader.ts';
import { errorUnit } from './error-unit.ts';
import { type Expert, ExpertPool, fitExperts } from './expert-pool.ts';
import type { ForecastMethod, ModelContext } from './forecast.ts';
import type { Forecast, ForecastStep, MethodStanding } from './forecast-result.ts';
import { LagTrend } from './lag-trend.ts';
import { naiveMethods, type SlowMethod, streamingMethods } from './method-sets.ts';
import { LEVELS } from './residual-band.ts';
import { SeasonalFeatures } from './seasonal-features.ts';
import { SeriesWindow } from './series-window.ts';
import type { SlowFitRequest } from './slow-fits.ts';
import { rehearse } from './training.ts';

export interface SeriesForecasterOptions {
  /** Longest forecast, in steps. */
  readonly horizon: number;
  /** Lengths of the seasons in steps, ascending: [2880] for days of 30 s steps, [] for none. */
  readonly seasons: readonly number[];
  /** Values kept; what trained methods learn from. Defaults to one season (at least 512). */
  readonly capacity?: number;
  /** Methods that learn by each value; the default set when left out. */
  readonly streaming?: readonly ForecastMethod[];
  /** Methods that are fitted by `retrain`; none when left out. */
  readonly trained?: readonly ForecastMethod[];
}

export interface Retraining {
  readonly isReplaced: boolean;
  /** Trained methods that could be fitted. */
  readonly methods: readonly string[];
  /** Error over that of the naive floor: of what was issued lately, and of what would have been. */
  readonly before: number;
  readonly after: number;
}

/** New models may be this much worse than the old in their scores: both are estimates. */
const TOLERATED = 1.05;
/** Horizons at which forecasts are scored; those between are interpolated. */
const TRACKED = [1, 2, 3, 5, 10, 15, 24, 36, 48, 72, 96, 144, 192, 288];
const LEAST_CAPACITY = 512;
/** Outcomes of the longest horizon at which confidence is full. */
const SURE_OUTCOMES = 60;

/** Share of a value by which measuring it is taken to be off; of a series of zeros, requests/s. */
const MEASURING_ERROR = 0.005;
/** Values that a standard normal stays below with the probabilities LEVELS. */
const STANDARD_NORMAL = [
  -2.576, -2.326, -1.96, -1.645, -1.282, -1.036, -0.842, -0.674, -0.524, -0.253, 0, 0.253, 0.524, 0.674,
  0.842, 1.036, 1.282, 1.645, 1.96, 2.326, 2.576,
] as const;

/** Steps ahead that are scored for a horizon. */
export function trackedHorizons(horizon: number): number[] {
  return [...TRACKED.filter((h) => h < horizon), horizon];
}

/** One series. Prefix-true: what it says after k values depends on these alone. */
export class SeriesForecaster {
  readonly horizon: number;
  readonly #context: ModelContext;
  readonly #window: SeriesWindow;
  readonly #features: SeasonalFeatures;
  readonly #streaming: readonly ForecastMethod[];
  readonly #trained: readonly ForecastMethod[];
  readonly #floorNames: ReadonlySet<string>;
  readonly #streamingExperts: readonly Expert[];
  /** Of methods that learn by each value; what is fitted for a day ahead has its rises from the days before. */
  readonly #lag: LagTrend | undefined;
  #step = 0;
  #pool: ExpertPool;
  readonly #quantiles: Float64Array;
  #low = Number.NaN;
  #high = Number.NaN;

  constructor(options: SeriesForecasterOptions) {
    const { horizon, seasons } = options;
    assert(
      Number.isInteger(horizon) && horizon >= 1,
      `horizon must be a whole number of steps, given ${horizon}`,
    );
    const capacity = options.capacity ?? Math.max(LEAST_CAPACITY, ...seasons);
    this.horizon = horizon;
    this.#window = new SeriesWindow(capacity, seasons);
    const tracked = trackedHorizons(horizon);
    this.#features = new SeasonalFeatures(this.#window, tracked);
    this.#context = { window: this.#window, features: this.#features, horizon, tracked };
    this.#floorNames = new Set(naiveMethods(seasons).map((method) => method.name));
    this.#streaming = options.streaming ?? streamingMethods(seasons);
    this.#trained = options.trained ?? [];
    this.#streamingExperts = fitExperts(this.#streaming, this.#context, this.#floorNames);
    this.#pool = new ExpertPool({ context: this.#context, experts: this.#streamingExperts, isProven: false });
    this.#quantiles = new Float64Array(tracked.length * LEVELS.length);
    this.#lag = options.streaming === undefined ? new LagTrend(horizon) : undefined;
  }

  /** Forecasts of single experts that had to be replaced or confined so far. */
  get replaced(): number {
    return this.#pool.replaced;
  }

  standings(): readonly MethodStanding[] {
    return this.#pool.standings();
  }

  /** Takes the next step's value. NaN, infinite or absurd ones are missing: the step passes, nothing is learnt. */
  push(value: number): void {
    this.#window.push(value);
    this.#features.push();
    const isThere = this.#window.missing === 0;
    const kept = this.#window.at(0);
    const expected = this.#pool.issued[0]!;
    this.#step += 1;
    if (isThere && Number.isFinite(expected)) this.#lag?.push(this.#step, kept, expected);
    if (isThere) this.#widen(kept);
    this.#pool.push(isThere ? kept : Number.NaN, this.#bounds(), (at) => this.#scaleOf(at));
  }

  /**
   * All that it has learnt, for a forecaster of the same horizon and seasons in a later process. Of trained methods
   * only those scores are kept that streaming ones have: they are fitted anew.
   */
  state(): object {
    return {
      window: this.#window.state(),
      features: this.#features.state(),
      range: packNumbers([this.#low, this.#high]),
      ...(this.#pool.experts.length === this.#streamingExperts.length ? { pool: this.#pool.state() } : {}),
    };
  }

  /** Takes what `state` gave; throws UnreadableState, and is then of no use. */
  restore(state: StateReader): void {
    this.#window.restore(state.at('window'));
    this.#features.restore(state.at('features'));
    const [low = Number.NaN, high = Number.NaN] = state.numbers('range', 2);
    this.#low = low;
    this.#high = high;
    if (state.has('pool')) this.#pool.restore(state.at('pool'));
  }

  /** Foretells the next `steps` (at most the horizon) steps. */
  forecast(steps = this.horizon): Forecast {
    assert(
      steps >= 1 && steps <= this.horizon,
      `can forecast 1 to ${this.horizon} steps, asked for ${steps}`,
    );
    const quantiles = new Float64Array(steps * LEVELS.length);
    this.#tabulate();
    const made: ForecastStep[] = [];
    for (let h = 1; h <= steps; h++) {
      const row = quantiles.subarray((h - 1) * LEVELS.length, h * LEVELS.length);
      const issued = this.#pool.issued[h - 1]!;
      const mean = this.#lag?.raise(h, issued) ?? issued;
      this.#writeQuantiles(h, mean, row);
      made.push({
        mean,
        lower80: row[AT_10]!,
        upper80: row[AT_90]!,
        lower90: row[AT_05]!,
        upper90: row[AT_95]!,
      });
    }
    const { outcomes } = this.#pool.board;
    return {
      method: this.#pool.method,
      score: this.#pool.relativeError,
      outcomes,
      confidence: Math.min(1, outcomes / SURE_OUTCOMES) / (1 + this.#window.missing / this.horizon),
      steps: made,
      quantiles,
    };
  }

  /**
   * Fits the trained methods anew. They replace the present ones only when what they would have issued over the last
   * part of the history is not clearly worse than what was issued. Costs milliseconds a method: not for the data plane.
   * `further` methods are those that were fitted elsewhere (slow-fits.ts) from `slowFit`.
   */
  retrain(further: readonly ForecastMethod[] = []): Retraining {
    const context = this.#context;
    const bounds = this.#bounds();
    const before = this.#pool;
    const methods = [...this.#trained, ...further];
    const rehearsal = rehearse({
      context,
      streaming: this.#streaming,
      trained: methods,
      floorNames: this.#floorNames,
      bounds,
      scaleOf: (at) => this.#scaleOf(at),
    });
    const trained = fitExperts(methods, context, this.#floorNames);
    const experts = [...this.#streamingExperts, ...trained].filter(({ name }) =>
      rehearsal.methods.includes(name),
    );
    const isSame = trained.length > 0 && experts.length === rehearsal.methods.length;
    const after = isSame
      ? new ExpertPool({ context, experts, board: rehearsal.board, isProven: true })
      : before;
    if (isSame) after.say(bounds);
    const isFirst = before.experts.length === this.#streamingExperts.length;
    const isBetter = isFirst || after.relativeError <= TOLERATED * before.relativeError;
    const isReplaced = isSame && isBetter;
    if (isReplaced) {
      after.replaced += before.replaced;
      this.#pool = after;
    }
    return {
      isReplaced,
      methods: trained.map(({ name }) => name),
      before: before.relativeError,
      after: after.relativeError,
    };
  }

  /** What the slow methods need to be fitted elsewhere; plain data, a copy. */
  slowFit(methods: readonly SlowMethod[]): SlowFitRequest {
    const { steps, seasons } = this.#window;
    return { history: this.#window.history(), steps, seasons, horizon: this.horizon, methods };
  }

  #widen(value: number): void {
    if (Number.isNaN(this.#low)) {
      this.#low = value;
      this.#high = value;
      return;
    }
    // Extremes fade over a window's length, so that one absurd day does not license absurd forecasts for ever.
    const fade = 1 / this.#window.capacity;
    this.#low = Math.min(value, this.#low + fade * (value - this.#low));
    this.#high = Math.max(value, this.#high - fade * (this.#high - value));
  }

  /** Forecasts may go beyond what was seen by the spread of what was seen. */
  #bounds(): readonly [number, number] {
    if (Number.isNaN(this.#low)) return [0, 0];
    const spread = this.#high - this.#low;
    const least = this.#low - spread;
    return [this.#window.isNegative ? least : Math.max(0, least), this.#high + spread];
  }

  #scaleOf(value: number): number {
    return errorUnit(value, this.#window.level);
  }

  #tabulate(): void {
    const { tracked } = this.#context;
    for (let t = 0; t < tracked.length; t++) {
      const band = this.#pool.board.band(t);
      for (let i = 0; i < LEVELS.length; i++) {
        this.#quantiles[t * LEVELS.length + i] = band.isKnown ? band.quantile(LEVELS[i]!) : Number.NaN;
      }
    }
  }

  /**
   * Standard deviation that is assumed at least: what a measurement is off by, and of an error that was always to the
   * same side, what is not yet known of it. Errors of h steps ahead overlap: n of them are worth n / h.
   */
  #leastDeviation(mean: number, tracked: number, unit: number): number {
    const { board } = this.#pool;
    const level = Math.max(Math.abs(mean), this.#window.level);
    const noise = level > 0 ? MEASURING_ERROR * level : MEASURING_ERROR;
    if (!board.band(tracked).isKnown) return noise;
    const bias = Math.abs(this.#quantiles[tracked * LEVELS.length + LEVELS.indexOf(0.5)]!) * unit;
    const independent = board.outcomesOf(tracked) / this.#context.tracked[tracked]!;
    return Math.hypot(noise, bias / Math.sqrt(Math.max(1, independent)));
  }

  /** After a gap the forecast starts from an old value: it is as uncertain as one for that much further ahead. */
  #writeQuantiles(h: number, mean: number, out: Float64Array): void {
    const { tracked } = this.#context;
    const ahead = h + this.#window.missing;
    let upper = 0;
    while (upper < tracked.length - 1 && tracked[upper]! < ahead) upper += 1;
    const lower = upper === 0 ? 0 : upper - 1;
    const from = tracked[lower]!;
    const to = tracked[upper]!;
    const share = upper === lower ? 1 : Math.min(1, (ahead - from) / (to - from));
    const beyond = Math.sqrt(Math.max(1, ahead / this.horizon));
    const unit = this.#scaleOf(mean) * beyond;
    const seen = Number.isNaN(this.#low) ? 0 : this.#high - this.#low;
    const floor = this.#leastDeviation(mean, upper, unit);
    const unknown = Math.max(seen, Math.abs(mean), this.#window.level, 1);
    for (let i = 0; i < LEVELS.length; i++) {
      const left = this.#quantiles[lower * LEVELS.length + i]!;
      const right = this.#quantiles[upper * LEVELS.length + i]!;
      const error = share * right + (1 - share) * left;
      // Without a distribution of errors: as wide as all that was seen.
      const spread = Number.isFinite(error) ? error * unit : unknown * beyond * (2 * LEVELS[i]! - 1);
      // Neither a series that never moved nor one that only rose has shown what else it can do.
      const least = STANDARD_NORMAL[i]! * floor;
      const value = mean + (least < 0 ? Math.min(spread, least) : Math.max(spread, least));
      out[i] = this.#window.isNegative ? value : Math.max(0, value);
    }
  }
}

const AT_05 = LEVELS.indexOf(0.05);
const AT_10 = LEVELS.indexOf(0.1);
const AT_90 = LEVELS.indexOf(0.9);
const AT_95 = LEVELS.indexOf(0.95);
