// Anomaly score across the metrics of one region, server or shard group. A model is fitted to a history of rows,
// again whenever the engine trains; between, rows are pushed one by one. The score has two parts: how abnormal
// the row is, which stays up while an incident lasts, and a sudden change, which is what is worth an alarm.

import { type DayProfile, findRowsPerDay, fitDayProfile } from './day-profile.ts';
import {
  type ChannelRoom,
  commonScale,
  fitRowChannels,
  judgeChannels,
  newChannelRoom,
  pushVector,
  type RowChannels,
} from './row-channels.ts';
import {
  type FeatureScale,
  fitFeatureScale,
  GROUPS,
  RowFeatures,
  standardiseFeatures,
} from './row-features.ts';
import { fitRowScale, type RowScale, type Rows, scaleRow } from './row-scale.ts';

/** Plain data: can be sent to another thread or kept. */
export interface RowModel {
  readonly width: number;
  readonly scale: RowScale;
  readonly profile: DayProfile | undefined;
  readonly featureScale: FeatureScale;
  readonly channels: RowChannels;
}

/** A part of a row's score. */
export interface Contribution {
  /** Index of the metric in the row. */
  readonly metric: number;
  /** Share of all that was abnormal, 0..1. */
  readonly share: number;
  /** Deviations from the usual value, at this time of day where that is known; signed. */
  readonly deviations: number;
}

/** Rows that a model needs; below, too little is known to call anything abnormal. */
export const LEAST_ROWS = 60;
/** Slopes of the two parts, and where on the common scale a change counts as sudden. */
const LEVEL_SLOPE = 2;
const SUDDEN = 1.2;

/**
 * Fits a model to a history, oldest row first; undefined with fewer than LEAST_ROWS rows.
 * @param rowsPerDay length of a day; found from the rows when not given.
 */
export function fitRowModel(history: Rows, rowsPerDay?: number): RowModel | undefined {
  if (history.length < LEAST_ROWS) return undefined;
  const width = history[0]!.length;
  const scale = fitRowScale(history, width);
  const last = new Float64Array(width);
  const scaled = history.map((row) => {
    scaleRow(scale, row, last);
    return last.slice();
  });
  const day = rowsPerDay ?? findRowsPerDay(scaled);
  const profile = day === undefined ? undefined : fitDayProfile(scaled, day);
  const size = GROUPS.length * width;
  const features = new Float64Array(history.length * size);
  const stream = new RowFeatures(width, profile, phaseOfFirst(profile, history.length));
  scaled.forEach((row, index) => {
    stream.push(row, features.subarray(index * size, (index + 1) * size));
  });
  const featureScale = fitFeatureScale(features, history.length);
  for (let row = 0; row < history.length; row++) {
    standardiseFeatures(featureScale, features.subarray(row * size, (row + 1) * size));
  }
  return { width, scale, profile, featureScale, channels: fitRowChannels(features, history.length, width) };
}

/** The row behind the history has phase 0. */
function phaseOfFirst(profile: DayProfile | undefined, rows: number): number {
  if (profile === undefined) return 0;
  return (profile.rowsPerDay - (rows % profile.rowsPerDay)) % profile.rowsPerDay;
}

export class RowDetector {
  readonly #model: RowModel;
  readonly #stream: RowFeatures;
  readonly #scaled: Float64Array;
  readonly #features: Float64Array;
  readonly #room: ChannelRoom;
  #rows = 0;

  /**
   * @param recent the last rows before the first that is pushed, oldest first: they fill the means.
   * At least the length of a day is not needed; a hundred rows are plenty.
   */
  constructor(model: RowModel, recent: Rows) {
    this.#model = model;
    this.#scaled = new Float64Array(model.width);
    this.#features = new Float64Array(GROUPS.length * model.width);
    this.#room = newChannelRoom(model.width);
    this.#stream = new RowFeatures(model.width, model.profile, phaseOfFirst(model.profile, recent.length));
    for (const row of recent) this.push(row);
  }

  /** Takes the next row; its score, 0..1. */
  push(row: Float64Array): number {
    const { scale, featureScale, channels, width } = this.#model;
    scaleRow(scale, row, this.#scaled);
    this.#stream.push(this.#scaled, this.#features);
    standardiseFeatures(featureScale, this.#features);
    pushVector(this.#room, this.#features, this.#rows === 0);
    this.#rows++;
    judgeChannels(channels, this.#room, width);
    const on = (channel: number): number => commonScale(channels, this.#room, channel);
    const level = (on(0) + on(1) + on(2) + on(3)) / 4;
    const change = (on(2) + on(4)) / 2;
    const lasting = 1 / (1 + Math.exp(-LEVEL_SLOPE * (level - 1)));
    const sudden = 1 - Math.exp(-Math.max(0, change - SUDDEN));
    return (lasting + sudden) / 2;
  }

  /** What made the last row abnormal, greatest share first. */
  contributions(most: number): Contribution[] {
    const { width } = this.#model;
    const shares = new Float64Array(width);
    let total = 0;
    for (let i = 0; i < this.#room.togetherResiduals.length; i++) {
      const square = this.#room.togetherResiduals[i]! ** 2;
      shares[i % width]! += square;
      total += square;
    }
    const season = GROUPS.indexOf('season') * width;
    return Array.from(shares, (share, metric) => ({
      metric,
      share: total > 0 ? share / total : 0,
      deviations: this.#features[season + metric]!,
    }))
      .sort((a, b) => b.share - a.share)
      .slice(0, most);
  }
}
