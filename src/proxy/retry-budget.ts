// Retries must not become the load that kills what is left: at most a share of what is in flight to a
// region on a route may be retries, with a small floor so that a quiet route can retry at all (Envoy's
// retry budget). Counted per worker; the floor is divided among workers, so that it holds per process.

import { type RegionIndex, regionIndex } from '../core/ids.ts';
import type { RouteRetry } from '../routing/snapshot.ts';

// Ten thousand routes times fifty regions would be more series than anybody can store.
const MAX_REPORTED = 1000;

export class RetryBudget {
  readonly #regionCount: number;
  readonly #workers: number;
  readonly #active: Int32Array;
  readonly #retrying: Int32Array;
  readonly #used = new Set<number>();

  /** One per snapshot: indices mean something within it only. */
  constructor(routeCount: number, regionCount: number, workers: number) {
    this.#regionCount = regionCount;
    this.#workers = workers;
    this.#active = new Int32Array(routeCount * regionCount);
    this.#retrying = new Int32Array(routeCount * regionCount);
  }

  began(route: number, region: RegionIndex): void {
    const cell = route * this.#regionCount + region;
    this.#active[cell]! += 1;
    if (this.#used.size < MAX_REPORTED) this.#used.add(cell);
  }

  ended(route: number, region: RegionIndex): void {
    this.#active[route * this.#regionCount + region]! -= 1;
  }

  /** Takes one retry towards `region`; false when the budget is spent. Give it back with `release`. */
  take(route: number, region: RegionIndex, retry: RouteRetry): boolean {
    const cell = route * this.#regionCount + region;
    const floor = Math.ceil(retry.minBudget / this.#workers);
    const allowed = Math.max(floor, Math.floor(this.#active[cell]! * retry.budget));
    if (this.#retrying[cell]! >= allowed) return false;
    this.#retrying[cell]! += 1;
    return true;
  }

  release(route: number, region: RegionIndex): void {
    this.#retrying[route * this.#regionCount + region]! -= 1;
  }

  /** Routes and regions that attempts were made for; the first thousand pairs. */
  *used(): Generator<{ readonly route: number; readonly region: RegionIndex }> {
    for (const cell of this.#used) {
      const route = Math.floor(cell / this.#regionCount);
      yield { route, region: regionIndex(cell % this.#regionCount) };
    }
  }

  /** Retries that could still be taken now; for the gauge. */
  remaining(route: number, region: RegionIndex, retry: RouteRetry): number {
    const cell = route * this.#regionCount + region;
    const floor = Math.ceil(retry.minBudget / this.#workers);
    return Math.max(floor, Math.floor(this.#active[cell]! * retry.budget)) - this.#retrying[cell]!;
  }
}
