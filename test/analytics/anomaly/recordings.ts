// Made-up recordings with one known break each: a day's course, noise from a seed, and what goes wrong from a
// given row on. The same on every machine.

import { type Random, seededRandom } from '../../../src/core/random.ts';

/** Standard normal, by the sum of twelve. */
export function normal(random: Random): number {
  let sum = -6;
  for (let i = 0; i < 12; i++) sum += random.next();
  return sum;
}

export type Break = 'none' | 'spike' | 'level' | 'variance' | 'period' | 'drift' | 'flat';

export interface Recording {
  readonly rows: number;
  readonly seed: number;
  readonly breaks: Break;
  /** First row of the break; it lasts 120 rows, a spike 4. */
  readonly at: number;
}

const DAY = 288;

/** A metric with a daily course (mean 50, amplitude 20), noise of 2 and one break. */
export function recordMetric({ rows, seed, breaks, at }: Recording): Float64Array {
  const random = seededRandom(seed);
  const values = new Float64Array(rows);
  for (let row = 0; row < rows; row++) {
    const since = row - at;
    const broken = since >= 0 && since < (breaks === 'spike' ? 4 : 120);
    const noise = 2 * normal(random);
    const course = 50 + 20 * Math.sin((2 * Math.PI * row) / DAY);
    values[row] = course + noise + (broken ? deviation(breaks, since, { course, noise }) : 0);
  }
  return values;
}

function deviation(
  breaks: Break,
  since: number,
  { course, noise }: { course: number; noise: number },
): number {
  switch (breaks) {
    case 'spike':
      return 90;
    case 'level':
      return 60;
    case 'variance':
      return 14 * noise;
    case 'period':
      return 20 * Math.sin((2 * Math.PI * since) / 24);
    case 'drift':
      return since;
    case 'flat':
      return 50 - course - noise;
    case 'none':
      return 0;
  }
}

/** Rows of four metrics that all follow one load, and a fifth on its own; from `brokenFrom` on, for 60 rows, the second no longer follows. */
export function recordRows(
  rows: number,
  seed: number,
  brokenFrom = Number.POSITIVE_INFINITY,
): Float64Array[] {
  const random = seededRandom(seed);
  let load = 0;
  return Array.from({ length: rows }, (_, row) => {
    load = 0.95 * load + 0.3 * normal(random);
    const level = 5 + Math.sin((2 * Math.PI * row) / DAY) + load;
    const follow = (gain: number): number => gain * level + 0.1 * normal(random);
    const all = [follow(1), follow(2), follow(0.5), follow(3), normal(random)];
    const broken = row >= brokenFrom && row < brokenFrom + 60;
    if (broken) all[1] = 2 * (10 - level) + 0.1 * normal(random);
    return Float64Array.from(all);
  });
}
