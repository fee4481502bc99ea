// What each metric usually is at this time of day: the median over the days of the history, smoothed over the
// phases beside it. A server that idles at noon is abnormal although idling is not; a nightly backup is not.

import type { Rows } from './row-scale.ts';

/** Steps that telemetry comes in, as rows of a day: 1 h to 10 s. */
const DAYS_IN_ROWS = [24, 48, 96, 144, 288, 480, 720, 1440, 2880, 4320, 5760, 8640];
/** A longer day must agree so much better than a shorter: several days agree as well as one. */
const CLEARLY_BETTER = 1.5;
/** A day is believed in when rows a day apart agree at least so much. */
const LEAST_AGREEMENT = 0.1;
const LEAST_DAYS = 2;
/** Smoothing to each side, as a part of the day: a quarter of an hour. */
const SMOOTHING = 96;

export interface DayProfile {
  readonly rowsPerDay: number;
  /** Usual value by phase, then metric. The row behind the history has phase 0: the days are counted back from it. */
  readonly usual: Float64Array;
}

/**
 * Rows of a day when only their order is known: the candidate whose rows agree best at that distance compared
 * with half of it (smooth series agree at any short distance). Undefined when none agrees.
 * @param scaled rows in deviations from the mean.
 */
export function findRowsPerDay(scaled: Rows): number | undefined {
  let found: number | undefined;
  let best = 0;
  for (const rows of DAYS_IN_ROWS) {
    if (scaled.length < LEAST_DAYS * rows) continue;
    const agreement = agreementAt(scaled, rows);
    const contrast = agreement - agreementAt(scaled, rows / 2);
    if (agreement < LEAST_AGREEMENT || contrast <= CLEARLY_BETTER * best) continue;
    best = contrast;
    found = rows;
  }
  return found;
}

/** Mean autocorrelation of the metrics at a distance in rows. */
function agreementAt(scaled: Rows, distance: number): number {
  const width = scaled[0]!.length;
  let sum = 0;
  let moving = 0;
  for (let metric = 0; metric < width; metric++) {
    let product = 0;
    let power = 0;
    for (let row = distance; row < scaled.length; row++) {
      const value = scaled[row]![metric]!;
      product += value * scaled[row - distance]![metric]!;
      power += value * value;
    }
    if (power === 0) continue;
    sum += product / power;
    moving++;
  }
  return moving === 0 ? 0 : sum / moving;
}

/** Profile of the last whole days of the history; undefined with fewer than two. */
export function fitDayProfile(scaled: Rows, rowsPerDay: number): DayProfile | undefined {
  const days = Math.floor(scaled.length / rowsPerDay);
  if (days < LEAST_DAYS) return undefined;
  const width = scaled[0]!.length;
  const first = scaled.length - days * rowsPerDay;
  const medians = new Float64Array(rowsPerDay * width);
  const sample = new Float64Array(days);
  for (let phase = 0; phase < rowsPerDay; phase++) {
    for (let metric = 0; metric < width; metric++) {
      for (let day = 0; day < days; day++) sample[day] = scaled[first + day * rowsPerDay + phase]![metric]!;
      medians[phase * width + metric] = medianOf(sample);
    }
  }
  return { rowsPerDay, usual: smoothAround(medians, rowsPerDay, width) };
}

function medianOf(sample: Float64Array): number {
  sample.sort();
  const middle = sample.length >> 1;
  return sample.length % 2 === 1 ? sample[middle]! : (sample[middle - 1]! + sample[middle]!) / 2;
}

/** Mean over the phases beside each, around midnight too. */
function smoothAround(medians: Float64Array, rowsPerDay: number, width: number): Float64Array {
  const reach = Math.floor(rowsPerDay / SMOOTHING);
  const smooth = new Float64Array(medians.length);
  for (let phase = 0; phase < rowsPerDay; phase++) {
    for (let offset = -reach; offset <= reach; offset++) {
      const from = ((phase + offset + rowsPerDay) % rowsPerDay) * width;
      for (let metric = 0; metric < width; metric++) {
        smooth[phase * width + metric] =
          smooth[phase * width + metric]! + medians[from + metric]! / (2 * reach + 1);
      }
    }
  }
  return smooth;
}
