// When requests are due in an open loop. The schedule knows nothing of the answers: a slow answer delays
// no later request's due time, and latency counted from the due time therefore holds the wait that a
// closed loop hides (coordinated omission; G. Tene, "How NOT to Measure Latency", 2015). Pure.

import type { Random } from '../../../src/core/random.ts';

export type ArrivalKind = 'constant' | 'poisson';

export interface Arrivals {
  /** Due time of the next request, in milliseconds from the start. */
  peekMs(): number;
  /** The same, and moves on to the one after it. */
  takeMs(): number;
}

/** One every 1000 / rate ms; `phase` (0..1 of that gap) sets senders apart that share a rate. */
export function constantArrivals(ratePerSecond: number, phase = 0): Arrivals {
  let index = 0;
  // Multiplied anew each time: a running sum would drift by its rounding errors.
  const due = (): number => ((index + phase) * 1000) / ratePerSecond;
  return {
    peekMs: due,
    takeMs: () => {
      const at = due();
      index += 1;
      return at;
    },
  };
}

/** Independent users: exponential gaps with mean 1000 / rate ms, so that bursts come as they do in life. */
export function poissonArrivals(ratePerSecond: number, random: Random): Arrivals {
  const gap = (): number => (-Math.log(1 - random.next()) * 1000) / ratePerSecond;
  let next = gap();
  return {
    peekMs: () => next,
    takeMs: () => {
      const at = next;
      next += gap();
      return at;
    },
  };
}
