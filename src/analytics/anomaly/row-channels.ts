// The channels of the joint score: ways of looking at a row's features that each give one number. Each is put on
// a common scale by its own course over the history: 0 = the median row, 1 = the hundredth worst.

import { fitJointResidual, type JointResidual, judgeJointly } from './joint-residual.ts';
import { GROUPS, type Group } from './row-features.ts';

/** Features of the moment together, and values with the two rows before, are each judged against all others. */
const TOGETHER: readonly Group[] = ['season', 'mean', 'variation'];
const LAGS = 3;

export const CHANNELS = ['together', 'lags', 'season', 'variation', 'jump'] as const;

export interface RowChannels {
  readonly together: JointResidual;
  readonly lags: JointResidual;
  /** Median and 99th percentile of the logarithm, by channel. */
  readonly medians: Float64Array;
  readonly highs: Float64Array;
}

/** Standardised features of the last rows, newest first, and room for what is worked out from them. */
export interface ChannelRoom {
  readonly recent: readonly Float64Array[];
  readonly togetherFeatures: Float64Array;
  readonly togetherResiduals: Float64Array;
  readonly lagFeatures: Float64Array;
  readonly lagResiduals: Float64Array;
  readonly scores: Float64Array;
}

export function newChannelRoom(width: number): ChannelRoom {
  const together = TOGETHER.length * width;
  return {
    recent: Array.from({ length: LAGS }, () => new Float64Array(GROUPS.length * width)),
    togetherFeatures: new Float64Array(together),
    togetherResiduals: new Float64Array(together),
    lagFeatures: new Float64Array(LAGS * width),
    lagResiduals: new Float64Array(LAGS * width),
    scores: new Float64Array(CHANNELS.length),
  };
}

/**
 * Fits the channels to a history of standardised feature vectors.
 * @param features `count` vectors of groups x width in one array.
 */
export function fitRowChannels(features: Float64Array, count: number, width: number): RowChannels {
  const size = GROUPS.length * width;
  const vector = (row: number): Float64Array => features.subarray(row * size, (row + 1) * size);
  const together = fitJointResidual({
    count,
    width: TOGETHER.length * width,
    fill: (row, into) => fillTogether(vector(row), into, width),
  });
  const lags = fitJointResidual({
    count,
    width: LAGS * width,
    fill: (row, into) => {
      for (let lag = 0; lag < LAGS; lag++) {
        into.set(vector(Math.max(0, row - lag)).subarray(0, width), lag * width);
      }
    },
  });
  const blank = new Float64Array(CHANNELS.length);
  const channels = { together, lags, medians: blank, highs: blank.map(() => 1) };
  const room = newChannelRoom(width);
  const courses = CHANNELS.map(() => new Float64Array(count));
  for (let row = 0; row < count; row++) {
    pushVector(room, vector(row), row === 0);
    judgeChannels(channels, room, width);
    for (let i = 0; i < courses.length; i++) courses[i]![row] = Math.log(room.scores[i]! + LEAST_SCORE);
  }
  for (const course of courses) course.sort();
  const at = (share: number): Float64Array =>
    Float64Array.from(courses, (course) => course[Math.floor(share * (count - 1))]!);
  return { together, lags, medians: at(0.5), highs: at(0.99) };
}

/** Keeps the logarithm of a row of zeros finite. */
const LEAST_SCORE = 1e-6;
/** A course that hardly varies must not turn its own rounding into a high score. */
const LEAST_SPAN = 0.1;

/** Makes a vector the newest of the room; the first fills the past as well. */
export function pushVector(room: ChannelRoom, vector: Float64Array, first: boolean): void {
  for (let lag = room.recent.length - 1; lag > 0; lag--) {
    room.recent[lag]!.set(first ? vector : room.recent[lag - 1]!);
  }
  room.recent[0]!.set(vector);
}

/** Works out the raw score of each channel for the newest vector, in the order of CHANNELS. */
export function judgeChannels(channels: RowChannels, room: ChannelRoom, width: number): void {
  const newest = room.recent[0]!;
  fillTogether(newest, room.togetherFeatures, width);
  for (let lag = 0; lag < LAGS; lag++) {
    room.lagFeatures.set(room.recent[lag]!.subarray(0, width), lag * width);
  }
  room.scores[0] = judgeJointly(channels.together, room.togetherFeatures, room.togetherResiduals);
  room.scores[1] = judgeJointly(channels.lags, room.lagFeatures, room.lagResiduals);
  room.scores[2] = meanSquare(newest, GROUPS.indexOf('season'), width);
  room.scores[3] = meanSquare(newest, GROUPS.indexOf('variation'), width);
  room.scores[4] = meanSquare(newest, GROUPS.indexOf('jump'), width);
}

/** The channel's score on the common scale: 0 for the median row of the history, 1 for the hundredth worst. */
export function commonScale(channels: RowChannels, room: ChannelRoom, channel: number): number {
  const median = channels.medians[channel]!;
  const span = channels.highs[channel]! - median + LEAST_SPAN;
  return (Math.log(room.scores[channel]! + LEAST_SCORE) - median) / span;
}

function fillTogether(vector: Float64Array, into: Float64Array, width: number): void {
  for (let i = 0; i < TOGETHER.length; i++) {
    const from = GROUPS.indexOf(TOGETHER[i]!) * width;
    into.set(vector.subarray(from, from + width), i * width);
  }
}

function meanSquare(vector: Float64Array, group: number, width: number): number {
  let sum = 0;
  for (let i = group * width; i < (group + 1) * width; i++) sum += vector[i]! * vector[i]!;
  return sum / width;
}
