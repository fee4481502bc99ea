// Demand is forecast per shard group and route; what a region will carry is the sum over what it owns or will own.
// The values add up; the intervals do not: they lie between those of independent parts and those of parts that all
// go wrong together, and how far is measured on the total, which no shift of shards changes.

import type { Forecast, ForecastStep } from './forecast-result.ts';
import { LEVELS } from './residual-band.ts';

/**
 * Correlation of the parts' errors while it is not measured: all parts share the time of the day and most events, but
 * few users. Too low would promise more than an interval can hold.
 */
export const ASSUMED_CORRELATION = 0.5;

const AT_05 = LEVELS.indexOf(0.05);
const AT_10 = LEVELS.indexOf(0.1);
const AT_90 = LEVELS.indexOf(0.9);
const AT_95 = LEVELS.indexOf(0.95);

/**
 * Sum of forecasts for the same steps. With deviations d of each part's quantile from its mean, the sum's is
 * sqrt(rho (sum d)^2 + (1 - rho) sum d^2): exact for equally correlated normal errors, and between the two extremes for
 * others. `correlation` is 0..1. Throws RangeError for no parts; steps beyond the shortest part are left out.
 */
export function sumForecasts(parts: readonly Forecast[], correlation = ASSUMED_CORRELATION): Forecast {
  const first = parts[0];
  if (first === undefined) throw new RangeError('cannot sum forecasts: at least one is needed, given none');
  if (parts.length === 1) return first;
  const steps = Math.min(...parts.map((part) => part.steps.length));
  const quantiles = new Float64Array(steps * LEVELS.length);
  const made: ForecastStep[] = [];
  for (let step = 0; step < steps; step++) {
    const row = quantiles.subarray(step * LEVELS.length, (step + 1) * LEVELS.length);
    const mean = sumStep(parts, step, correlation, row);
    made.push({
      mean,
      lower80: row[AT_10]!,
      upper80: row[AT_90]!,
      lower90: row[AT_05]!,
      upper90: row[AT_95]!,
    });
  }
  return {
    method: 'sum',
    score: weightedScore(parts),
    outcomes: Math.min(...parts.map((part) => part.outcomes)),
    confidence: Math.min(...parts.map((part) => part.confidence)),
    steps: made,
    quantiles,
  };
}

function sumStep(parts: readonly Forecast[], step: number, correlation: number, out: Float64Array): number {
  let mean = 0;
  let isNegative = false;
  for (const part of parts) {
    mean += part.steps[step]!.mean;
    isNegative ||= part.quantiles[step * LEVELS.length]! < 0;
  }
  for (let i = 0; i < LEVELS.length; i++) {
    let sum = 0;
    let squares = 0;
    for (const part of parts) {
      const deviation = part.quantiles[step * LEVELS.length + i]! - part.steps[step]!.mean;
      sum += deviation;
      squares += deviation * deviation;
    }
    const spread = spreadOfSum(sum, squares, correlation);
    const side = i < AT_50 ? -1 : i > AT_50 ? 1 : Math.sign(sum);
    // Quantiles of biased parts may lie on the wrong side of their mean; then the plain sum is the honest one.
    const value = mean + (Math.sign(sum) === side || sum === 0 ? side * spread : sum);
    const before = i === 0 ? Number.NEGATIVE_INFINITY : out[i - 1]!;
    out[i] = Math.max(before, isNegative ? value : Math.max(0, value));
  }
  return mean;
}

const AT_50 = LEVELS.indexOf(0.5);

/** Parts count by their size: the score of a group without traffic says nothing about the region. */
function weightedScore(parts: readonly Forecast[]): number {
  let weights = 0;
  let sum = 0;
  for (const part of parts) {
    const weight = Math.abs(part.steps[0]?.mean ?? 0);
    weights += weight;
    sum += weight * part.score;
  }
  return weights > 0 ? sum / weights : Math.max(...parts.map((part) => part.score));
}

/**
 * Correlation (0..1) at which the sum of the parts' 90 % intervals is as wide as that of a forecast of their total, which
 * was made from the total series itself. ASSUMED_CORRELATION when either says too little.
 */
export function measuredCorrelation(total: Forecast, parts: readonly Forecast[], step = 0): number {
  const widthOf = ({ steps }: Forecast): number =>
    steps[step] === undefined ? Number.NaN : steps[step].upper90 - steps[step].lower90;
  const share = correlationOfWidths(widthOf(total), parts.map(widthOf));
  return total.confidence > 0 && parts.length > 1 && share !== undefined ? share : ASSUMED_CORRELATION;
}

/**
 * Width of a sum of equally correlated parts: sqrt(rho (sum w)^2 + (1 - rho) sum w^2).
 * @param sum of the parts' widths, @param squares the sum of their squares.
 */
export function spreadOfSum(sum: number, squares: number, correlation: number): number {
  return Math.sqrt(correlation * sum * sum + (1 - correlation) * squares);
}

/** The same the other way: correlation, 0..1, of parts whose sum is as wide as `total`; undefined when they say nothing. */
export function correlationOfWidths(total: number, widths: readonly number[]): number | undefined {
  let sum = 0;
  let squares = 0;
  for (const width of widths) {
    sum += width;
    squares += width * width;
  }
  const share = (total * total - squares) / (sum * sum - squares);
  return Number.isFinite(share) ? Math.max(0, Math.min(1, share)) : undefined;
}
