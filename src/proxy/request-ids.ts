// Request ids and trace ids in one: 32 hexadecimal digits, random per worker and start, with a counter at
// the end. Drawing 24 random bytes for every request costs more than deciding it; a reader who has a
// request id also has the trace.

import { hex64, type Random } from '../core/random.ts';

// 2^40 requests of one worker.
const COUNTER_DIGITS = 10;

/** A request's own span, when it is to be exported. */
export interface SpanIds {
  readonly traceId: string;
  readonly spanId: string;
  /** Span of a trusted caller. */
  readonly parentId: string | undefined;
}

const TRACEPARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;
const NO_ID = /^0+$/;

interface TraceContext {
  readonly traceId: string;
  readonly parentId: string;
  readonly flags: string;
}

/** W3C Trace Context 3.2: ids of zeros are none, and a version after ours begins as ours does. */
function traceContext(received: string): TraceContext | undefined {
  const match = received === '' ? null : TRACEPARENT.exec(received);
  if (match === null) return undefined;
  const [, version, traceId = '', parentId = '', flags = '', rest] = match;
  if (version === 'ff' || (version === '00' && rest !== undefined)) return undefined;
  return NO_ID.test(traceId) || NO_ID.test(parentId) ? undefined : { traceId, parentId, flags };
}

export class RequestIds {
  readonly #prefix: string;
  readonly #spanPrefix: string;
  #count = 0;

  constructor(random: Random) {
    this.#prefix = (hex64(random) + hex64(random)).slice(COUNTER_DIGITS);
    // The first digit of a span's id says which attempt it is; the request itself has 0.
    this.#spanPrefix = `0${hex64(random).slice(COUNTER_DIGITS + 1)}`;
  }

  /** Unique over all proxies and restarts. */
  next(): string {
    this.#count += 1;
    return this.#prefix + this.#count.toString(16).padStart(COUNTER_DIGITS, '0');
  }

  /**
   * W3C Trace Context for a request: the caller's trace goes on with us as parent,
   * or a new one begins under the request's id, not sampled.
   * @param received of a trusted peer; empty when there is none.
   */
  traceparent(received: string, requestId: string): string {
    const { traceId = requestId, flags = '00' } = traceContext(received) ?? {};
    return `00-${traceId}-${this.#spanPrefix}${requestId.slice(-COUNTER_DIGITS)}-${flags}`;
  }

  /**
   * The span of a request; undefined when it is not to be exported: a trusted caller decides, and where there is
   * none, the sample.
   * @param received as for `traceparent`.
   */
  span(received: string, requestId: string, isSampled: boolean): SpanIds | undefined {
    const context = traceContext(received);
    const isWanted = context === undefined ? isSampled : (Number.parseInt(context.flags, 16) & 1) === 1;
    if (!isWanted) return undefined;
    return {
      traceId: context?.traceId ?? requestId,
      spanId: this.#spanPrefix + requestId.slice(-COUNTER_DIGITS),
      parentId: context?.parentId,
    };
  }
}

/** @param attempt from 1; attempts of a route are bounded below 16. */
export function attemptSpanId(spanId: string, attempt: number): string {
  return attempt.toString(16) + spanId.slice(1);
}

/** W3C Trace Context of an attempt: what its server does belongs under it. */
export function attemptTraceparent({ traceId, spanId }: SpanIds, attempt: number): string {
  return `00-${traceId}-${attemptSpanId(spanId, attempt)}-01`;
}
