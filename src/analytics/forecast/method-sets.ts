// The methods that run for a series, for every series the same. Streaming ones learn by each value and cost
// microseconds; trained ones are fitted at a retraining. Every parameter stands here or beside its method.

import { dampedLevel } from './damped-level.ts';
import type { ForecastMethod } from './forecast.ts';
import { onlineRidge } from './online-ridge.ts';
import { persistence } from './persistence.ts';
import { seasonalNaive } from './seasonal-naive.ts';

/** Gains of the held levels: from 40 steps of memory to hardly any. */
const LEVEL_GAINS = [0.05, 0.15, 0.35, 0.6] as const;

/**
 * Scales and memories of the online regression: errors as they are and as of counts, forgetting within hours and
 * within days (of one-minute steps). In per cent (power 1) it was worse on all recorded traffic.
 */
const RIDGES = [
  { power: 0, halfLifeSteps: 400 },
  { power: 0, halfLifeSteps: 4000 },
  { power: 0.5, halfLifeSteps: 400 },
  { power: 0.5, halfLifeSteps: 1500 },
  { power: 0.5, halfLifeSteps: 6000 },
] as const;

/** Naive methods: the floor that the chosen one is compared with. They come first in every set. */
export function naiveMethods(seasons: readonly number[]): ForecastMethod[] {
  return [persistence, ...seasons.map(seasonalNaive)];
}

/** The streaming set of a series with these seasons (steps), the naive ones first. */
export function streamingMethods(seasons: readonly number[]): ForecastMethod[] {
  return [...naiveMethods(seasons), ...LEVEL_GAINS.map(dampedLevel), ...RIDGES.map(onlineRidge)];
}
