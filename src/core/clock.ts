// The only place that reads a clock. Everything that measures or waits takes a `Clock`, so that tests
// advance time by hand and a jump of the wall clock (NTP, a suspended machine) can shorten or
// lengthen nothing: durations are taken from the monotonic clock alone.

export interface Clock {
  /**
   * Milliseconds on a clock that never goes back, the same in all threads of a process; only differences
   * mean something.
   */
  monotonicMs(): number;
  /** Milliseconds since 1970, for stamps that people or other machines read. May jump. */
  wallMs(): number;
}

// performance.now() counts from the start of its own thread. Shared instants (progress of a shift, the age of
// a plan) need one count for all threads: the kernel's, which hrtime reads.
const threadStart = hrtimeMs() - performance.now();

function hrtimeMs(): number {
  const [seconds, nanoseconds] = process.hrtime();
  return seconds * 1000 + nanoseconds / 1e6;
}

export const systemClock: Clock = {
  monotonicMs: () => threadStart + performance.now(),
  wallMs: () => Date.now(),
};

/** RFC 3339 form of the wall clock, as used in logs, plans and problem documents. */
export function wallTimestamp(clock: Clock): string {
  return new Date(clock.wallMs()).toISOString();
}
