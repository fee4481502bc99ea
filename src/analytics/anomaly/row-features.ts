// What is looked at in a row of metrics, streaming: the values, their distance from the time of day, their short
// mean, how much they vary, and how far they just jumped. Five groups of the same length, one entry a metric.

import type { DayProfile } from './day-profile.ts';
import { clip, MOST_DEVIATIONS } from './row-scale.ts';

/** Groups in the order in which they lie in the feature vector. */
export const GROUPS = ['value', 'season', 'mean', 'variation', 'jump'] as const;
export type Group = (typeof GROUPS)[number];

/** Share of a new row in the short mean and variation: they look back about ten rows. */
const SMOOTHING = 0.1;

export class RowFeatures {
  readonly #width: number;
  readonly #profile: DayProfile | undefined;
  readonly #means: Float64Array;
  readonly #squares: Float64Array;
  #phase: number;
  #rows = 0;

  /** @param phase phase of the first row in the profile's day. */
  constructor(width: number, profile: DayProfile | undefined, phase: number) {
    this.#width = width;
    this.#profile = profile;
    this.#means = new Float64Array(width);
    this.#squares = new Float64Array(width);
    this.#phase = phase;
  }

  /** Writes the features of the next row, given in deviations, into `features` (groups x width). */
  push(scaled: Float64Array, features: Float64Array): void {
    const width = this.#width;
    const usualAt = this.#phase * width;
    for (let metric = 0; metric < width; metric++) {
      const value = scaled[metric]!;
      const before = this.#rows === 0 ? value : this.#means[metric]!;
      const jump = value - before;
      const usual = this.#profile === undefined ? 0 : this.#profile.usual[usualAt + metric]!;
      this.#means[metric] = before + SMOOTHING * jump;
      this.#squares[metric]! += SMOOTHING * (jump * jump - this.#squares[metric]!);
      features[metric] = value;
      features[width + metric] = value - usual;
      features[2 * width + metric] = this.#means[metric]!;
      features[3 * width + metric] = Math.sqrt(this.#squares[metric]!);
      features[4 * width + metric] = jump;
    }
    this.#rows++;
    if (this.#profile !== undefined) this.#phase = (this.#phase + 1) % this.#profile.rowsPerDay;
  }
}

const LEAST_SPREAD = 0.05;

export interface FeatureScale {
  readonly means: Float64Array;
  readonly spreads: Float64Array;
}

/** Mean and spread of each feature over the rows of a history, `count` vectors in one array. */
export function fitFeatureScale(features: Float64Array, count: number): FeatureScale {
  const width = features.length / count;
  const means = new Float64Array(width);
  const squares = new Float64Array(width);
  for (let i = 0; i < features.length; i++) means[i % width]! += features[i]! / count;
  for (let i = 0; i < features.length; i++)
    squares[i % width]! += (features[i]! - means[i % width]!) ** 2 / count;
  return { means, spreads: squares.map((square) => Math.sqrt(square) + LEAST_SPREAD) };
}

/** Standardises a vector in place, within the bound that values have. */
export function standardiseFeatures(scale: FeatureScale, features: Float64Array): void {
  for (let i = 0; i < features.length; i++) {
    features[i] = clip((features[i]! - scale.means[i]!) / scale.spreads[i]!, MOST_DEVIATIONS);
  }
}
