// @ts-check
// What the load chart shows, as columns: what came, what was forecast, and the forecast from now to its horizon.

// Live points join the hour that the history gave.
const KEPT_MS = 3_600_000;

/** @typedef {{ at: string, actual?: number, forecast?: number, risk?: number }} Point */
/** @typedef {{ p50?: number, p90?: number, atHorizon?: { value?: number, lower?: number, upper?: number } }} Forecast */

/** A point per evaluation, the newest last; never two of one time. @param {readonly Point[]} points @param {Point} point */
export function withPoint(points, point) {
  const at = Date.parse(point.at);
  const last = points.at(-1);
  if (last !== undefined && Date.parse(last.at) >= at) return points;
  return [...points.filter((one) => Date.parse(one.at) > at - KEPT_MS), point];
}

/**
 * Columns for uPlot: seconds, actual, forecast, lower, upper. null = no value.
 * @param {readonly Point[]} points @param {Forecast | undefined} forecast @param {{ now: number, horizonMs: number }} when
 * @returns {[number[], (number | null)[], (number | null)[], (number | null)[], (number | null)[]]}
 */
export function chartColumns(points, forecast, { now, horizonMs }) {
  const times = points.map(({ at }) => Date.parse(at) / 1000);
  const actual = points.map((point) => point.actual ?? null);
  const predicted = points.map((point) => point.forecast ?? null);
  const lower = /** @type {(number | null)[]} */ (points.map(() => null));
  const upper = /** @type {(number | null)[]} */ (points.map(() => null));
  const end = forecast?.atHorizon;
  if (forecast !== undefined && end !== undefined) {
    const middle = predicted.findLast((value) => value !== null) ?? forecast.p50 ?? null;
    for (const [at, value, low, high] of [
      [now / 1000, middle, middle, middle],
      [(now + horizonMs) / 1000, end.value ?? null, end.lower ?? null, end.upper ?? null],
    ]) {
      if (typeof at !== 'number' || at <= (times.at(-1) ?? 0)) continue;
      times.push(at);
      actual.push(null);
      predicted.push(value ?? null);
      lower.push(low ?? null);
      upper.push(high ?? null);
    }
  }
  return [times, actual, predicted, lower, upper];
}

/** Of the region, or of all regions. @template {{ regions: readonly string[] }} E @param {readonly E[]} events @param {string | undefined} region */
export function eventsOf(events, region) {
  return events.filter(
    ({ regions }) => regions.length === 0 || (region !== undefined && regions.includes(region)),
  );
}
