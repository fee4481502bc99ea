// Makes probabilities mean what they say: a straight line through log-odds (Platt 1999), fitted on outcomes
// and held to the identity by as much as few outcomes deserve. Isotonic regression was left out: it needs
// hundreds of failures before its steps are more than noise.

/** Log-odds are kept this far from certainty. */
const MAX_LOG_ODDS = 8;
// Pull towards slope 1 and shift 0, in outcomes: with three failures known half of the correction is taken.
const IDENTITY_WEIGHT = 3;
const NEWTON_STEPS = 30;
// A full Newton step on rows that are nearly certain leaps away; short ones arrive.
const MAX_STEP = 0.3;
const MAX_CORRECTION = 4;

/** p -> 1 / (1 + exp(-(shift + slope * logit p))) */
export interface Calibration {
  readonly slope: number;
  readonly shift: number;
}

export const IDENTITY: Calibration = { slope: 1, shift: 0 };

/**
 * @param weight worth of one row in independent outcomes: rows of one horizon tell of one failure.
 */
export function fitCalibration(
  probabilities: ArrayLike<number>,
  outcomes: ArrayLike<number>,
  weight: number,
): Calibration {
  let [slope, shift] = [1, 0];
  for (let step = 0; step < NEWTON_STEPS; step += 1) {
    let [g0, g1, h00, h01, h11] = [
      IDENTITY_WEIGHT * shift,
      IDENTITY_WEIGHT * (slope - 1),
      IDENTITY_WEIGHT,
      0,
      IDENTITY_WEIGHT,
    ];
    for (let row = 0; row < outcomes.length; row += 1) {
      const x = logOdds(probabilities[row]!);
      const p = fromLogOdds(shift + slope * x);
      const error = weight * (p - outcomes[row]!);
      const curve = weight * p * (1 - p);
      g0 += error;
      g1 += error * x;
      h00 += curve;
      h01 += curve * x;
      h11 += curve * x * x;
    }
    const determinant = h00 * h11 - h01 * h01;
    if (!(determinant > 1e-9)) break;
    shift = bounded(shift - bounded((h11 * g0 - h01 * g1) / determinant, MAX_STEP), MAX_CORRECTION);
    slope = bounded(slope - bounded((h00 * g1 - h01 * g0) / determinant, MAX_STEP), MAX_CORRECTION);
  }
  // A reversed line would say that the model is always wrong; then the base rate is better, not its mirror.
  if (!Number.isFinite(slope) || !Number.isFinite(shift) || slope < 0) return IDENTITY;
  return { slope, shift };
}

function bounded(value: number, most: number): number {
  return Math.max(-most, Math.min(most, value));
}

export function calibrate({ slope, shift }: Calibration, probability: number): number {
  return fromLogOdds(shift + slope * logOdds(probability));
}

export function logOdds(probability: number): number {
  const odds = Math.log(probability / (1 - probability));
  return Number.isNaN(odds) ? 0 : Math.max(-MAX_LOG_ODDS, Math.min(MAX_LOG_ODDS, odds));
}

export function fromLogOdds(odds: number): number {
  return 1 / (1 + Math.exp(-odds));
}
