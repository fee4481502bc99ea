// Who may take part, in the order in which tables show them.

import type { Contestant } from './contestant.ts';
import { foreshard } from './foreshard.ts';
import { haproxyDrained, haproxyReactive } from './haproxy.ts';
import { nginx } from './nginx.ts';

/**
 * The one parameter set, frozen for all incidents and both sets. Times are scaled down; three regions at 56 % are at
 * 84 to 88 % when one of them is lost, so an operator who wants a region evacuated whole must allow that.
 */
export const AUTO = {
  pae: { mode: 'auto', planTtl: '10s', targetUtilisation: '95%', thresholds: { dwell: '3s' } },
  sharding: { shiftPeriod: '3s', guards: { utilisation: '100%' } },
};

export const CONTESTANTS: readonly Contestant[] = [
  foreshard('auto', AUTO),
  foreshard('off', { pae: { mode: 'off' } }),
  foreshard('shadow', { pae: { mode: 'shadow' } }),
  haproxyReactive,
  haproxyDrained,
  nginx,
];

/** `shadow` shows what the engine costs; it is run when it is asked for. */
export const DEFAULT_CONTESTANTS: readonly string[] = ['auto', 'off', 'haproxy', 'haproxy-drained', 'nginx'];
