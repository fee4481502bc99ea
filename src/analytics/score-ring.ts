// The last rows of numbers of a score, in one typed array that grows with them up to a limit: a day of predictions
// of thousands of entities is kept, and objects would take four times the memory.

import { pack, type StateReader } from './state-reader.ts';

const FIRST_ROWS = 32;

export class ScoreRing {
  readonly #most: number;
  readonly #columns: number;
  #values: Float64Array;
  #count = 0;
  #next = 0;

  /** @param most rows kept; the oldest gives way. @param columns numbers of a row. */
  constructor(most: number, columns: number) {
    this.#most = most;
    this.#columns = columns;
    this.#values = new Float64Array(Math.min(most, FIRST_ROWS) * columns);
  }

  get length(): number {
    return this.#count;
  }

  push(...row: readonly number[]): void {
    const room = this.#values.length / this.#columns;
    if (this.#count === room && room < this.#most) this.#grow(Math.min(this.#most, 2 * room));
    this.#values.set(row, this.#next * this.#columns);
    const size = this.#values.length / this.#columns;
    this.#next = (this.#next + 1) % size;
    this.#count = Math.min(this.#count + 1, size);
  }

  /** @param row 0 = the oldest. */
  at(row: number, column: number): number {
    return this.#values[this.#rowAt(row) + column]!;
  }

  set(row: number, column: number, value: number): void {
    this.#values[this.#rowAt(row) + column] = value;
  }

  /** Sum over the rows from `from` on of what `of` makes of them. */
  sum(of: (row: number) => number, from = 0): number {
    let sum = 0;
    for (let row = Math.max(0, from); row < this.#count; row++) sum += of(row);
    return sum;
  }

  state(): string {
    return pack(this.#inOrder());
  }

  restore(state: StateReader, key: string): void {
    const values = state.numbersUpTo(key, this.#most * this.#columns);
    const rows = Math.floor(values.length / this.#columns);
    this.#values = new Float64Array(Math.max(rows, Math.min(this.#most, FIRST_ROWS)) * this.#columns);
    this.#values.set(values.subarray(0, rows * this.#columns));
    this.#count = rows;
    this.#next = rows % (this.#values.length / this.#columns);
  }

  #grow(rows: number): void {
    const grown = new Float64Array(rows * this.#columns);
    grown.set(this.#inOrder());
    this.#values = grown;
    this.#next = this.#count;
  }

  #inOrder(): Float64Array {
    const out = new Float64Array(this.#count * this.#columns);
    for (let row = 0; row < this.#count; row++) {
      const at = this.#rowAt(row);
      out.set(this.#values.subarray(at, at + this.#columns), row * this.#columns);
    }
    return out;
  }

  #rowAt(row: number): number {
    const size = this.#values.length / this.#columns;
    return ((this.#next - this.#count + row + size) % size) * this.#columns;
  }
}
