// The server's side of one attempt, as forward.ts sees it. Implemented over undici in upstream-pools.ts;
// another client can take its place without a change to the walk.

import type { Duplex } from 'node:stream';
import type { FieldList } from '../core/model.ts';
import type { AttemptFailure } from '../core/reasons.ts';
import type { RequestBody } from './downstream.ts';

export type OutgoingBody =
  | { readonly kind: 'none' }
  /** Whole, in memory: can be sent again. */
  | { readonly kind: 'buffered'; readonly bytes: Uint8Array }
  /** What was read already, then the rest as it comes. Can be sent once. */
  | {
      readonly kind: 'streamed';
      readonly length: number | undefined;
      readonly prefix: Uint8Array | null;
      readonly rest: RequestBody;
    };

export interface OutgoingRequest {
  readonly method: string;
  readonly target: string;
  readonly host: string;
  /** End-to-end fields and ours, names lower-case; no Host, no framing, no hop-by-hop field. */
  readonly fields: string[];
  /** The client takes trailers: the server may send some. */
  readonly acceptsTrailers: boolean;
  readonly body: OutgoingBody;
}

/**
 * What happens in an attempt, in this order: connected, sent, (informed)*, head, (data)*, end; or failed
 * instead of any of them. Nothing comes after end, failed, or `cancel()`.
 */
export interface UpstreamHandler {
  /** A connection is there; the request is being written. */
  onConnected(): void;
  /** Some of a streamed body came; `waits` tells whether the server reads slower than the client sends. */
  onBodyProgress(waits: boolean): void;
  /** The whole request was handed to the socket. */
  onSent(): void;
  onInformed(status: number, fields: FieldList): void;
  /**
   * Final status and fields, names lower-case, values as Latin-1 text.
   * @param isFollowed more of the answer is at hand and comes in the same turn.
   */
  onHead(status: number, fields: FieldList, isFollowed: boolean): void;
  /**
   * @param room bytes directly before the chunk that may be overwritten too, as long as the chunk may be read.
   * @returns false to pause: the bytes then stay the callee's until `resume()`, or for good where this was
   * the end. After true they are overwritten by the next read.
   */
  onData(chunk: Uint8Array, room?: number): boolean;
  onEnd(trailers: FieldList): void;
  /** Instead of a head: the server agreed to the upgrade with a valid 101; `stream` is the connection. */
  onUpgraded(fields: FieldList, stream: Duplex): void;
  onFailed(failure: AttemptFailure): void;
}

export interface UpstreamCall {
  resume(): void;
  /** Ends the exchange at once and closes its connection. */
  cancel(): void;
}

/** May send a request once more, where an idle connection turned out to be closed by the server. */
export interface Resender {
  /** @returns whether the handler will hear of another try instead of this failure. */
  resend(): boolean;
}

export interface Upstream {
  start(origin: string, request: OutgoingRequest, handler: UpstreamHandler): UpstreamCall;
}
