// Level and slope of one metric by least squares with exponential forgetting: constant memory, one
// update a row. What it says of the future carries the slope's own uncertainty.

// Residuals of minute metrics are correlated: textbook errors of a slope are too small by about this.
const ERROR_INFLATION = 2;
// Below this weight a line through the points says nothing.
const MIN_WEIGHT = 4;

/** Where the line stands at the last row, in the metric's units and per horizon. */
export interface TrendState {
  readonly level: number;
  /** Change over one horizon. */
  readonly slope: number;
  readonly slopeError: number;
  /** Standard deviation around the line. */
  readonly noise: number;
}

/** Numbers that a trend is kept as. */
export const TREND_NUMBERS = 7;

export class Trend {
  readonly #memory: number;
  #last = Number.NaN;
  #weight = 0;
  #meanTime = 0;
  #meanValue = 0;
  #timeSquares = 0;
  #products = 0;
  #valueSquares = 0;

  /** @param memory time constant of forgetting, in horizons. */
  constructor(memory: number) {
    this.#memory = memory;
  }

  /** @param time in horizons since any fixed moment, ascending. @param value finite. */
  push(time: number, value: number): void {
    const kept = Number.isNaN(this.#last) ? 0 : Math.exp(-Math.max(0, time - this.#last) / this.#memory);
    this.#last = time;
    this.#weight = this.#weight * kept + 1;
    this.#timeSquares *= kept;
    this.#products *= kept;
    this.#valueSquares *= kept;
    const timeStep = time - this.#meanTime;
    const valueStep = value - this.#meanValue;
    this.#meanTime += timeStep / this.#weight;
    this.#meanValue += valueStep / this.#weight;
    this.#timeSquares += timeStep * (time - this.#meanTime);
    this.#products += timeStep * (value - this.#meanValue);
    this.#valueSquares += valueStep * (value - this.#meanValue);
  }

  /** Seven numbers, for `restore`. */
  numbers(): number[] {
    const sums = [this.#timeSquares, this.#products, this.#valueSquares];
    return [this.#last, this.#weight, this.#meanTime, this.#meanValue, ...sums];
  }

  restore(numbers: ArrayLike<number>): void {
    this.#last = numbers[0]!;
    this.#weight = numbers[1]!;
    this.#meanTime = numbers[2]!;
    this.#meanValue = numbers[3]!;
    this.#timeSquares = numbers[4]!;
    this.#products = numbers[5]!;
    this.#valueSquares = numbers[6]!;
  }

  /** Undefined while the line has too few points. */
  state(): TrendState | undefined {
    if (this.#weight < MIN_WEIGHT || !(this.#timeSquares > 1e-9)) return undefined;
    const slope = this.#products / this.#timeSquares;
    const variance = Math.max(0, this.#valueSquares - slope * this.#products) / Math.max(1, this.#weight - 2);
    return {
      level: this.#meanValue + slope * (this.#last - this.#meanTime),
      slope,
      slopeError: ERROR_INFLATION * Math.sqrt(variance / this.#timeSquares),
      noise: Math.sqrt(variance),
    };
  }
}
