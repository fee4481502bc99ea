// Request ids and trace ids in one: 32 hexadecimal digits, random per worker and start, with a counter at
// the end. Drawing 24 random bytes for every request costs more than deciding it; a reader who has a
// request id also has the trace.

import { hex64, type Random } from '../core/random.ts';

// 2^40 requests of one worker.
const COUNTER_DIGITS = 10;

const TRACEPARENT = /^00-([0-9a-f]{32})-[0-9a-f]{16}-([0-9a-f]{2})$/;

export class RequestIds {
  readonly #prefix: string;
  readonly #spanPrefix: string;
  #count = 0;

  constructor(random: Random) {
    this.#prefix = (hex64(random) + hex64(random)).slice(COUNTER_DIGITS);
    this.#spanPrefix = hex64(random).slice(COUNTER_DIGITS);
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
    const match = received === '' ? null : TRACEPARENT.exec(received);
    return `00-${match?.[1] ?? requestId}-${this.#spanPrefix}${requestId.slice(-COUNTER_DIGITS)}-${match?.[2] ?? '00'}`;
  }
}
