// Time that passes only when somebody waits for it: events in the order of their moments, those of one moment in the
// order in which they were asked for. The same seed plays the same second for second, on every machine.

import type { Clock } from '../../../src/core/clock.ts';
import type { Scheduler } from '../server-model.ts';

interface Event {
  readonly at: number;
  readonly order: number;
  readonly work: () => void;
}

export class VirtualTime implements Scheduler, Clock {
  readonly #startWallMs: number;
  readonly #playedAt: (dueMs: number) => number;
  /** Binary heap, the earliest first. */
  readonly #heap: Event[] = [];
  #now = 0;
  #order = 0;

  /** @param playedAt the moment at which what is due at a moment happens: later where the machine stands still. */
  constructor(startWallMs: number, playedAt: (dueMs: number) => number = (dueMs) => dueMs) {
    this.#startWallMs = startWallMs;
    this.#playedAt = playedAt;
  }

  nowMs(): number {
    return this.#now;
  }

  monotonicMs(): number {
    return this.#now;
  }

  wallMs(): number {
    return this.#startWallMs + this.#now;
  }

  afterMs(ms: number, work: () => void): void {
    this.#push({ at: this.#now + Math.max(0, ms), order: this.#order++, work });
  }

  /** Calls `work` now and then every `ms`. */
  every(ms: number, work: () => void): void {
    work();
    this.afterMs(ms, () => this.every(ms, work));
  }

  /** Plays all that is due until then. */
  runUntil(ms: number): void {
    for (let next = this.#heap[0]; next !== undefined && next.at <= ms; next = this.#heap[0]) {
      this.#pop();
      this.#now = Math.max(this.#now, this.#playedAt(next.at));
      next.work();
    }
    this.#now = ms;
  }

  #push(event: Event): void {
    const heap = this.#heap;
    heap.push(event);
    for (let at = heap.length - 1; at > 0; ) {
      const parent = (at - 1) >> 1;
      if (!isBefore(heap[at]!, heap[parent]!)) return;
      [heap[at], heap[parent]] = [heap[parent]!, heap[at]!];
      at = parent;
    }
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop()!;
    if (heap.length === 0) return;
    heap[0] = last;
    for (let at = 0; ; ) {
      const [left, right] = [2 * at + 1, 2 * at + 2];
      let first = at;
      if (left < heap.length && isBefore(heap[left]!, heap[first]!)) first = left;
      if (right < heap.length && isBefore(heap[right]!, heap[first]!)) first = right;
      if (first === at) return;
      [heap[at], heap[first]] = [heap[first]!, heap[at]!];
      at = first;
    }
  }
}

const isBefore = (a: Event, b: Event): boolean => a.at < b.at || (a.at === b.at && a.order < b.order);
