// What a probe's result makes of a server's health. Pure: state and result in, state out. Thresholds work
// as with HAProxy's rise and fall: one stray result changes nothing.

import type { Health } from '../core/model.ts';

export interface HealthThresholds {
  /** Failures in a row that make a healthy server unhealthy. */
  readonly unhealthyThreshold: number;
  /** Passes in a row that make an unhealthy server healthy. */
  readonly healthyThreshold: number;
}

export interface ProbeState {
  readonly health: Extract<Health, 'unknown' | 'healthy' | 'unhealthy'>;
  /** Results in a row that speak against `health`. */
  readonly against: number;
}

export const INITIAL_STATE: ProbeState = { health: 'unknown', against: 0 };

export function afterProbe(state: ProbeState, passed: boolean, thresholds: HealthThresholds): ProbeState {
  switch (state.health) {
    case 'unknown':
      // One pass suffices at first sight (as with Envoy): a start must not wait for a series of them.
      if (passed) return { health: 'healthy', against: 0 };
      return count(state, 'unhealthy', thresholds.unhealthyThreshold);
    case 'healthy':
      return passed ? { ...state, against: 0 } : count(state, 'unhealthy', thresholds.unhealthyThreshold);
    case 'unhealthy':
      return passed ? count(state, 'healthy', thresholds.healthyThreshold) : { ...state, against: 0 };
  }
}

/**
 * Traffic accuses a server that may not be ejected, because it is the last one of its region: the next failed
 * probe decides (HAProxy's `on-error sudden-death`). A region whose servers all hang would otherwise get its
 * share for the whole of the thresholds.
 */
export function suspect(state: ProbeState, { unhealthyThreshold }: HealthThresholds): ProbeState {
  if (state.health === 'unhealthy' || state.against >= unhealthyThreshold - 1) return state;
  return { ...state, against: unhealthyThreshold - 1 };
}

function count(state: ProbeState, to: 'healthy' | 'unhealthy', threshold: number): ProbeState {
  const against = state.against + 1;
  return against >= threshold ? { health: to, against: 0 } : { ...state, against };
}

/** True while results contradict the verdict: time to look more often. */
export function isInTransition(state: ProbeState): boolean {
  return state.against > 0 || state.health === 'unknown';
}
