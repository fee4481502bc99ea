// Online ridge autoregression: for each tracked horizon a regression of the coming change on the features of the
// step, learnt anew with each outcome while old ones fade. Direct (one regression a horizon), because errors of an
// iterated one add up on noisy load. Robust twice: an outcome far off counts as if it lay nearer (Huber), and a
// step whose features are far off is held down (Mallows), so that a flash crowd does not rewrite what is known.

import type { ForecastMethod, Model, ModelContext } from './forecast.ts';
import { NormalEquations } from './normal-equations.ts';

export interface OnlineRidgeOptions {
  /** Steps after which an outcome counts half. */
  readonly halfLifeSteps: number;
  /**
   * Errors are taken to grow with level ** power: 0 as they are, 0.5 like counts, 1 in per cent. Least squares in
   * that scale estimates what the absolute error is scored by best.
   */
  readonly power: number;
}

/** Relative to the mean of the diagonal; between 1e-5 and 1e-2 nothing changed on recorded traffic. */
const RIDGE = 1e-4;
/** Before so many outcomes there is no regression to trust. */
const LEAST_OUTCOMES = 30;
/** Coefficients are this old at most: with 6 the error on event-driven traffic was a hundredth higher than with 1. */
const SOLVED_EVERY_STEPS = 3;
/** Gain of the running scales of errors and features. */
const SCALE_GAIN = 0.005;
/** An error counts for the scale at most as so many scales: one outlier must not blind it. */
const SCALE_CLIP = 5;
/** A step's squared feature length may be this many times the usual one before it is held down. */
const LEVERAGE_CLIP = 9;

/** Numbers of a regression beside its weights and equations. */
const SCALARS = 3;

interface Regression {
  readonly equations: NormalEquations;
  readonly weights: Float64Array;
  errorScale: number;
  lengthScale: number;
  outcomes: number;
}

export function onlineRidge(options: OnlineRidgeOptions): ForecastMethod {
  return {
    name: `ridge(${options.power}, ${options.halfLifeSteps})`,
    fit: (context) => new OnlineRidge(context, options),
  };
}

class OnlineRidge implements Model {
  readonly #context: ModelContext;
  readonly #power: number;
  readonly #keep: number;
  readonly #regressions: readonly Regression[];
  readonly #x: Float64Array;
  #turn = 0;

  constructor(context: ModelContext, { halfLifeSteps, power }: OnlineRidgeOptions) {
    this.#context = context;
    this.#power = power;
    this.#keep = 0.5 ** (1 / halfLifeSteps);
    const size = context.features.count + 1;
    this.#x = new Float64Array(size);
    this.#regressions = context.tracked.map(() => ({
      equations: new NormalEquations(size),
      weights: new Float64Array(size),
      errorScale: 0,
      lengthScale: 0,
      outcomes: 0,
    }));
  }

  push(): void {
    const { window, features, tracked } = this.#context;
    // A value that was not there teaches nothing.
    if (window.missing === 0) {
      for (let t = 0; t < tracked.length; t++) {
        if (features.steps > tracked[t]!) this.#learn(t, tracked[t]!, window.at(0));
      }
    }
    // A share of the regressions is solved each step in turn: the cost of a step stays even.
    const due = Math.ceil(this.#regressions.length / SOLVED_EVERY_STEPS);
    for (let i = 0; i < due; i++) {
      const regression = this.#regressions[this.#turn]!;
      this.#turn = (this.#turn + 1) % this.#regressions.length;
      if (regression.outcomes >= LEAST_OUTCOMES) regression.equations.solve(RIDGE, regression.weights);
    }
  }

  forecast(out: Float64Array): void {
    const { features, tracked } = this.#context;
    const base = features.base(0);
    const scale = this.#scaleOf(base);
    let upper = 0;
    for (let h = 1; h <= out.length; h++) {
      while (upper < tracked.length - 1 && tracked[upper]! < h) upper += 1;
      features.readNow(h, this.#x);
      this.#rescale(scale);
      const right = this.#apply(upper);
      const to = tracked[upper]!;
      const from = upper === 0 ? to : tracked[upper - 1]!;
      const share = to === from || h >= to ? 1 : (h - from) / (to - from);
      const change = share === 1 ? right : share * right + (1 - share) * this.#apply(upper - 1);
      out[h - 1] = base + change * scale;
    }
  }

  numbers(): number[] {
    return this.#regressions.flatMap(({ equations, weights, errorScale, lengthScale, outcomes }) => [
      errorScale,
      lengthScale,
      outcomes,
      ...weights,
      ...equations.numbers(),
    ]);
  }

  restore(numbers: Float64Array): boolean {
    const size = this.#x.length;
    const each = SCALARS + size + NormalEquations.countOf(size);
    if (numbers.length !== each * this.#regressions.length) return false;
    this.#regressions.forEach((regression, i) => {
      const own = numbers.subarray(i * each, (i + 1) * each);
      regression.errorScale = own[0]!;
      regression.lengthScale = own[1]!;
      regression.outcomes = own[2]!;
      regression.weights.set(own.subarray(SCALARS, SCALARS + size));
      regression.equations.restore(own.subarray(SCALARS + size));
    });
    return true;
  }

  #learn(index: number, ahead: number, value: number): void {
    const { features } = this.#context;
    const regression = this.#regressions[index]!;
    const base = features.base(ahead);
    const scale = this.#scaleOf(base);
    features.read(ahead, index, this.#x);
    this.#rescale(scale);
    const target = (value - base) / scale;
    const error = Math.abs(target - this.#apply(index));
    let length = 0;
    for (const x of this.#x) length += x * x;
    regression.outcomes += 1;
    const gain = Math.max(SCALE_GAIN, 1 / regression.outcomes);
    const firm = regression.outcomes > LEAST_OUTCOMES;
    const clip = (seen: number, usual: number, factor: number): number =>
      firm ? Math.min(seen, factor * usual) : seen;
    regression.errorScale += gain * (clip(error, regression.errorScale, SCALE_CLIP) - regression.errorScale);
    regression.lengthScale +=
      gain * (clip(length, regression.lengthScale, SCALE_CLIP) - regression.lengthScale);
    let weight = 1;
    if (error > regression.errorScale) weight = regression.errorScale / error;
    const limit = LEVERAGE_CLIP * regression.lengthScale;
    if (length > limit) weight *= limit / length;
    regression.equations.add(this.#x, target, weight, this.#keep);
  }

  /** Features come in the unit of the series; the regression works in units of `scale`, with an intercept. */
  #rescale(scale: number): void {
    const x = this.#x;
    for (let i = 0; i < x.length - 1; i++) x[i] = x[i]! / scale;
    x[x.length - 1] = 1;
  }

  #apply(index: number): number {
    const { weights } = this.#regressions[index]!;
    let sum = 0;
    for (let i = 0; i < weights.length; i++) sum += weights[i]! * this.#x[i]!;
    return sum;
  }

  #scaleOf(base: number): number {
    const floor = this.#context.window.level * 0.02 + Number.EPSILON;
    return (Math.abs(base) + floor) ** this.#power;
  }
}
