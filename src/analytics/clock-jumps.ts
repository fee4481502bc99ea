// Notices when the wall clock was set: samples are stamped by it, and slots are counted by it.

/** A wall clock that differs from the monotonic one by this much has jumped. */
const JUMP_MS = 5000;

export class ClockJumps {
  #wall: number;
  #monotonic: number;

  constructor(wall: number, monotonic: number) {
    this.#wall = wall;
    this.#monotonic = monotonic;
  }

  /** Milliseconds that the wall clock was moved by since the last call; 0 for less than five seconds. */
  jumpedBy(wall: number, monotonic: number): number {
    const expected = this.#wall + (monotonic - this.#monotonic);
    this.#wall = wall;
    this.#monotonic = monotonic;
    return Math.abs(wall - expected) < JUMP_MS ? 0 : wall - expected;
  }
}
