// What the online regression sees of a series at each step: how the last values and the means of longer windows
// stand to a base level, and how the season's profile says that things go on from here. Computed once a step for
// all variants of the regression, and kept until the outcome of the longest horizon is known.

import { pack, packNumbers, type StateReader } from '../state-reader.ts';
import type { SeriesWindow } from './series-window.ts';

/** Newest values that are seen singly. */
const SINGLE_LAGS = 5;
/** Steps of the base: a mean that noise of one value does not move much. */
const BASE_STEPS = 20;
/** Windows of longer means, ascending: about twice as long each, so that any decay can be composed of them. */
const MEAN_STEPS = [8, 15, 40, 90, 180] as const;
/** Window in which today's level is compared with the usual one. */
const RATIO_STEPS = 60;
/** Today may be this much busier than usual: beyond, the profile's movements are not stretched any further. */
const MOST_RATIO = 10;

const COMMON = SINGLE_LAGS + MEAN_STEPS.length;
const PER_SEASON = 2;

/** Features of the present step and of the last `horizon` ones. One writer: the forecaster. */
export class SeasonalFeatures {
  /** Features of one horizon: common ones, then two a season. */
  readonly count: number;
  readonly #window: SeriesWindow;
  readonly #tracked: readonly number[];
  readonly #rows: Float64Array;
  readonly #rowLength: number;
  readonly #rowCount: number;
  readonly #usualNow: Float64Array;
  readonly #ratio: Float64Array;
  #step = -1;

  constructor(window: SeriesWindow, tracked: readonly number[]) {
    this.#window = window;
    this.#tracked = tracked;
    const seasons = window.seasons.length;
    this.count = COMMON + PER_SEASON * seasons;
    this.#rowLength = 1 + COMMON + PER_SEASON * seasons * tracked.length;
    this.#rowCount = tracked.at(-1)! + 1;
    this.#rows = new Float64Array(this.#rowLength * this.#rowCount);
    this.#usualNow = new Float64Array(seasons);
    this.#ratio = new Float64Array(seasons);
  }

  /** Takes the step that the window was just given. */
  push(): void {
    this.#step += 1;
    const row = (this.#step % this.#rowCount) * this.#rowLength;
    const base = this.#writeCommon(row);
    for (let s = 0; s < this.#usualNow.length; s++) this.#compareWithUsual(s);
    let at = row + 1 + COMMON;
    for (const h of this.#tracked) at = this.#writeSeasonal(this.#rows, at, h, base);
  }

  state(): object {
    return {
      step: packNumbers([this.#step]),
      rows: pack(this.#rows),
      now: packNumbers([...this.#usualNow, ...this.#ratio]),
    };
  }

  /** Takes the state of features of the same horizons and seasons. */
  restore(state: StateReader): void {
    const seasons = this.#usualNow.length;
    const now = state.numbers('now', 2 * seasons);
    this.#rows.set(state.numbers('rows', this.#rows.length));
    this.#usualNow.set(now.subarray(0, seasons));
    this.#ratio.set(now.subarray(seasons));
    this.#step = state.numbers('step', 1)[0]!;
  }

  /** Steps taken so far. */
  get steps(): number {
    return this.#step + 1;
  }

  /** Base level `ago` steps before the present one; `ago` is at most the longest tracked horizon. */
  base(ago: number): number {
    return this.#rows[this.#rowOf(ago)]!;
  }

  /** Copies the features that were seen `ago` steps before, for the tracked horizon of that index. */
  read(ago: number, trackedIndex: number, out: Float64Array): void {
    const row = this.#rowOf(ago);
    for (let i = 0; i < COMMON; i++) out[i] = this.#rows[row + 1 + i]!;
    const width = PER_SEASON * this.#usualNow.length;
    const from = row + 1 + COMMON + trackedIndex * width;
    for (let i = 0; i < width; i++) out[COMMON + i] = this.#rows[from + i]!;
  }

  /** Features of the present step for any horizon, tracked or not. */
  readNow(h: number, out: Float64Array): void {
    const row = this.#rowOf(0);
    for (let i = 0; i < COMMON; i++) out[i] = this.#rows[row + 1 + i]!;
    this.#writeSeasonal(out, COMMON, h, this.#rows[row]!);
  }

  #rowOf(ago: number): number {
    return ((this.#step - ago) % this.#rowCount) * this.#rowLength;
  }

  #writeCommon(row: number): number {
    const window = this.#window;
    const rows = this.#rows;
    let sum = 0;
    let lag = 0;
    for (; lag < BASE_STEPS; lag++) sum += window.at(lag);
    const base = sum / BASE_STEPS;
    rows[row] = base;
    for (let i = 0; i < SINGLE_LAGS; i++) rows[row + 1 + i] = window.at(i) - base;
    sum = 0;
    lag = 0;
    for (let m = 0; m < MEAN_STEPS.length; m++) {
      const steps = MEAN_STEPS[m]!;
      for (; lag < steps; lag++) sum += window.at(lag);
      rows[row + 1 + SINGLE_LAGS + m] = sum / steps - base;
    }
    return base;
  }

  #compareWithUsual(season: number): void {
    const window = this.#window;
    let now = 0;
    const steps = Math.min(RATIO_STEPS, window.seasons[season]!);
    for (let lag = 0; lag < steps; lag++) now += window.at(lag);
    const floor = window.level * 0.02;
    const usual = window.usual(season, 0, steps);
    const ratio = (now / steps + floor) / (usual + floor);
    this.#ratio[season] = ratio > 0 ? Math.min(ratio, MOST_RATIO) : 1;
    this.#usualNow[season] = window.usual(season, 0, Math.min(BASE_STEPS, window.seasons[season]! - 1));
  }

  #writeSeasonal(out: Float64Array, from: number, h: number, base: number): number {
    let at = from;
    for (let s = 0; s < this.#usualNow.length; s++) {
      const then = this.#window.usual(s, h);
      const change = (then - this.#usualNow[s]!) * this.#ratio[s]!;
      const isKnown = Number.isFinite(change);
      out[at] = isKnown ? change : 0;
      out[at + 1] = isKnown ? then - base : 0;
      at += PER_SEASON;
    }
    return at;
  }
}
