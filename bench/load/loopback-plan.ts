// Plans for our own sender against a proxy that a bench started itself. Pure.

import { KEY_HEADER } from './proxies/definition.ts';
import type { SenderPlan, SenderTarget } from './sender/plan.ts';

const TIMEOUT_MS = 10_000;
/** Different keys: enough that no proxy answers from the memory of one key. */
export const KEYS = 256;
const SEED = 1;

export function loopbackTarget(url: string, path: string): SenderTarget {
  const { hostname, port, host } = new URL(url);
  return {
    secure: false,
    address: hostname,
    port: Number(port),
    host,
    serverName: '',
    path,
    insecure: false,
  };
}

/** GETs in a closed loop; the caller overrides what differs. */
export function loopbackPlan(
  url: string,
  path: string,
  load: Pick<SenderPlan, 'connections' | 'durationMs'>,
): SenderPlan {
  return {
    target: loopbackTarget(url, path),
    rate: null,
    arrivals: 'constant',
    phase: 0,
    requests: Number.POSITIVE_INFINITY,
    kinds: [{ method: 'GET', bodyBytes: 0, weight: 1 }],
    keys: { kind: 'uniform', count: KEYS },
    keyHeader: KEY_HEADER,
    headers: [],
    timeoutMs: TIMEOUT_MS,
    seed: SEED,
    countBy: null,
    spin: false,
    ...load,
  };
}
