// How much of its share a region may have after it failed. With its traffic its symptoms have gone, and its risk with
// them: whoever gave everything back at the first calm moment would learn from the second failure what the first one had
// said already. So the share comes back by doubling, and each step shows something before the next. Pure.

import type { RiskDamping } from './acted-risk.ts';
import { PROBE_SHARE } from './weights.ts';

export interface Trust {
  /** Share of its weight that a region may have, 0..1. */
  readonly share: number;
  /** When it was raised last, or kept low, milliseconds. */
  readonly since: number;
  /** When the region failed last, milliseconds. */
  readonly failedAt: number;
}

export const FULL_TRUST: Trust = {
  share: 1,
  since: Number.NEGATIVE_INFINITY,
  failedAt: Number.NEGATIVE_INFINITY,
};

const STEP = 2;
// What took a server may take the rest: nothing is given back while one is out. But a server that stays out for good must
// not keep its region away for good.
const MOST_DWELLS = 10;

export interface TrustFacts {
  /** Its requests fail although it has servers, or servers are out and more of the kind is likely. */
  readonly isFailing: boolean;
  /** No server can serve: that is seen without its traffic, and so is its end. */
  readonly isDown: boolean;
  /** All of its servers can serve. */
  readonly isWhole: boolean;
}

/** @param now milliseconds on any clock that does not go back. */
export function nextTrust(
  before: Trust,
  { isFailing, isDown, isWhole }: TrustFacts,
  now: number,
  { dwell }: RiskDamping,
): Trust {
  if (isDown) return FULL_TRUST;
  if (isFailing) return { share: PROBE_SHARE, since: now, failedAt: now };
  if (before.share >= 1) return before;
  const isAwaited = !isWhole && now - before.failedAt < MOST_DWELLS * dwell;
  if (isAwaited || now - before.since < dwell) return before;
  return { ...before, share: Math.min(1, before.share * STEP), since: now };
}
