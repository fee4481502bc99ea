// Sends a plan's requests over its connections and tallies the answers. Closed loop: a connection sends
// as soon as it is answered. Open loop: requests are due by a schedule; those that find no connection
// free wait, and their wait is part of their latency.

import type { Clock } from '../../../src/core/clock.ts';
import { seededRandom } from '../../../src/core/random.ts';
import { type Arrivals, constantArrivals, poissonArrivals } from './arrivals.ts';
import { Connection, type ConnectionOwner } from './connection.ts';
import { keySource } from './keys.ts';
import type { FailureKind, SenderInterval, SenderPlan, SenderResult } from './plan.ts';
import { kindSource, type RequestTemplate, requestTemplate } from './request-mix.ts';
import { Tally } from './tally.ts';

const INTERVAL_MS = 1000;
/** How often requests are looked over for timeouts: a timeout is late by at most this. */
const SWEEP_MS = 50;
/** Pause after a refused connection: without it a dead target would be hammered thousands of times a second. */
const RECONNECT_MS = 50;
/** Timers are late by up to 1 ms: they are used only for what is farther away than this. */
const NEAR_MS = 1.5;
/**
 * Nearer due times are awaited by naps of the whole thread. An answer that comes in during a nap is seen
 * that much too late, and a shorter nap takes more CPU from the proxy on a small machine.
 */
const NAP_MS = 0.1;

export class Sender implements ConnectionOwner {
  readonly #plan: SenderPlan;
  readonly #clock: Clock;
  readonly #onInterval: (interval: SenderInterval) => void;
  readonly #arrivals: Arrivals | null;
  readonly #templates: readonly RequestTemplate[];
  readonly #nextKind: () => number;
  readonly #nextKey: () => number;
  readonly #tally: Tally;
  readonly #connections: Connection[] = [];
  /** Free connections, the longest free first: all of them stay in use. */
  readonly #free: Connection[] = [];
  readonly #timers: NodeJS.Timeout[] = [];
  readonly #finished = Promise.withResolvers<SenderResult>();
  /** Nobody ever notifies it: waiting on it is a sleep with better than timer precision. */
  readonly #napCell = new Int32Array(new SharedArrayBuffer(4));
  #opening: (() => void) | null = null;
  #startMs = 0;
  /** When a connection was last seen to work, or a request to be under way. */
  #lastUsableMs = 0;
  #inFlight = 0;
  #over = false;

  constructor(plan: SenderPlan, clock: Clock, onInterval: (interval: SenderInterval) => void) {
    this.#plan = plan;
    this.#clock = clock;
    this.#onInterval = onInterval;
    const random = seededRandom(plan.seed);
    this.#arrivals = openLoop(plan);
    const { target, headers, keyHeader } = plan;
    this.#templates = plan.kinds.map((kind) =>
      requestTemplate(kind, { host: target.host, path: target.path, headers, keyHeader }),
    );
    this.#nextKind = kindSource(plan.kinds, random);
    this.#nextKey = keySource(plan.keys, random);
    this.#tally = new Tally(plan.countBy);
  }

  /** Null when not one connection could be opened: nothing was sent then. */
  async run(): Promise<SenderResult | null> {
    await this.#openAll();
    if (this.#free.length === 0) {
      this.#end();
      return null;
    }
    this.#startMs = this.#clock.monotonicMs();
    this.#lastUsableMs = this.#startMs;
    this.#timers.push(setInterval(() => this.#sweep(), SWEEP_MS));
    this.#timers.push(setInterval(() => this.#report(), INTERVAL_MS));
    for (const connection of this.#connections)
      if (connection.state === 'closed') this.#reopenLater(connection);
    if (this.#arrivals !== null) this.#waitForDue();
    this.#pump();
    return this.#finished.promise;
  }

  /** Ends early; what was counted so far is the result. */
  stop(): void {
    if (!this.#over && this.#startMs > 0) this.#finish(this.#countOverdue());
  }

  onReady(connection: Connection): void {
    this.#lastUsableMs = this.#clock.monotonicMs();
    this.#free.push(connection);
    if (this.#startMs > 0) this.#pump();
    else this.#opening?.();
  }

  onAnswer(connection: Connection): void {
    const now = this.#clock.monotonicMs();
    this.#inFlight -= 1;
    this.#lastUsableMs = now;
    this.#tally.noteAnswer(connection.reader, now - connection.dueMs, now - connection.sentMs);
    if (connection.state === 'idle') this.#free.push(connection);
    else this.#reopen(connection);
    this.#pump();
  }

  onFailure(connection: Connection, kind: FailureKind): void {
    const now = this.#clock.monotonicMs();
    if (kind !== 'connect') {
      this.#inFlight -= 1;
      this.#lastUsableMs = now;
    }
    this.#tally.noteFailure(kind, now - connection.dueMs);
    if (this.#startMs === 0) {
      this.#opening?.();
      return;
    }
    if (kind === 'connect') this.#reopenLater(connection);
    else this.#reopen(connection);
    this.#pump();
  }

  onClosedIdle(connection: Connection): void {
    const at = this.#free.indexOf(connection);
    if (at >= 0) this.#free.splice(at, 1);
    this.#reopen(connection);
  }

  /** Connecting is not part of any latency: it is done before the start. */
  async #openAll(): Promise<void> {
    const { connections, target, timeoutMs } = this.#plan;
    let left = connections;
    await new Promise<void>((resolve) => {
      this.#opening = () => {
        left -= 1;
        if (left === 0) resolve();
      };
      for (let i = 0; i < connections; i++) {
        const connection = new Connection(target, this);
        this.#connections.push(connection);
        connection.open(timeoutMs);
      }
    });
    this.#opening = null;
  }

  #reopen(connection: Connection): void {
    if (!this.#over && connection.state === 'closed') connection.open(this.#plan.timeoutMs);
  }

  #reopenLater(connection: Connection): void {
    setTimeout(() => this.#reopen(connection), RECONNECT_MS).unref();
  }

  /**
   * Sends whatever may be sent now, and ends the run when there is nothing left to send or await.
   * `late`: connections were free before, so a delay since the due time is the sender's own.
   */
  #pump(late = false): void {
    if (this.#over) return;
    const now = this.#clock.monotonicMs();
    const elapsed = now - this.#startMs;
    while (this.#free.length > 0 && this.#mayIssue(elapsed)) {
      const connection = this.#free.shift()!;
      if (connection.state !== 'idle') continue;
      const dueMs = this.#arrivals === null ? now : this.#startMs + this.#arrivals.takeMs();
      if (late) this.#tally.noteLag(now - dueMs);
      this.#tally.sent += 1;
      this.#inFlight += 1;
      connection.send(this.#templates[this.#nextKind()]!, this.#nextKey(), dueMs, now);
    }
    if (this.#inFlight === 0 && this.#isAllIssued(elapsed)) this.#finish(0);
  }

  #mayIssue(elapsedMs: number): boolean {
    if (this.#tally.sent >= this.#plan.requests) return false;
    if (this.#arrivals === null) return elapsedMs < this.#plan.durationMs;
    const dueMs = this.#arrivals.peekMs();
    return dueMs < this.#plan.durationMs && dueMs <= elapsedMs;
  }

  #isAllIssued(elapsedMs: number): boolean {
    if (this.#tally.sent >= this.#plan.requests) return true;
    if (this.#arrivals === null) return elapsedMs >= this.#plan.durationMs;
    return this.#arrivals.peekMs() >= this.#plan.durationMs;
  }

  /** The open loop's own timer: wakes for the next due time, however the answers come. */
  #waitForDue(): void {
    if (this.#over) return;
    this.#pump(true);
    if (this.#over) return;
    const waitMs = this.#arrivals!.peekMs() - (this.#clock.monotonicMs() - this.#startMs);
    if (waitMs > NEAR_MS) {
      setTimeout(() => this.#waitForDue(), Math.min(waitMs - 1, SWEEP_MS));
      return;
    }
    if (!this.#plan.spin && waitMs > 0) Atomics.wait(this.#napCell, 0, 0, Math.min(waitMs, NAP_MS));
    setImmediate(() => this.#waitForDue());
  }

  #sweep(): void {
    const now = this.#clock.monotonicMs();
    const { timeoutMs, durationMs } = this.#plan;
    for (const connection of this.#connections) {
      if (connection.state === 'busy' && now - connection.sentMs >= timeoutMs) connection.abandon('timeout');
    }
    // Overdue requests are sent late rather than dropped, for as long as an answer may take.
    const isLate = now - this.#startMs >= durationMs + timeoutMs;
    if (isLate) {
      for (const connection of this.#connections)
        if (connection.state === 'busy') connection.abandon('timeout');
    }
    const isSilent = this.#inFlight === 0 && this.#free.length === 0 && now - this.#lastUsableMs >= timeoutMs;
    if (!this.#over && (isLate || isSilent)) this.#finish(this.#countOverdue());
    this.#pump();
  }

  /** Requests that were due and stay unsent; each waited from its due time until now, at least. */
  #countOverdue(): number {
    if (this.#arrivals === null) return 0;
    const elapsed = this.#clock.monotonicMs() - this.#startMs;
    let count = 0;
    while (this.#tally.sent + count < this.#plan.requests && this.#mayIssue(elapsed)) {
      this.#tally.noteWait(elapsed - this.#arrivals.takeMs());
      count += 1;
    }
    return count;
  }

  #report(): void {
    this.#onInterval(this.#tally.takeInterval(this.#clock.monotonicMs() - this.#startMs));
  }

  #finish(unsent: number): void {
    const elapsedMs = this.#clock.monotonicMs() - this.#startMs;
    this.#report();
    this.#end();
    this.#finished.resolve(this.#tally.result(elapsedMs, unsent));
  }

  #end(): void {
    this.#over = true;
    for (const timer of this.#timers) clearInterval(timer);
    for (const connection of this.#connections) connection.destroy();
  }
}

function openLoop(plan: SenderPlan): Arrivals | null {
  if (plan.rate === null) return null;
  // A generator of its own: the schedule does not change with what the requests look like.
  return plan.arrivals === 'constant'
    ? constantArrivals(plan.rate, plan.phase)
    : poissonArrivals(plan.rate, seededRandom(plan.seed ^ 0x5eed));
}
