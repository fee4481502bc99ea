// Retries must not become the load that kills what is left: to a region on a route they may be a share of
// the requests it gets, with a small floor so that a quiet route can retry at all. Counted over a second,
// not at one instant as Envoy's budget is: a server that dies fails all it has under way in one moment, and
// of a few requests in flight a fifth is none. Counted per worker; the floor is divided among workers.

import { type RegionIndex, regionIndex } from '../core/ids.ts';
import type { TryAllowance } from '../routing/snapshot.ts';

// Longer, and a storm of failures could spend at once what a long calm has saved up.
const WINDOW_MS = 1000;
// Ten thousand routes times fifty regions would be more series than anybody can store.
const MAX_REPORTED = 1000;

/** Counts of this window and the one before, by cell. */
class Windowed {
  #current: Float64Array;
  #previous: Float64Array;

  constructor(cells: number) {
    this.#current = new Float64Array(cells);
    this.#previous = new Float64Array(cells);
  }

  add(cell: number): void {
    this.#current[cell]! += 1;
  }

  turn(): void {
    const oldest = this.#previous;
    this.#previous = this.#current;
    this.#current = oldest.fill(0);
  }

  /** @param elapsed share of the current window that is over. */
  sum(cell: number, elapsed: number): number {
    return this.#previous[cell]! * (1 - elapsed) + this.#current[cell]!;
  }

  inherit(cell: number, from: Windowed, of: number): void {
    this.#current[cell] = from.#current[of]!;
    this.#previous[cell] = from.#previous[of]!;
  }
}

export class RetryBudget {
  readonly #regionCount: number;
  readonly #workers: number;
  readonly #active: Int32Array;
  readonly #begun: Windowed;
  readonly #retried: Windowed;
  readonly #used = new Set<number>();
  /** Monotonic milliseconds. */
  #windowStart = Number.NEGATIVE_INFINITY;

  /** One per snapshot: indices mean something within it only. */
  constructor(routeCount: number, regionCount: number, workers: number) {
    this.#regionCount = regionCount;
    this.#workers = workers;
    const cells = routeCount * regionCount;
    this.#active = new Int32Array(cells);
    this.#begun = new Windowed(cells);
    this.#retried = new Windowed(cells);
  }

  /** @param now monotonic milliseconds, as everywhere here. */
  began(route: number, region: RegionIndex, now: number): void {
    this.#turn(now);
    const cell = this.#cell(route, region);
    this.#active[cell]! += 1;
    this.#begun.add(cell);
    if (this.#used.size < MAX_REPORTED) this.#used.add(cell);
  }

  ended(route: number, region: RegionIndex): void {
    this.#active[this.#cell(route, region)]! -= 1;
  }

  /** Takes one retry towards `region`; false when the budget is spent. */
  take(route: number, region: RegionIndex, retry: TryAllowance, now: number): boolean {
    if (this.remaining(route, region, retry, now) < 1) return false;
    this.#retried.add(this.#cell(route, region));
    return true;
  }

  /** Retries that could be taken now. */
  remaining(route: number, region: RegionIndex, retry: TryAllowance, now: number): number {
    this.#turn(now);
    const cell = this.#cell(route, region);
    const elapsed = (now - this.#windowStart) / WINDOW_MS;
    // Slow requests of which few begin within a second count as long as they last.
    const requests = Math.max(this.#active[cell]!, this.#begun.sum(cell, elapsed));
    const floor = Math.ceil(retry.minBudget / this.#workers);
    const allowed = Math.max(floor, Math.floor(requests * retry.budget));
    return Math.max(0, allowed - this.#retried.sum(cell, elapsed));
  }

  /** Routes and regions that attempts were made for; the first thousand pairs. */
  *used(): Generator<{ readonly route: number; readonly region: RegionIndex }> {
    for (const cell of this.#used) {
      const route = Math.floor(cell / this.#regionCount);
      yield { route, region: regionIndex(cell % this.#regionCount) };
    }
  }

  /** A new configuration must not refuse the retries that the traffic so far allows. */
  inherit(cell: readonly [route: number, region: RegionIndex], from: RetryBudget, of: typeof cell): void {
    const [to, source] = [this.#cell(...cell), from.#cell(...of)];
    this.#begun.inherit(to, from.#begun, source);
    this.#retried.inherit(to, from.#retried, source);
    this.#windowStart = from.#windowStart;
  }

  #cell(route: number, region: RegionIndex): number {
    return route * this.#regionCount + region;
  }

  #turn(now: number): void {
    const elapsed = now - this.#windowStart;
    if (elapsed < WINDOW_MS) return;
    this.#begun.turn();
    this.#retried.turn();
    if (elapsed >= 2 * WINDOW_MS) {
      this.#begun.turn();
      this.#retried.turn();
      this.#windowStart = now;
    } else {
      this.#windowStart += WINDOW_MS;
    }
  }
}
