// P(load exceeds capacity within the horizon). Levels and trend of the load in logarithms, judged by a
// logistic regression on the load's own past replayed against several capacities; until there is a past,
// by a damped trend with normal errors. The forecast of the load has a quarter of the word, in log-odds: alone it is
// worse, but it errs at other moments. Trees on other columns and a daily profile were tried on two real
// sites and gained nothing there.

import { fromLogOdds, logOdds } from '../calibrate.ts';
import { CapacityEstimate } from './capacity-estimate.ts';
import { challengeWeights, type Trained } from './challenge.ts';
import {
  LEVEL_STATE_SIZE,
  LoadLevels,
  logUtilisation,
  OVERLOAD_COLUMNS,
  writeOverloadColumns,
} from './load-levels.ts';
import { predictLogistic, type WeightedRows } from './logistic-regression.ts';
import { type OverloadRule, OverloadTracker } from './overload-event.ts';
import { FAR_BELOW, OverloadHistory } from './overload-history.ts';
import { sayDuration } from './prior.ts';
import { normalBelow } from './time-to-limit.ts';

export interface OverloadOptions {
  /** Rows come this far apart. */
  readonly stepMs: number;
  readonly horizonMs: number;
  readonly rule: OverloadRule;
}

/** What a forecast of the load says of the same horizon. */
export interface ForeseenOverload {
  /** P(load passes the capacity). */
  readonly probability: number;
  /** 0..1: how far the forecast is proven. */
  readonly confidence: number;
}

export interface OverloadPrediction {
  /** P(load is above capacity within the horizon), 1 while it is. */
  readonly probability: number;
  /** P(a new overload begins within the horizon): 0 during one and in its closed pause. */
  readonly begins: number;
  readonly confidence: number;
  readonly model: 'damped_trend' | 'logistic_levels';
  readonly capacity: number;
  readonly reasons: readonly string[];
}

// A model is fitted anew after this many rows: a day of minutes.
const REFIT_ROWS = 1440;
// After a drift sooner; rows enough to show that the world has changed.
const DRIFTED_ROWS = 120;
// First model: less past than this has seen no capacity exceeded.
const MIN_ROWS = 720;
const MIN_BEGINNINGS = 30;
const RIDGE = 3;
// Far below capacity; not 0, a flash crowd needs no warning.
const FAR_PROBABILITY = 1e-4;
const WORTH_SAYING = 0.1;
const DAMPING = 0.7;
const PRIOR_CONFIDENCE = 0.5;
const FITTED_CONFIDENCE = 0.8;
// Chosen on one site (NASA), where half of the word was worse; the other (World Cup) gained more by it.
const FORESEEN_WEIGHT = 0.25;

export class OverloadPredictor {
  readonly #options: OverloadOptions;
  readonly #levels: LoadLevels;
  readonly #tracker: OverloadTracker;
  readonly #history: OverloadHistory;
  readonly #estimate: CapacityEstimate;
  readonly #state = new Float32Array(LEVEL_STATE_SIZE);
  readonly #columns = new Float64Array(OVERLOAD_COLUMNS);
  #weights: Float64Array | undefined;
  #rows = 0;
  #fittedRow = Number.NEGATIVE_INFINITY;
  /** Rows that the weights in force have learnt from, and those that were given out last. */
  #championRow = 0;
  #offeredRow: number | undefined;
  #load = Number.NaN;
  #capacity = Number.NaN;

  constructor(options: OverloadOptions) {
    this.#options = options;
    const horizonRows = Math.max(1, Math.round(options.horizonMs / options.stepMs));
    this.#levels = new LoadLevels(horizonRows);
    this.#tracker = new OverloadTracker(options.rule);
    this.#history = new OverloadHistory(options.rule, horizonRows);
    this.#estimate = new CapacityEstimate();
  }

  /** One row. Without a capacity (undefined, or no positive number) the one learnt from the load is used. */
  push(load: number, capacity?: number): void {
    this.#load = load;
    this.#levels.push(load);
    this.#estimate.push(load);
    const given = capacity !== undefined && capacity > 0 && Number.isFinite(capacity);
    this.#capacity = given ? capacity : this.#estimate.capacity;
    this.#tracker.push(load, this.#capacity);
    this.#history.push(load, this.#capacity);
    this.#levels.writeState(this.#state, 0);
    this.#rows += 1;
  }

  predict(foreseen?: ForeseenOverload): OverloadPrediction {
    const { rule, horizonMs, stepMs } = this.#options;
    const base = {
      capacity: this.#capacity,
      model: this.#weights ? 'logistic_levels' : 'damped_trend',
    } as const;
    const confidence = this.#weights ? FITTED_CONFIDENCE : PRIOR_CONFIDENCE;
    if (!(this.#capacity > 0) || this.#rows < 2) {
      return { ...base, probability: 0, begins: 0, confidence: 0, reasons: ['no load was seen yet'] };
    }
    if (this.#tracker.over) {
      return { ...base, probability: 1, begins: 0, confidence, reasons: ['load is above capacity'] };
    }
    const probability = blended(this.#judge(), foreseen);
    const paused = this.#tracker.rowsSince <= rule.pauseRows - horizonMs / stepMs;
    return {
      ...base,
      probability,
      begins: paused ? 0 : probability,
      confidence,
      reasons: probability < WORTH_SAYING ? [] : [this.#say(probability)],
    };
  }

  /**
   * Rows to fit on when a new model is due, plain data for another thread; undefined otherwise.
   * @param isDrifted the model in force has got worse: it does not wait for its time.
   */
  trainingRows(isDrifted = false): WeightedRows | undefined {
    const age = this.#rows - this.#fittedRow;
    if (age < (isDrifted ? DRIFTED_ROWS : REFIT_ROWS) || this.#rows < MIN_ROWS) return undefined;
    this.#fittedRow = this.#rows;
    const rows = this.#history.trainingRows();
    const beginnings = rows.labels.reduce((sum, label) => sum + label, 0);
    if (beginnings < MIN_BEGINNINGS || beginnings === rows.labels.length) return undefined;
    this.#offeredRow = this.#rows;
    return { ...rows, unseenFrom: this.#championRow };
  }

  /** Fits on trainingRows(), wherever it runs, and compares with the weights in force. */
  static train(rows: WeightedRows, champion: Float64Array | undefined): Trained<Float64Array> {
    return challengeWeights(rows, champion, RIDGE);
  }

  /** Weights that are not finite change nothing. */
  adopt(weights: Float64Array): void {
    if (weights.length !== OVERLOAD_COLUMNS || !weights.every(Number.isFinite)) return;
    this.#weights = weights;
    this.#championRow = this.#offeredRow ?? this.#rows;
    this.#offeredRow = undefined;
  }

  #judge(): number {
    const seen = { state: this.#state, stateOffset: 0, logCapacity: Math.log(this.#capacity) };
    if (!(logUtilisation(seen) > FAR_BELOW)) return FAR_PROBABILITY;
    if (this.#weights === undefined) return this.#dampedTrend(seen.logCapacity);
    const exceeding = this.#tracker.exceeding(this.#capacity);
    writeOverloadColumns(this.#columns, 0, { ...seen, exceeding, exceedsNow: this.#load > this.#capacity });
    return predictLogistic(this.#weights, this.#columns);
  }

  /** The level goes on by part of its bend over the last horizons; errors as wide as the load wandered. */
  #dampedTrend(logCapacity: number): number {
    const [fast, level, slow] = this.#state as unknown as readonly [number, number, number];
    const expected = fast + DAMPING * (level - slow);
    const deviation = Math.hypot(this.#state[5]!, this.#state[4]! / 2, 0.02);
    return Math.min(0.95, normalBelow((expected - logCapacity) / deviation));
  }

  #say(probability: number): string {
    const used = Math.round(100 * Math.exp(this.#state[1]! - Math.log(this.#capacity)));
    const horizon = sayDuration(this.#options.horizonMs);
    return `load is at ${used} % of capacity and may pass it within ${horizon} (${Math.round(100 * probability)} %)`;
  }
}

function blended(own: number, foreseen: ForeseenOverload | undefined): number {
  if (foreseen === undefined || !(foreseen.probability >= 0 && foreseen.confidence > 0)) return own;
  const weight = FORESEEN_WEIGHT * Math.min(1, foreseen.confidence);
  return fromLogOdds((1 - weight) * logOdds(own) + weight * logOdds(foreseen.probability));
}
