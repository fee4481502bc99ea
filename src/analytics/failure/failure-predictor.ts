// P(a failure begins within the horizon) for one region or server: rows of metrics in, outcomes as they
// become known, a probability with its reasons out. Four answers are computed side by side and scored on
// every outcome; the best one speaks, and none when none beats the base rate. Production and backtest
// drive it alike, one row at a time.

import { calibrate, fitCalibration, fromLogOdds, IDENTITY, logOdds } from '../calibrate.ts';
import { packNumbers, type StateReader } from '../state-reader.ts';
import {
  type BoostedTrees,
  predictBoostedTrees,
  restoreTrees,
  type TrainingRows,
  treesState,
} from './boosted-trees.ts';
import { KeptRows, type SettledRows } from './kept-rows.ts';
import { metricKind } from './metric-kinds.ts';
import { MetricWatch, WATCH_NUMBERS } from './metric-watch.ts';
import { type ModelScore, OutcomeLedger } from './outcome-ledger.ts';
import { type PriorOutlook, priorOutlook, sayDuration, type WatchedMetric } from './prior.ts';
import { RecurrenceHazard, type RecurrenceOutlook } from './recurrence.ts';
import { SlotMemory } from './slot-memory.ts';
import { FEATURE_COLUMNS, writeFeatures } from './stream-features.ts';

/** A metric of the rows: its name tells the kind (metric-kinds.ts). */
export interface MetricSpec {
  readonly name: string;
  /** Value at which requests fail, where it is known; one learnt from the usual value may be lower and then counts. */
  readonly limit?: number | undefined;
}

export interface FailurePredictorOptions {
  /** Columns of every row, in their order. */
  readonly metrics: readonly MetricSpec[];
  /** How far ahead a failure counts as predicted; all spans of the models scale with it. */
  readonly horizonMs: number;
}

/** Which answer speaks. */
export type FailureModel = 'base_rate' | 'prior' | 'recurrence' | 'boosted_trees' | 'blend';

export interface FailurePrediction {
  /** P(a failure begins within the horizon), 0..1; the base rate when the model is `base_rate`. */
  readonly probability: number;
  /** 0..1; at most 0.5 until five failures have judged the engine. */
  readonly confidence: number;
  readonly model: FailureModel;
  /** The speaking model's own score so far. */
  readonly score: ModelScore;
  readonly reasons: readonly string[];
}

const MODELS = ['recurrence', 'prior', 'boosted_trees', 'blend'] as const;
// From here on skill decides who speaks; before, the prior does, with little confidence.
const JUDGING_OUTCOMES = 5;
const UNJUDGED_CONFIDENCE = 0.5;
const BASE_RATE_CONFIDENCE = 0.3;
// Another model takes over only when it is better by this much skill: equals would alternate.
const SWITCH_MARGIN = 0.02;
// What the recurrence hazard says has the fewest parts; the others must beat it by more than their luck.
const SIMPLEST_MARGIN = 0.05;
// Rows kept for training and calibration: six a horizon, for 1,000 horizons (three weeks at half an hour).
const ROWS_PER_HORIZON = 6;
const MAX_TRAINING_ROWS = 6000;
// Without a failure there is nothing to train on: a few days of quiet are enough to begin with.
const MAX_QUIET_ROWS = 1500;
const MIN_TRAINING_ROWS = 300;
// Rows that the model in force has not learnt from: half of them, ten horizons, judge it and its successor.
const MIN_UNSEEN_ROWS = 120;
// The trace of a beginning stands in its slot and the next one.
const TRACE_AFTER_MS = 600_000;
const MAX_RECENT_FAILURES = 256;
// Failures within this many horizons count as recent.
const RECENT_HORIZONS = 48;
// A new model is due after this many horizons, or when a failure was added to what it knows.
const RETRAIN_HORIZONS = 48;

export class FailurePredictor {
  readonly #horizonMs: number;
  #metrics: readonly WatchedMetric[];
  #slots: SlotMemory;
  readonly #hazard = new RecurrenceHazard();
  readonly #ledger: OutcomeLedger;
  readonly #kept = new KeptRows(FEATURE_COLUMNS, MODELS.length);
  readonly #recentFailures: number[] = [];
  readonly #calibrations = MODELS.map(() => IDENTITY);
  #lastMs = Number.NEGATIVE_INFINITY;
  /** Between the last two rows. */
  #stepMs = Number.POSITIVE_INFINITY;
  #startMs = Number.NaN;
  #traceMs = Number.NaN;
  #failing = false;
  #acted = false;
  #trees: BoostedTrees | undefined;
  #trainedMs = Number.NEGATIVE_INFINITY;
  /** Youngest row that the trees in force have learnt from, and that was given out last. */
  #learntMs = Number.NEGATIVE_INFINITY;
  #offeredMs = Number.NEGATIVE_INFINITY;
  #trainedOutcomes = 0;
  #speaks: FailureModel = 'prior';

  constructor(options: FailurePredictorOptions) {
    this.#horizonMs = options.horizonMs;
    this.#metrics = options.metrics.map((metric) => watched(metric));
    this.#slots = new SlotMemory(options.metrics.length);
    this.#ledger = new OutcomeLedger(MODELS.length, options.horizonMs, (atMs, failed) =>
      this.#kept.settle(atMs, failed),
    );
  }

  /**
   * Rows have other columns from now on; what failures and outcomes have taught stays, for it is not of columns.
   * @param from per new column the one that it was, -1 = it is new.
   */
  reshape(metrics: readonly MetricSpec[], from: readonly number[]): void {
    this.#metrics = metrics.map((metric, i) => this.#metrics[from[i]!] ?? watched(metric));
    this.#slots = this.#slots.reshaped(from);
  }

  /** One row of metrics, NaN where unknown. Rows out of order are left out: false. */
  push(atMs: number, values: ArrayLike<number>): boolean {
    if (!Number.isFinite(atMs) || atMs <= this.#lastMs) return false;
    if (Number.isNaN(this.#startMs)) this.#startMs = atMs;
    if (Number.isFinite(this.#lastMs)) this.#stepMs = atMs - this.#lastMs;
    this.#lastMs = atMs;
    const time = (atMs - this.#startMs) / this.#horizonMs;
    this.#metrics.forEach(({ watch }, column) => {
      watch.push(time, values[column] ?? Number.NaN);
    });
    this.#slots.push(atMs, values, this.#failing);
    if (atMs >= this.#traceMs + TRACE_AFTER_MS) {
      const trace = this.#slots.recurrenceOf(this.#traceMs);
      if (trace !== undefined) this.#hazard.addTrace(this.#traceMs, trace);
      this.#traceMs = Number.NaN;
    }
    return true;
  }

  /**
   * The state at `atMs` became known: health evaluations, ejections, overload or an operator said so. In
   * ascending time; called for quiet moments as well, which is what rates are made of.
   */
  outcome(atMs: number, failing: boolean): void {
    if (failing && !this.#failing) {
      this.#traceMs = atMs;
      this.#recentFailures.push(atMs);
      if (this.#recentFailures.length > MAX_RECENT_FAILURES) this.#recentFailures.shift();
    }
    this.#failing = failing;
    this.#hazard.observe(atMs, failing);
    this.#ledger.observe(atMs, failing);
  }

  /** Somebody says afterwards that a failure began at `atMs`. One that was seen at its time changes nothing. */
  confirmed(atMs: number): void {
    const isSeen = this.#recentFailures.some((ms) => Math.abs(ms - atMs) <= this.#horizonMs);
    if (isSeen || !(atMs >= this.#startMs && atMs <= this.#lastMs)) return;
    this.#recentFailures.push(atMs);
    this.#recentFailures.sort((a, b) => a - b);
    if (this.#recentFailures.length > MAX_RECENT_FAILURES) this.#recentFailures.shift();
    const base = this.#hazard.outlook(atMs, this.#horizonMs).baseProbability;
    this.#hazard.confirmed(atMs);
    const trace = this.#slots.recurrenceOf(atMs);
    if (trace !== undefined) this.#hazard.addTrace(atMs, trace);
    const said = this.#kept
      .relabel(atMs - this.#horizonMs, atMs)
      .map((raw) => raw.map((probability, model) => calibrate(this.#calibrations[model]!, probability)));
    const weight = Math.max(1, this.#horizonMs / ROWS_PER_HORIZON / this.#stepMs);
    this.#ledger.confirmed(said, base, weight);
  }

  /** While traffic is being moved on these predictions they are not judged, unless the failure comes anyway. */
  setActedUpon(acted: boolean): void {
    this.#acted = acted;
  }

  /** The prediction for the horizon behind the last row. Call once a row: each one is scored. */
  predict(): FailurePrediction {
    const atMs = this.#lastMs;
    const recurrence = this.#hazard.outlook(atMs, this.#horizonMs);
    const prior = priorOutlook(this.#metrics, this.#horizonMs, (metric) =>
      this.#slots.usualHigh(atMs, this.#horizonMs, metric),
    );
    const features = new Float32Array(FEATURE_COLUMNS);
    this.#describe(features, recurrence, prior);
    const raw = this.#answers(features, recurrence, prior);
    const answers = raw.map((probability, model) => calibrate(this.#calibrations[model]!, probability));
    if (!this.#failing && Number.isFinite(atMs)) this.#keep(atMs, features, raw, answers, recurrence);
    return this.#speak(answers, recurrence, prior);
  }

  /**
   * Rows to train on when a new model is due, plain data for another thread; undefined otherwise.
   * @param isDrifted predictions have got worse: it does not wait for its time.
   */
  trainingRows(isDrifted = false): TrainingRows | undefined {
    const { outcomes } = this.#ledger.score(0);
    if (outcomes < JUDGING_OUTCOMES || this.#lastMs <= this.#trainedMs) return undefined;
    const age = (this.#lastMs - this.#trainedMs) / this.#horizonMs;
    if (!isDrifted && age < RETRAIN_HORIZONS && outcomes === this.#trainedOutcomes) return undefined;
    const settled = this.#kept.settled();
    if (settled.labels.length < MIN_TRAINING_ROWS) return undefined;
    const unseen = settled.times.filter((at) => at > this.#learntMs).length;
    // Nobody could say on fewer rows whether a new model is better.
    if (unseen < MIN_UNSEEN_ROWS) return undefined;
    this.#offeredMs = settled.times.at(-1)!;
    this.#trainedMs = this.#lastMs;
    this.#trainedOutcomes = outcomes;
    this.#recalibrate(settled);
    return { features: settled.features, columns: FEATURE_COLUMNS, labels: settled.labels, unseen };
  }

  /** Takes a model trained on trainingRows(); one that learnt nothing changes nothing. */
  adopt(model: BoostedTrees): void {
    if (model.columns !== FEATURE_COLUMNS || model.treeCount === 0) return;
    this.#trees = model;
    this.#learntMs = this.#offeredMs;
  }

  /** Every model's score, for feedback and reports. */
  skills(): readonly (ModelScore & { readonly model: FailureModel })[] {
    return MODELS.map((model, index) => ({ model, ...this.#ledger.score(index) }));
  }

  /** Whether there were failures enough for the skill to mean anything. */
  get isJudged(): boolean {
    return this.#ledger.score(0).outcomes >= JUDGING_OUTCOMES;
  }

  /** All that it has learnt, for a predictor of the same metrics and horizon in a later process. */
  state(): object {
    const times = [this.#lastMs, this.#startMs, this.#traceMs, this.#trainedMs];
    return {
      numbers: packNumbers([...times, this.#trainedOutcomes, this.#failing ? 1 : 0]),
      watches: packNumbers(this.#metrics.flatMap(({ watch }) => watch.numbers())),
      slots: this.#slots.state(),
      hazard: this.#hazard.state(),
      ledger: this.#ledger.state(),
      kept: this.#kept.state(),
      recentFailures: packNumbers(this.#recentFailures),
      calibrations: packNumbers(this.#calibrations.flatMap(({ slope, shift }) => [slope, shift])),
      speaks: this.#speaks,
      ...(this.#trees === undefined ? {} : { trees: treesState(this.#trees) }),
      learnt: packNumbers([this.#learntMs]),
    };
  }

  /** Takes what `state` gave; throws UnreadableState, and is then of no use. */
  restore(state: StateReader): void {
    const [lastMs, startMs, traceMs, trainedMs, trainedOutcomes, failing] = state.numbers('numbers', 6);
    const watches = state.numbers('watches', this.#metrics.length * WATCH_NUMBERS);
    this.#metrics.forEach(({ watch }, i) => {
      watch.restore(watches.subarray(i * WATCH_NUMBERS, (i + 1) * WATCH_NUMBERS));
    });
    this.#lastMs = lastMs!;
    this.#startMs = startMs!;
    this.#traceMs = traceMs!;
    this.#trainedMs = trainedMs!;
    this.#trainedOutcomes = trainedOutcomes!;
    this.#failing = failing === 1;
    this.#slots.restore(state.at('slots'));
    this.#hazard.restore(state.at('hazard'));
    this.#ledger.restore(state.at('ledger'));
    this.#kept.restore(state.at('kept'), MAX_TRAINING_ROWS);
    this.#recentFailures.splice(
      0,
      MAX_RECENT_FAILURES,
      ...state.numbersUpTo('recentFailures', MAX_RECENT_FAILURES),
    );
    const lines = state.numbers('calibrations', 2 * MODELS.length);
    MODELS.forEach((_, model) => {
      this.#calibrations[model] = { slope: lines[2 * model]!, shift: lines[2 * model + 1]! };
    });
    this.#speaks = state.oneOf('speaks', ['base_rate', ...MODELS]);
    if (state.has('trees')) this.adopt(restoreTrees(state.at('trees')));
    this.#learntMs = state.numbers('learnt', 1)[0]!;
  }

  /** The trees in force, which a new model must beat. */
  get trees(): BoostedTrees | undefined {
    return this.#trees;
  }

  #describe(features: Float32Array, recurrence: RecurrenceOutlook, prior: PriorOutlook): void {
    const since = this.#lastMs - RECENT_HORIZONS * this.#horizonMs;
    writeFeatures(
      features,
      this.#metrics.map(({ watch }) => watch),
      {
        atMs: this.#lastMs,
        horizonMs: this.#horizonMs,
        recurrence,
        limitProbability: prior.limitProbability,
        limitUsed: prior.limitUsed,
        lastFailureMs: this.#recentFailures.at(-1) ?? Number.NEGATIVE_INFINITY,
        recentFailures: this.#recentFailures.filter((ms) => ms >= since).length,
      },
    );
  }

  /** In the order of MODELS. */
  #answers(features: Float32Array, recurrence: RecurrenceOutlook, prior: PriorOutlook): number[] {
    const lifted = 1 - (1 - recurrence.probability) * (1 - recurrence.baseProbability) ** (prior.lift - 1);
    const seen = 1 - (1 - lifted) * (1 - prior.limitProbability);
    const trees =
      this.#trees === undefined ? recurrence.probability : predictBoostedTrees(this.#trees, features);
    const blend = fromLogOdds((logOdds(recurrence.probability) + logOdds(trees)) / 2);
    return [recurrence.probability, seen, trees, blend];
  }

  #keep(
    atMs: number,
    features: Float32Array,
    raw: readonly number[],
    answers: readonly number[],
    recurrence: RecurrenceOutlook,
  ): void {
    this.#ledger.predicted(atMs, answers, recurrence.baseProbability, this.#acted);
    if (atMs - this.#kept.lastMs < this.#horizonMs / ROWS_PER_HORIZON) return;
    const most = this.#recentFailures.length === 0 ? MAX_QUIET_ROWS : MAX_TRAINING_ROWS;
    this.#kept.push(atMs, features, raw, most);
  }

  #recalibrate({ probabilities, labels }: SettledRows): void {
    MODELS.forEach((name, model) => {
      // The recurrence hazard counts hits and misses: its probabilities are calibrated by their making, and a
      // line fitted to a handful of failures only blurred them (SMD: AUC-PR .36 without, .34 with it).
      if (name === 'recurrence') return;
      this.#calibrations[model] = fitCalibration(probabilities[model]!, labels, 1 / ROWS_PER_HORIZON);
    });
  }

  #speak(answers: readonly number[], recurrence: RecurrenceOutlook, prior: PriorOutlook): FailurePrediction {
    this.#speaks = this.#bestModel();
    const index = MODELS.indexOf(this.#speaks as (typeof MODELS)[number]);
    const score = this.#ledger.score(Math.max(0, index));
    if (index === -1) {
      return {
        probability: recurrence.baseProbability,
        confidence: BASE_RATE_CONFIDENCE,
        model: 'base_rate',
        score,
        reasons: ['no model predicts better than the base rate'],
      };
    }
    const judged = score.outcomes >= JUDGING_OUTCOMES;
    const warm = this.#metrics.filter(({ watch }) => watch.warm).length / Math.max(1, this.#metrics.length);
    return {
      probability: Math.max(0, Math.min(1, answers[index]!)),
      confidence: judged ? Math.min(1, 0.5 + score.skill / 2) : UNJUDGED_CONFIDENCE * warm,
      model: this.#speaks,
      score,
      reasons: [...prior.reasons, ...this.#saySchedule(recurrence)],
    };
  }

  #bestModel(): FailureModel {
    if (this.#ledger.score(0).outcomes < JUDGING_OUTCOMES) return 'prior';
    let best: FailureModel = 'base_rate';
    let bestStanding = 0;
    MODELS.forEach((model, index) => {
      const { skill } = this.#ledger.score(index);
      const standing =
        skill + (model === this.#speaks ? SWITCH_MARGIN : 0) + (model === 'recurrence' ? SIMPLEST_MARGIN : 0);
      if (skill > 0 && standing > bestStanding) {
        best = model;
        bestStanding = standing;
      }
    });
    return best;
  }

  #saySchedule({ schedule }: RecurrenceOutlook): string[] {
    if (schedule === undefined) return [];
    const every = schedule.periodMs > 86_400_000 ? 'week' : 'day';
    const due = schedule.dueMs - this.#lastMs;
    const when = due > 0 ? `in ${sayDuration(due)}` : 'now';
    return [`a failure began at this time of the ${every} ${schedule.seen} times, it is due ${when}`];
  }
}

function watched({ name, limit }: MetricSpec): WatchedMetric {
  return { kind: metricKind(name, limit), watch: new MetricWatch() };
}
