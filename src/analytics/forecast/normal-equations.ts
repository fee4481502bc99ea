// Least squares by its normal equations: sums of products of features, solved by Cholesky with a ridge. Small
// (tens of features), dense, allocation-free once made. Used by the online and the seasonal regression.

/** Where row i of a packed lower triangle begins. */
function rowStart(i: number): number {
  return (i * (i + 1)) >> 1;
}

// Working space of a solution. Solving is synchronous, so one for all in the thread is enough; thousands of regressions
// would hold as much again for nothing.
let sharedFactor = new Float64Array();
let sharedSolution = new Float64Array();

function reserve(size: number): void {
  if (sharedSolution.length >= size) return;
  sharedFactor = new Float64Array(rowStart(size));
  sharedSolution = new Float64Array(size);
}

/** Weighted sums of x x' and x y of `size` features. */
export class NormalEquations {
  readonly size: number;
  readonly #products: Float64Array;
  readonly #targets: Float64Array;

  constructor(size: number) {
    this.size = size;
    this.#products = new Float64Array(rowStart(size));
    this.#targets = new Float64Array(size);
    reserve(size);
  }

  /** Multiplies what was added so far by `keep` (0..1], then adds weight * (x x', x y). */
  add(x: Float64Array, y: number, weight: number, keep: number): void {
    const { size } = this;
    const products = this.#products;
    let at = 0;
    for (let i = 0; i < size; i++) {
      const scaled = weight * x[i]!;
      for (let j = 0; j <= i; j++, at++) products[at] = keep * products[at]! + scaled * x[j]!;
      this.#targets[i] = keep * this.#targets[i]! + scaled * y;
    }
  }

  /** Numbers that the sums of `size` features are kept as. */
  static countOf(size: number): number {
    return rowStart(size) + size;
  }

  numbers(): number[] {
    return [...this.#products, ...this.#targets];
  }

  restore(numbers: Float64Array): void {
    this.#products.set(numbers.subarray(0, this.#products.length));
    this.#targets.set(numbers.subarray(this.#products.length, this.#products.length + this.size));
  }

  /**
   * Writes the coefficients to `out`. `ridge` is relative to the mean of the diagonal, so that it means the same in
   * any unit. Coefficients are zero where nothing was learnt; false (and `out` unchanged) when they are not finite.
   */
  solve(ridge: number, out: Float64Array): boolean {
    const { size } = this;
    let trace = 0;
    for (let i = 0; i < size; i++) trace += this.#products[rowStart(i) + i]!;
    if (!(trace > 0) || !Number.isFinite(trace)) return false;
    this.#decompose((ridge * trace) / size);
    return this.#substitute(out);
  }

  #decompose(ridge: number): void {
    const { size } = this;
    const products = this.#products;
    const factor = sharedFactor;
    for (let i = 0; i < size; i++) {
      const row = rowStart(i);
      for (let j = 0; j <= i; j++) {
        const other = rowStart(j);
        let sum = products[row + j]!;
        if (i === j) sum += ridge;
        for (let k = 0; k < j; k++) sum -= factor[row + k]! * factor[other + k]!;
        // Rounding can leave a tiny or negative pivot where features repeat each other; the ridge bounds it.
        factor[row + j] = i === j ? Math.sqrt(Math.max(sum, ridge * 1e-3)) : sum / factor[other + j]!;
      }
    }
  }

  #substitute(out: Float64Array): boolean {
    const { size } = this;
    const factor = sharedFactor;
    const solution = sharedSolution;
    for (let i = 0; i < size; i++) {
      const row = rowStart(i);
      let sum = this.#targets[i]!;
      for (let k = 0; k < i; k++) sum -= factor[row + k]! * solution[k]!;
      solution[i] = sum / factor[row + i]!;
    }
    for (let i = size - 1; i >= 0; i--) {
      let sum = solution[i]!;
      for (let k = i + 1; k < size; k++) sum -= factor[rowStart(k) + i]! * solution[k]!;
      solution[i] = sum / factor[rowStart(i) + i]!;
    }
    for (let i = 0; i < size; i++) if (!Number.isFinite(solution[i]!)) return false;
    out.set(solution.subarray(0, size));
    return true;
  }
}
