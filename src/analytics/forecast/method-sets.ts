// The methods that run for a series, for every series the same. Streaming ones learn by each value and cost
// microseconds; trained ones are fitted at a retraining. Every parameter stands here or beside its method.

import { dampedLevel } from './damped-level.ts';
import type { ForecastMethod } from './forecast.ts';
import { holtWinters } from './holt-winters.ts';
import { onlineRidge } from './online-ridge.ts';
import { persistence } from './persistence.ts';
import { seasonalAr } from './seasonal-ar.ts';
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

/**
 * Trained for hours ahead: the regression on four scales. Their median with the naive methods beat every single one of
 * them; Holt-Winters and MSTL, which are worse and slower, made it no better.
 */
export const trainedMethods: readonly ForecastMethod[] = [
  seasonalAr({ name: 'ar', isLog: false, isDifferenced: false, ridge: 2e-4 }),
  seasonalAr({ name: 'ar(seasonal)', isLog: false, isDifferenced: true, ridge: 1e-2 }),
  seasonalAr({ name: 'ar(log)', isLog: true, isDifferenced: false, ridge: 2e-4 }),
  seasonalAr({ name: 'ar(log, seasonal)', isLog: true, isDifferenced: true, ridge: 1e-2 }),
];

/** Methods of libraries, in the order of what they cost: slow-fits.ts runs them. */
export const SLOW_METHODS = ['mstl', 'sarima', 'prophet'] as const;
export type SlowMethod = (typeof SLOW_METHODS)[number];

/** Quick trained methods by the name that they are selected with. */
const QUICK_METHODS = {
  ar: trainedMethods,
  'holt-winters': [holtWinters(false), holtWinters(true)],
} as const satisfies Readonly<Record<string, readonly ForecastMethod[]>>;

export type TrainedMethod = keyof typeof QUICK_METHODS | SlowMethod;
/** All that can be selected, in a configuration and in a backtest. */
export const TRAINED_METHODS: readonly TrainedMethod[] = ['ar', 'holt-winters', ...SLOW_METHODS];

/** Those of the quick ones that are named. */
export function quickMethods(names: readonly TrainedMethod[]): readonly ForecastMethod[] {
  return names.flatMap((name) => (name === 'ar' || name === 'holt-winters' ? QUICK_METHODS[name] : []));
}

export function slowMethods(names: readonly TrainedMethod[]): readonly SlowMethod[] {
  return SLOW_METHODS.filter((name) => names.includes(name));
}
