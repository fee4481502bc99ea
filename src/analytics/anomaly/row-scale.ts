// Brings the metrics of a row to one scale: how many standard deviations each is from its usual value. What the
// later steps see is bounded and finite, whatever came in; a missing value counts as the last known one.

/** Rows of metrics, all of one length and order; NaN = not measured. */
export type Rows = readonly Float64Array[];

/** Standard deviations beyond which a value counts as this many: one broken metric must not outvote the rest. */
export const MOST_DEVIATIONS = 10;
// A metric that hardly moved in the history would otherwise turn rounding into alarms.
const LEAST_SHARE_OF_RANGE = 0.01;
const LEAST_DEVIATION = 0.01;
/** Values beyond this count as this, so that squares and sums over the history stay finite. */
const MOST_VALUE = 1e100;

export interface RowScale {
  readonly means: Float64Array;
  readonly deviations: Float64Array;
}

/** Scale of each of `width` metrics over the history. */
export function fitRowScale(history: Rows, width: number): RowScale {
  const means = new Float64Array(width);
  const deviations = new Float64Array(width);
  for (let metric = 0; metric < width; metric++) {
    const values = history.map((row) => bounded(row[metric]!)).filter((value) => !Number.isNaN(value));
    const mean = average(values);
    const variance = average(values.map((value) => (value - mean) ** 2));
    const range =
      values.reduce((a, b) => Math.max(a, b), mean) - values.reduce((a, b) => Math.min(a, b), mean);
    const least =
      range > 0
        ? LEAST_SHARE_OF_RANGE * range
        : Math.max(LEAST_SHARE_OF_RANGE * Math.abs(mean), LEAST_DEVIATION);
    means[metric] = mean;
    deviations[metric] = Math.sqrt(variance) + least;
  }
  return { means, deviations };
}

/** Writes the row in deviations into `scaled`, which holds the row before: that is kept where one is missing. */
export function scaleRow(scale: RowScale, row: Float64Array, scaled: Float64Array): void {
  for (let metric = 0; metric < scaled.length; metric++) {
    const value = bounded(row[metric] ?? Number.NaN);
    if (Number.isNaN(value)) continue;
    scaled[metric] = clip((value - scale.means[metric]!) / scale.deviations[metric]!, MOST_DEVIATIONS);
  }
}

/** `value` within -most..most. */
export function clip(value: number, most: number): number {
  return Math.max(-most, Math.min(most, value));
}

const bounded = (value: number): number => clip(value, MOST_VALUE);

function average(values: readonly number[]): number {
  let sum = 0;
  for (const value of values) sum += value;
  return values.length === 0 ? 0 : sum / values.length;
}
