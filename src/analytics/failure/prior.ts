// What can be said before any failure was seen: resources on their way to a limit, clients that suffer
// more and more, and metrics out of statistical control. The first two are probabilities of their own;
// lack of control alone only raises the base rate, since most of what is unusual harms nobody.

import type { MetricKind } from './metric-kinds.ts';
import type { MetricWatch } from './metric-watch.ts';
import type { LimitOutlook } from './time-to-limit.ts';
import { outlookToLimit } from './time-to-limit.ts';

/** A watched metric with what is known of its kind. */
export interface WatchedMetric {
  readonly kind: MetricKind;
  readonly watch: MetricWatch;
}

export interface PriorOutlook {
  /** P(a metric reaches its limit within the horizon), over all metrics. */
  readonly limitProbability: number;
  /** Greatest share of the way to a limit already gone, 0..1. */
  readonly limitUsed: number;
  /** multiple of the base rate that lack of control is worth, 1..2. */
  readonly lift: number;
  /** In plain words, what counts most first; at most three. */
  readonly reasons: readonly string[];
}

// A level this many spreads off, held by several metrics, multiplies the base rate by MAX_LIFT at most.
const OUT_OF_CONTROL = 6;
const MAX_LIFT = 2;
// Less is not worth a sentence.
const WORTH_SAYING = 0.05;
const MAX_REASONS = 3;
const MOST_TIMES = 100;

/**
 * @param caps per metric the highest value of the same time on earlier days that went well, if known.
 */
export function priorOutlook(
  metrics: readonly WatchedMetric[],
  horizonMs: number,
  caps: (metric: number) => number | undefined,
): PriorOutlook {
  const outlooks = metrics.map(({ watch, kind }, index) => outlookToLimit(watch, kind, caps(index)));
  let spared = 1;
  for (const { probability } of outlooks) spared *= 1 - probability;
  const byProbability = outlooks
    .map((outlook, index) => ({ outlook, metric: metrics[index]! }))
    .filter(({ outlook }) => outlook.probability >= WORTH_SAYING)
    .sort((a, b) => b.outlook.probability - a.outlook.probability);
  return {
    limitProbability: 1 - spared,
    limitUsed: outlooks.reduce((most, { used }) => Math.max(most, used), 0),
    lift: controlLift(metrics),
    reasons: byProbability
      .slice(0, MAX_REASONS)
      .map(({ outlook, metric }) => sayLimit(metric, outlook, horizonMs)),
  };
}

function controlLift(metrics: readonly WatchedMetric[]): number {
  if (metrics.length === 0) return 1;
  let out = 0;
  for (const { watch } of metrics)
    out += Math.min(1, Math.max(0, Math.abs(watch.levelScore) / OUT_OF_CONTROL - 1));
  // A fifth of the metrics out of control is as bad as it gets.
  return 1 + (MAX_LIFT - 1) * Math.min(1, (5 * out) / metrics.length);
}

function sayLimit({ kind, watch }: WatchedMetric, outlook: LimitOutlook, horizonMs: number): string {
  if (kind.nature === 'symptom') {
    if (outlook.horizonsLeft === 0) return `${kind.words} is past what clients bear`;
    const course = Number.isFinite(outlook.horizonsLeft) ? ' and rising' : '';
    const times = watch.level / Math.max(watch.usual, watch.spread);
    // A multiple of nothing is no figure for people.
    return times < MOST_TIMES
      ? `${kind.words} is ${times.toFixed(1)} times its usual value${course}`
      : `${kind.words} is ${sayLevel(watch.level)}, usually next to nothing${course}`;
  }
  if (outlook.horizonsLeft === 0) return `${kind.words} is at its limit`;
  return `${kind.words} reaches its limit in ${sayDuration(outlook.horizonsLeft * horizonMs)}`;
}

/** Shares in per cent, counts as they are. */
function sayLevel(level: number): string {
  return level < 1 ? `${(100 * level).toFixed(1)} %` : level.toFixed(0);
}

/** "40 s", "4 min", "3 h". */
export function sayDuration(ms: number): string {
  const seconds = ms / 1000;
  if (seconds < 90) return `${Math.max(1, Math.round(seconds))} s`;
  return seconds < 5400 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3600)} h`;
}
