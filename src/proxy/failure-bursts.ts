// A server that dies or hangs fails all it has under way within a moment. To repeat that elsewhere is no further
// load: it is the load that the server has given up, once. The retry budget is for what goes on failing, so it is
// asked only for requests that began when their server's trouble could have been known. One per worker.

// From the first failure until the main thread has folded the counts, taken the server out and told the workers:
// what begins meanwhile still goes there.
const VERDICT_MS = 250;
// Failures closer than this to the last one are the same burst: a server that fails every so many requests has
// one in hours, and then pays for its retries like anybody.
const CALM_MS = 1000;

interface Burst {
  /** Monotonic milliseconds. */
  readonly since: number;
  last: number;
}

export class FailureBursts {
  /** By slot: bounded by the number of servers. */
  readonly #bursts = new Map<number, Burst>();

  /**
   * A server has failed an attempt. All times are monotonic milliseconds.
   * @returns whether the attempt was under way when the server's failures began, or before they could be known.
   */
  wasUnderWay(slot: number, startedAt: number, now: number): boolean {
    let burst = this.#bursts.get(slot);
    if (burst === undefined || now - burst.last >= CALM_MS) {
      burst = { since: now, last: now };
      this.#bursts.set(slot, burst);
    }
    burst.last = now;
    return startedAt <= burst.since + VERDICT_MS;
  }
}
