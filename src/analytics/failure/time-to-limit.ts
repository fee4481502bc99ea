// P(a metric reaches the value at which a server stops serving, within the horizon), from its level, its
// trend and the error of both: what can be said before any failure was seen. Demand comes back by itself,
// memory does not: a trend of a flow is damped, that of a stock is not.

import type { TrendState } from '../trend.ts';
import type { MetricKind } from './metric-kinds.ts';
import type { MetricWatch } from './metric-watch.ts';

/** What one metric says of the next horizon. */
export interface LimitOutlook {
  readonly probability: number;
  /** Horizons until the limit at the present rate; Infinity when it does not approach. */
  readonly horizonsLeft: number;
  /** Share of the way from the usual value to the limit already gone, 0..1. */
  readonly used: number;
}

const NOTHING: LimitOutlook = { probability: 0, horizonsLeft: Number.POSITIVE_INFINITY, used: 0 };
// Of a flow's slope this part is believed to go on over a horizon (damped trend).
const FLOW_DAMPING = 0.5;
// A slope within this many of its own errors of zero is noise.
const SURE_SLOPE = 3;
// Of a symptom that is out of control already, less proof is asked: something is wrong, only where it goes is open.
const SUSPECTED_SLOPE = 1;
// Spreads from the usual, and share of the way to the limit, from which a symptom counts as out of control.
const OUT_OF_CONTROL = 6;
const MATERIAL = 0.2;
// Besides its error, a slope may change by this share of itself over the horizon.
const SLOPE_DRIFT = 0.35;
// Less than a fiftieth of the way in a horizon is no approach, however sure the slope.
const LEAST_APPROACH = 0.02;
const KNOWN_PEAK = 1.1;
// Past the limit nothing is certain either: limits are figures of people.
const AT_LIMIT = 0.95;

/** @param cap highest value of the same time on earlier days that went well, or undefined. */
export function outlookToLimit(watch: MetricWatch, kind: MetricKind, cap: number | undefined): LimitOutlook {
  const limit = limitOf(watch, kind);
  if (limit === undefined || !watch.warm || limit <= watch.usual) return NOTHING;
  let worst = NOTHING;
  for (const trend of watch.trends()) {
    const outlook = outlookOfTrend(trend, limit, {
      usual: watch.usual,
      cap,
      isFlow: kind.nature === 'flow',
      isSymptomOut: kind.nature === 'symptom' && watch.levelScore >= OUT_OF_CONTROL,
    });
    if (outlook.probability > worst.probability || worst === NOTHING) worst = outlook;
  }
  return worst;
}

interface LimitContext {
  readonly usual: number;
  readonly cap: number | undefined;
  readonly isFlow: boolean;
  readonly isSymptomOut: boolean;
}

function outlookOfTrend(trend: TrendState, limit: number, context: LimitContext): LimitOutlook {
  const room = limit - context.usual;
  const gone = limit - trend.level;
  const used = clampShare(1 - gone / room);
  if (gone <= 0) return { probability: AT_LIMIT, horizonsLeft: 0, used: 1 };
  // What clients suffer already is a part of the failure, wherever it goes from here.
  const suffered = context.isSymptomOut && used >= MATERIAL ? used : 0;
  const errors = suffered > 0 ? SUSPECTED_SLOPE : SURE_SLOPE;
  const isApproach = trend.slope > errors * trend.slopeError && trend.slope > LEAST_APPROACH * room;
  if (!isApproach) return { ...NOTHING, probability: suffered, used };
  const change = (context.isFlow ? FLOW_DAMPING : 1) * trend.slope;
  const reach = trend.level + change;
  // A peak that the same hour showed on earlier days, with nothing failing, is the daily one.
  if (context.cap !== undefined && reach <= KNOWN_PEAK * context.cap) return { ...NOTHING, used };
  const deviation = Math.hypot(trend.noise, trend.slopeError, SLOPE_DRIFT * change) || 1e-12;
  const probability = Math.max(suffered, normalBelow((reach - limit) / deviation));
  return { probability, horizonsLeft: gone / trend.slope, used };
}

/** The value that means failure; undefined while none is known or the usual is too close to nothing. */
function limitOf(watch: MetricWatch, kind: MetricKind): number | undefined {
  if (kind.usualMultiple === undefined || !(watch.usual > 0)) return kind.limit;
  const learnt = Math.max(kind.leastLimit, kind.usualMultiple * (watch.usual + watch.spread));
  return kind.limit === undefined ? learnt : Math.min(kind.limit, learnt);
}

function clampShare(share: number): number {
  return Math.max(0, Math.min(1, share));
}

/** Standard normal distribution function (Abramowitz and Stegun 26.2.17, error below 1e-7). */
export function normalBelow(x: number): number {
  const t = 1 / (1 + 0.2316419 * Math.abs(x));
  const polynomial =
    t * (0.31938153 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429))));
  const tail = 0.3989422804014327 * Math.exp((-x * x) / 2) * polynomial;
  return x >= 0 ? 1 - tail : tail;
}
