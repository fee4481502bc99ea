// Who may take part, in the order in which tables show them.

import type { Contestant } from './contestant.ts';
import { foreshard } from './foreshard.ts';
import { haproxyDrained, haproxyReactive } from './haproxy.ts';
import { nginx } from './nginx.ts';

const AUTO = {
  pae: { mode: 'auto', planTtl: '10s', thresholds: { dwell: '3s' } },
  sharding: { shiftPeriod: '3s' },
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
