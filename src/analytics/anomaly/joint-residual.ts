// How far each feature is from what the others say it should be. A linear model of all against all comes
// from one matrix, the inverse of the covariance: row i of it, divided by its diagonal, is the regression of
// feature i on the rest. Load that rises together is normal; memory that rises alone is not. Judging each
// residual by its own spread and with a bound keeps one wild metric from drowning the others, which the
// plain distance of Mahalanobis and the PCA residual do not.

/** Added to the diagonal of the covariance of standardised features: features that copy each other share out. */
const RIDGE = 0.1;
const LEAST_SPREAD = 0.05;
/** Residual spreads beyond which a residual counts as this many. */
const MOST_SPREADS = 30;

export interface JointResidual {
  /** Regression weights, row by row; the diagonal is 1. */
  readonly weights: Float64Array;
  readonly spreads: Float64Array;
}

/** Features of the rows of a history: `fill(row, into)` writes those of one row. */
export interface FeatureSource {
  readonly count: number;
  readonly width: number;
  fill(row: number, into: Float64Array): void;
}

/** Fits the model to standardised features (mean 0, spread about 1). */
export function fitJointResidual(source: FeatureSource): JointResidual {
  const { width, count } = source;
  const features = new Float64Array(width);
  const covariance = new Float64Array(width * width);
  for (let row = 0; row < count; row++) {
    source.fill(row, features);
    for (let i = 0; i < width; i++) {
      const value = features[i]!;
      for (let j = 0; j <= i; j++) covariance[i * width + j]! += value * features[j]!;
    }
  }
  for (let i = 0; i < width; i++) {
    for (let j = 0; j <= i; j++) {
      const value = covariance[i * width + j]! / Math.max(1, count) + (i === j ? RIDGE : 0);
      covariance[i * width + j] = value;
      covariance[j * width + i] = value;
    }
  }
  const weights = invertSymmetric(covariance, width);
  for (let i = 0; i < width; i++) {
    const diagonal = weights[i * width + i]!;
    for (let j = 0; j < width; j++) weights[i * width + j]! /= diagonal;
  }
  const spreads = new Float64Array(width);
  for (let row = 0; row < count; row++) {
    source.fill(row, features);
    for (let i = 0; i < width; i++) spreads[i]! += residualOf(weights, features, i) ** 2 / count;
  }
  return { weights, spreads: spreads.map((square) => Math.sqrt(square) + LEAST_SPREAD) };
}

/** Writes the residual of each feature in its own spreads into `residuals`; returns their mean square. */
export function judgeJointly(model: JointResidual, features: Float64Array, residuals: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < features.length; i++) {
    const spreads = Math.abs(residualOf(model.weights, features, i)) / model.spreads[i]!;
    const residual = Math.min(MOST_SPREADS, spreads);
    residuals[i] = residual;
    sum += residual * residual;
  }
  return sum / features.length;
}

function residualOf(weights: Float64Array, features: Float64Array, feature: number): number {
  const width = features.length;
  const at = feature * width;
  let sum = 0;
  for (let j = 0; j < width; j++) sum += weights[at + j]! * features[j]!;
  return sum;
}

/** Inverse of a symmetric positive definite matrix by Gauss-Jordan; the ridge keeps every pivot above zero. */
function invertSymmetric(matrix: Float64Array, width: number): Float64Array {
  const left = Float64Array.from(matrix);
  const inverse = new Float64Array(width * width);
  for (let i = 0; i < width; i++) inverse[i * width + i] = 1;
  for (let pivot = 0; pivot < width; pivot++) {
    const scale = 1 / left[pivot * width + pivot]!;
    for (let j = 0; j < width; j++) {
      left[pivot * width + j]! *= scale;
      inverse[pivot * width + j]! *= scale;
    }
    for (let i = 0; i < width; i++) {
      const factor = left[i * width + pivot]!;
      if (i === pivot || factor === 0) continue;
      for (let j = 0; j < width; j++) {
        left[i * width + j]! -= factor * left[pivot * width + j]!;
        inverse[i * width + j]! -= factor * inverse[pivot * width + j]!;
      }
    }
  }
  return inverse;
}
