// May a failed attempt be followed by another, and where and when? Pure. The rules that keep a request from
// being executed twice (http-rules 8): nothing after the first response byte, nothing whose body is gone,
// nothing that is not idempotent once a byte of it may have arrived.

import type { Random } from '../core/random.ts';
import type { AttemptFailure } from '../core/reasons.ts';
import type { RouteRetry } from '../routing/snapshot.ts';

/** What an attempt came to, as far as retrying is concerned. */
export type AttemptEnd = AttemptFailure | StatusEnd;

export interface StatusEnd {
  readonly kind: 'status';
  readonly status: number;
  /** `nothing`: a manager has said that no server has seen the request. */
  readonly sent: AttemptFailure['sent'];
}

export interface RetryFacts {
  readonly method: string;
  readonly hasIdempotencyKey: boolean;
  /** False once a streamed body has been read from. */
  readonly canReplayBody: boolean;
  /** Attempts made so far, this one included. */
  readonly attempts: number;
}

// RFC 9110, 9.2.2.
const IDEMPOTENT = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE', 'TRACE']);

// RFC 9110, 9.2.1, less what is not forwarded.
const SAFE = new Set(['GET', 'HEAD', 'OPTIONS']);

/** Asking twice at the same time changes nothing. A PUT sent twice may undo one that came between. */
export function isSafe(method: string): boolean {
  return SAFE.has(method);
}

export function isIdempotent(method: string, hasIdempotencyKey: boolean): boolean {
  return IDEMPOTENT.has(method) || hasIdempotencyKey;
}

/** Word for what is retried (`connect`, `reset`, `timeout` or a status), undefined when it is not. */
export function retryCause(end: AttemptEnd, retry: RouteRetry, facts: RetryFacts): string | undefined {
  if (facts.attempts >= retry.attempts || !facts.canReplayBody) return undefined;
  if (end.sent === 'maybe' && !isIdempotent(facts.method, facts.hasIdempotencyKey)) return undefined;
  if (end.kind === 'status') {
    if (retry.onStatus.has(end.status)) return String(end.status);
    // A manager that could not reach its servers is what a server that could not be reached is.
    return end.sent === 'nothing' && retry.onConnect ? 'connect' : undefined;
  }
  switch (end.reason) {
    case 'connect_failed':
    case 'connect_timeout':
      return retry.onConnect ? 'connect' : undefined;
    case 'upstream_reset':
      return retry.onReset ? 'reset' : undefined;
    case 'response_timeout':
      return retry.onTimeout ? 'timeout' : undefined;
    default:
      // A malformed answer comes again, and a limit of ours is not relieved by trying once more.
      return undefined;
  }
}

/** Full jitter (Brooker, "Exponential Backoff and Jitter"): uniform in 0..min(cap, base x 2^n), ms. */
export function retryDelayMs(retry: RouteRetry, attempts: number, random: Random): number {
  return random.next() * Math.min(retry.cap, retry.base * 2 ** (attempts - 1));
}
