// Deadlines of connects, responses and idle bodies. One wheel per worker instead of a timer per request:
// arming is a store into an object, moving a deadline further away is one as well (the entry is looked at
// again when its old slot comes up). undici's own timers are too coarse: 300 ms were measured as 858 ms.

import type { Clock } from '../core/clock.ts';

/** Resolution. A deadline fires at most this much late (plus what the event loop is late), never early. */
const TICK_MS = 50;
// One turn takes 25.6 s; an entry with a longer deadline is looked at once a turn.
const SLOTS = 512;

/** Extend, and override `onExpire`. An entry is in the wheel at most once. */
export abstract class WheelTimer {
  /** Monotonic milliseconds; Infinity = not armed. */
  deadline = Number.POSITIVE_INFINITY;
  /** Slot where the wheel will look at it next; -1 = in none. */
  slot = -1;
  previous: WheelTimer | null = null;
  next: WheelTimer | null = null;

  abstract onExpire(): void;
}

export interface Ticker {
  /** Calls `tick` every `ms` until the returned function is called. */
  every(ms: number, tick: () => void): () => void;
}

/** Does not keep the process alive. */
export const intervalTicker: Ticker = {
  every(ms, tick) {
    const interval = setInterval(tick, ms);
    interval.unref();
    return () => clearInterval(interval);
  },
};

export class TimerWheel {
  readonly #clock: Clock;
  readonly #slots: (WheelTimer | null)[] = new Array(SLOTS).fill(null);
  readonly #stop: () => void;
  // Time of the last tick: a reading of the clock per request would cost more than the wheel does.
  #now: number;
  #position = 0;

  constructor(clock: Clock, ticker: Ticker = intervalTicker) {
    this.#clock = clock;
    this.#now = clock.monotonicMs();
    this.#stop = ticker.every(TICK_MS, () => this.#tick());
  }

  /** Sets or moves the deadline to `ms` from now. */
  arm(timer: WheelTimer, ms: number): void {
    // `now` may be a whole tick old, so one tick is added: never early.
    const deadline = this.#now + ms + TICK_MS;
    const isEarlier = deadline < timer.deadline;
    timer.deadline = deadline;
    if (timer.slot !== -1 && !isEarlier) return;
    if (timer.slot !== -1) this.#unlink(timer);
    this.#link(timer);
  }

  /** Takes the deadline away; the entry leaves the wheel at once. */
  disarm(timer: WheelTimer): void {
    timer.deadline = Number.POSITIVE_INFINITY;
    if (timer.slot !== -1) this.#unlink(timer);
  }

  close(): void {
    this.#stop();
  }

  #link(timer: WheelTimer): void {
    const ticks = Math.min(SLOTS - 1, Math.max(1, Math.ceil((timer.deadline - this.#now) / TICK_MS)));
    const slot = (this.#position + ticks) % SLOTS;
    const head = this.#slots[slot]!;
    timer.slot = slot;
    timer.previous = null;
    timer.next = head;
    if (head !== null) head.previous = timer;
    this.#slots[slot] = timer;
  }

  #unlink(timer: WheelTimer): void {
    if (timer.previous !== null) timer.previous.next = timer.next;
    else this.#slots[timer.slot] = timer.next;
    if (timer.next !== null) timer.next.previous = timer.previous;
    timer.previous = null;
    timer.next = null;
    timer.slot = -1;
  }

  #tick(): void {
    const now = this.#clock.monotonicMs();
    // A blocked event loop may have missed ticks: their slots are visited now, at most one turn of them.
    const missed = Math.min(SLOTS, Math.max(1, Math.floor((now - this.#now) / TICK_MS)));
    this.#now = now;
    for (let i = 0; i < missed; i++) {
      this.#position = (this.#position + 1) % SLOTS;
      this.#visit(this.#position);
    }
  }

  #visit(slot: number): void {
    let timer = this.#slots[slot]!;
    this.#slots[slot] = null;
    while (timer !== null) {
      const next = timer.next;
      timer.slot = -1;
      timer.previous = null;
      timer.next = null;
      if (timer.deadline <= this.#now) {
        timer.deadline = Number.POSITIVE_INFINITY;
        timer.onExpire();
      } else if (timer.deadline !== Number.POSITIVE_INFINITY) {
        this.#link(timer);
      }
      timer = next!;
    }
  }
}
