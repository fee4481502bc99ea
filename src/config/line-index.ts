// Offset -> line and column. Our own: the LineCounter of the yaml package (2.9) misses the line break behind
// some mistakes, and then every later line is off by one.

export interface Position {
  /** From 1. */
  readonly line: number;
  /** From 1, in UTF-16 code units. */
  readonly column: number;
}

/** Positions in `text`; an offset behind its end is its end. */
export class LineIndex {
  readonly #starts: readonly number[];
  readonly #length: number;

  constructor(text: string) {
    const starts = [0];
    for (let at = text.indexOf('\n'); at !== -1; at = text.indexOf('\n', at + 1)) starts.push(at + 1);
    this.#starts = starts;
    this.#length = text.length;
  }

  position(offset: number): Position {
    const at = Math.min(offset, this.#length);
    let low = 0;
    let high = this.#starts.length;
    // The last start that is not behind `at` lies in [low, high).
    while (high - low > 1) {
      const middle = (low + high) >>> 1;
      if (this.#starts[middle]! <= at) low = middle;
      else high = middle;
    }
    return { line: low + 1, column: at - this.#starts[low]! + 1 };
  }
}
