// Ridge logistic regression by Newton's method: a smooth probability from a dozen columns where failures
// are too few for trees. Bounded by rows x columns^2 x steps; starts from the last solution.

const NEWTON_STEPS = 20;
// Relative gain of a step below which it has arrived.
const CLOSE_ENOUGH = 1e-6;
const SMALLEST_SHARE = 1 / 64;

export interface WeightedRows {
  /** Row-major; finite. */
  readonly features: Float64Array;
  readonly columns: number;
  readonly labels: Uint8Array;
  /** How many rows each of the rows with label 0 stands for (they may be thinned out). */
  readonly quietWeight: number;
  /** Number of the moment that each row is of, ascending with time; several rows may be of one. */
  readonly times: Int32Array;
  /** Moments from this one on are unknown to the model in force. */
  readonly unseenFrom: number;
}

/** Weights, one a column. `ridge` pulls them to 0; `start` is the last solution. */
export function fitLogistic(rows: WeightedRows, ridge: number, start?: Float64Array): Float64Array {
  const { columns } = rows;
  let weights: Float64Array = start === undefined ? new Float64Array(columns) : Float64Array.from(start);
  let loss = lossOf(rows, ridge, weights);
  for (let step = 0; step < NEWTON_STEPS; step += 1) {
    const change = newtonChange(rows, ridge, weights);
    // A full step can leap over the minimum and never come back: half of it, and half again, until it helps.
    let share = 1;
    let tried = moved(weights, change, share);
    let triedLoss = lossOf(rows, ridge, tried);
    while (!(triedLoss <= loss) && share > SMALLEST_SHARE) {
      share /= 2;
      tried = moved(weights, change, share);
      triedLoss = lossOf(rows, ridge, tried);
    }
    if (!(triedLoss <= loss)) break;
    weights = tried;
    const gained = loss - triedLoss;
    loss = triedLoss;
    if (gained < CLOSE_ENOUGH * (1 + loss)) break;
  }
  return weights;
}

function moved(weights: Float64Array, change: Float64Array, share: number): Float64Array {
  return weights.map((weight, a) => weight - share * change[a]!);
}

function lossOf(rows: WeightedRows, ridge: number, weights: Float64Array): number {
  const { columns, labels, features } = rows;
  let loss = 0;
  for (const weight of weights) loss += 0.5 * ridge * weight * weight;
  for (let row = 0; row < labels.length; row += 1) {
    const margin = dot(weights, features, row * columns);
    const wrong = labels[row] === 1 ? -margin : margin;
    const cost = wrong > 30 ? wrong : Math.log1p(Math.exp(wrong));
    loss += labels[row] === 1 ? cost : cost * rows.quietWeight;
  }
  return loss;
}

/** Solution of (curvature) x = slope at `weights`. */
function newtonChange(rows: WeightedRows, ridge: number, weights: Float64Array): Float64Array {
  const { columns, labels, features } = rows;
  const curve = new Float64Array(columns * columns);
  const slope = new Float64Array(columns);
  for (let row = 0; row < labels.length; row += 1) {
    const at = row * columns;
    const p = 1 / (1 + Math.exp(-dot(weights, features, at)));
    const worth = labels[row] === 1 ? 1 : rows.quietWeight;
    const error = (p - labels[row]!) * worth;
    const bend = Math.max(1e-6, p * (1 - p)) * worth;
    for (let a = 0; a < columns; a += 1) {
      const value = features[at + a]!;
      slope[a]! += error * value;
      for (let b = 0; b <= a; b += 1) curve[a * columns + b]! += bend * value * features[at + b]!;
    }
  }
  for (let a = 0; a < columns; a += 1) {
    curve[a * columns + a]! += ridge;
    slope[a]! += ridge * weights[a]!;
  }
  return solveCholesky(curve, slope, columns);
}

/** P(label 1) for the row of features that begins at `offset`. */
export function predictLogistic(weights: Float64Array, features: Float64Array, offset = 0): number {
  return 1 / (1 + Math.exp(-dot(weights, features, offset)));
}

function dot(weights: Float64Array, features: Float64Array, offset: number): number {
  let sum = 0;
  for (let a = 0; a < weights.length; a += 1) sum += weights[a]! * features[offset + a]!;
  return sum;
}

/** Solves A x = b for a positive definite A (lower triangle, row-major); A is overwritten. */
function solveCholesky(a: Float64Array, b: Float64Array, n: number): Float64Array {
  for (let i = 0; i < n; i += 1) {
    for (let j = 0; j <= i; j += 1) {
      let sum = a[i * n + j]!;
      for (let k = 0; k < j; k += 1) sum -= a[i * n + k]! * a[j * n + k]!;
      // The ridge keeps the diagonal above zero; rounding must not end in NaN all the same.
      a[i * n + j] = i === j ? Math.sqrt(Math.max(sum, 1e-12)) : sum / a[j * n + j]!;
    }
  }
  const x = Float64Array.from(b);
  for (let i = 0; i < n; i += 1) {
    for (let k = 0; k < i; k += 1) x[i]! -= a[i * n + k]! * x[k]!;
    x[i]! /= a[i * n + i]!;
  }
  for (let i = n - 1; i >= 0; i -= 1) {
    for (let k = i + 1; k < n; k += 1) x[i]! -= a[k * n + i]! * x[k]!;
    x[i]! /= a[i * n + i]!;
  }
  return x;
}
