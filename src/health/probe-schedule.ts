// When the next probe is due. Intervals are jittered, so that a thousand servers are not asked in one
// moment and several proxies do not fall into step; in transition they are shorter, so that a verdict
// comes in a fraction of the usual thresholds x interval (HAProxy's fastinter).

import type { Random } from '../core/random.ts';
import { isInTransition, type ProbeState } from './health-state.ts';

// Envoy's and HAProxy's users settle around 10 %: enough to spread, too little to matter.
const JITTER = 0.1;
const FAST_DIVISOR = 4;
/** Least pause between two probes of a server: faster would be load, not a check. */
export const FASTEST_MS = 100;

/** Milliseconds until the next probe of a server in `state`. */
export function nextProbeMs(state: ProbeState, intervalMs: number, random: Random): number {
  const pace = isInTransition(state) ? Math.max(FASTEST_MS, intervalMs / FAST_DIVISOR) : intervalMs;
  return pace * (1 - JITTER + 2 * JITTER * random.next());
}

/** Milliseconds until the first probe: spread over one fast interval, so that a start knows soon. */
export function firstProbeMs(intervalMs: number, random: Random): number {
  return Math.max(FASTEST_MS, intervalMs / FAST_DIVISOR) * random.next();
}
