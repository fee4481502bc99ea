// Series for the tests of forecasting, made by seeded generators: what load looks like, and what goes wrong with it.
// One list, so that every method and the forecaster meet the same.

import { type Random, seededRandom } from '../../../src/core/random.ts';

/** Standard normal by Box and Muller. */
export function normal(random: Random): number {
  return Math.sqrt(-2 * Math.log(1 - random.next())) * Math.cos(2 * Math.PI * random.next());
}

export function make(length: number, valueAt: (t: number, random: Random) => number, seed = 1): Float64Array {
  const random = seededRandom(seed);
  return Float64Array.from({ length }, (_, t) => valueAt(t, random));
}

/** A day of `season` steps with two peaks, noise in per cent. */
export function daily(length: number, season: number, seed = 1): Float64Array {
  return make(
    length,
    (t, random) => {
      const phase = (2 * Math.PI * t) / season;
      return (200 + 80 * Math.sin(phase) + 30 * Math.sin(2 * phase + 1)) * (1 + 0.03 * normal(random));
    },
    seed,
  );
}

/** A level under the noise of counts. */
export function noisyLevel(length: number, seed = 1): Float64Array {
  return make(length, (_, random) => Math.max(0, 100 + 20 * normal(random)), seed);
}

export function randomWalk(length: number, seed = 1): Float64Array {
  let level = 1000;
  return make(
    length,
    (_, random) => {
      level += 10 * normal(random);
      return level;
    },
    seed,
  );
}

export const SEASON = 24;

/** Whatever a method is given, it answers with finite numbers. */
export const HOSTILE: Readonly<Record<string, Float64Array>> = {
  nothing: Float64Array.of(),
  'one point': Float64Array.of(7),
  'two points': Float64Array.of(7, 9),
  zeros: new Float64Array(300),
  'a constant': new Float64Array(300).fill(42),
  'tiny values': daily(300, SEASON).map((value) => value * 1e-12),
  'values near the limit': daily(300, SEASON).map((value) => value * 1e12),
  'negative values': daily(300, SEASON).map((value) => value - 250),
  'only missing values': new Float64Array(100).fill(Number.NaN),
  holes: make(300, (t, random) => (t % 7 === 3 || (t > 100 && t < 150) ? Number.NaN : 50 + normal(random))),
  'infinite and absurd values': make(
    300,
    (t) => [10, Number.POSITIVE_INFINITY, 11, 1e308, 12, -1e308][t % 6]!,
  ),
  'one spike': make(300, (t, random) => (t === 200 ? 1e9 : 100 + normal(random))),
  'explosive growth': make(300, (t) => 1.1 ** Math.min(t, 250)),
  'an oscillation': make(300, (t) => (t % 2 === 0 ? 1 : 1000)),
  'a break to zero': make(300, (t, random) => (t < 250 ? 500 + normal(random) : 0)),
};
