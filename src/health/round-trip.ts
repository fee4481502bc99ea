// How far a region is, by its checks: the shortest of the last few. A check opens a connection and gets a small
// page, so that it takes two round trips and the server's time; the shortest has least of the latter. Used to
// compare regions with each other, and for nothing else. Pure.

const KEPT = 16;

export class RoundTrip {
  readonly #last: number[] = [];

  add(ms: number): void {
    if (this.#last.length >= KEPT) this.#last.shift();
    this.#last.push(ms / ROUND_TRIPS_PER_CHECK);
  }

  /** Milliseconds; undefined before the first check. */
  shortest(): number | undefined {
    return this.#last.length === 0 ? undefined : Math.min(...this.#last);
  }
}

const ROUND_TRIPS_PER_CHECK = 2;

// Milliseconds and share by which a distance must have changed to be told again: everybody's snapshots are
// compiled anew for it.
const LEAST_CHANGE_MS = 2;
const LEAST_CHANGE_SHARE = 0.2;

/** Whether any region is nearer or farther by more than the noise of checks. */
export function haveMoved(
  told: Readonly<Record<string, number>>,
  now: Readonly<Record<string, number>>,
): boolean {
  return Object.entries(now).some(([region, ms]) => {
    const before = told[region];
    return (
      before === undefined || Math.abs(ms - before) > Math.max(LEAST_CHANGE_MS, LEAST_CHANGE_SHARE * before)
    );
  });
}
