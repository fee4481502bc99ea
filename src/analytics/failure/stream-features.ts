// The row of features that the trees learn from: how unusual the metrics are now, how they move, how near
// their limits they are, and what the failures so far say of this moment. Taken across metrics, so that the
// columns stay the same whatever a server reports, and a few dozen failures suffice to learn them.

import { logOdds } from '../calibrate.ts';
import type { MetricWatch } from './metric-watch.ts';
import type { RecurrenceOutlook } from './recurrence.ts';

/** Number of columns of a feature row. */
export const FEATURE_COLUMNS = 16;

const HOUR_MS = 3_600_000;
// Failures longer ago than this are all the same to the next hour.
const LONG_AGO_HORIZONS = 200;
const STRONG_SCORE = 4;

export interface FeatureContext {
  readonly atMs: number;
  readonly horizonMs: number;
  readonly recurrence: RecurrenceOutlook;
  /** Greatest P(limit reached) over the metrics, and the greatest share used. */
  readonly limitProbability: number;
  readonly limitUsed: number;
  readonly lastFailureMs: number;
  readonly recentFailures: number;
}

/** Writes the features of one moment to `out` (FEATURE_COLUMNS values, all finite). */
export function writeFeatures(
  out: Float32Array,
  watches: readonly MetricWatch[],
  context: FeatureContext,
): void {
  const scores = watches.map((watch) => Math.abs(watch.score)).sort((a, b) => b - a);
  const levels = watches.map((watch) => Math.abs(watch.levelScore)).sort((a, b) => b - a);
  const slopes = watches.map(slopeInSpreads);
  const since = (context.atMs - context.lastFailureMs) / context.horizonMs;
  out.set([
    scores[0] ?? 0,
    meanOf(scores.slice(0, 5)),
    meanOf(scores),
    scores.filter((score) => score > STRONG_SCORE).length / Math.max(1, scores.length),
    levels[0] ?? 0,
    meanOf(levels.slice(0, 5)),
    meanOf(levels),
    watches.reduce((most, watch) => Math.max(most, watch.lean), 0),
    slopes.reduce((most, slope) => Math.max(most, slope), 0),
    meanOf(slopes),
    context.limitProbability,
    context.limitUsed,
    logOdds(context.recurrence.probability),
    Math.log1p(Math.min(LONG_AGO_HORIZONS, Number.isFinite(since) ? Math.max(0, since) : LONG_AGO_HORIZONS)),
    Math.log1p(context.recentFailures),
    (context.atMs / HOUR_MS) % 24,
  ]);
}

function slopeInSpreads(watch: MetricWatch): number {
  const trend = watch.trend();
  if (trend === undefined || !watch.warm) return 0;
  return Math.max(-100, Math.min(100, trend.slope / watch.spread));
}

function meanOf(values: readonly number[]): number {
  return values.length === 0 ? 0 : values.reduce((sum, value) => sum + value, 0) / values.length;
}
