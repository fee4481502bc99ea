// A server that comes back gets its share slowly: caches are cold, pools empty. Linear as HAProxy's
// slowstart, and as there only after a recovery, never at the proxy's own start: a restart of the proxy
// must not make every server look cold.

/** Share of its weight that a server has `sinceMs` after its recovery; 0..1. */
export function slowStartFactor(sinceMs: number, periodMs: number): number {
  if (periodMs <= 0 || sinceMs >= periodMs) return 1;
  return Math.max(LEAST, sinceMs / periodMs);
}

// Envoy's min_weight_percent: less would be too little traffic to warm anything.
const LEAST = 0.1;
