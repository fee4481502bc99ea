// Time by hand: tests say when it passes.

import type { Clock } from '../../src/core/clock.ts';

export class HandClock implements Clock {
  #monotonicMs: number;
  #wallMs: number;

  constructor(monotonicMs = 1_000_000, wallMs = Date.UTC(2026, 0, 1)) {
    this.#monotonicMs = monotonicMs;
    this.#wallMs = wallMs;
  }

  monotonicMs(): number {
    return this.#monotonicMs;
  }

  wallMs(): number {
    return this.#wallMs;
  }

  pass(ms: number): void {
    this.#monotonicMs += ms;
    this.#wallMs += ms;
  }

  /** NTP, an operator, a suspended machine: only the wall clock moves. */
  jumpWall(ms: number): void {
    this.#wallMs += ms;
  }
}
