// The client's side of one exchange, as the walk sees it. Implemented over node:http in listener.ts; a
// codec of our own can take its place without a change to the walk. Implementations guarantee: at most one
// head, nothing behind `finish` or `destroy`, and callbacks never come from inside a call.

import type { Duplex } from 'node:stream';
import type { FieldList } from '../core/model.ts';

/** A request as it came, before any rule was applied to it. */
export interface RequestHead {
  readonly method: string;
  readonly target: string;
  readonly httpMinor: 0 | 1;
  /** Names in the client's case. */
  readonly fields: FieldList;
}

/** `too_large`: longer than the region takes. */
export type BodyFailure = 'gone' | 'malformed' | 'idle' | 'too_large';

export type Collected =
  | { readonly kind: 'whole'; readonly bytes: Uint8Array }
  /** There is more than was asked for; it follows when the body is streamed. */
  | { readonly kind: 'prefix'; readonly bytes: Uint8Array }
  | { readonly kind: 'failed'; readonly why: BodyFailure };

export interface BodySink {
  /**
   * @returns false to be left alone until it calls `resume`; the bytes stay the callee's until then. After
   * true they are overwritten.
   */
  data(chunk: Uint8Array): boolean;
  end(): void;
  failed(why: BodyFailure): void;
}

/** Body of a request; read once, in order. */
export interface RequestBody {
  /** Declared length in bytes; undefined when chunked. */
  readonly length: number | undefined;
  /** True when the last byte has been taken by a reader. */
  readonly isConsumed: boolean;
  /**
   * Reads until the end, or until `limit` bytes are exceeded or `enough` says so.
   * @param idleMs longest wait for the next byte; 0 = none.
   */
  collect(limit: number, idleMs: number, enough?: (chunk: Uint8Array) => boolean): Promise<Collected>;
  /** Sends everything not yet taken to `sink`. */
  stream(sink: BodySink): void;
  pause(): void;
  resume(): void;
}

/** The client asked for a websocket and its connection can become one. */
export interface Tunnel {
  /**
   * Answers 101 with these fields (Connection and Upgrade are added) and gives the connection away.
   * Bytes that the client sent before are its first.
   */
  open(fields: readonly string[]): Duplex;
}

/** How the body of a request ends, as screening the head has found it. */
export interface BodyFraming {
  readonly contentLength: number | undefined;
  readonly isChunked: boolean;
  readonly expectsContinue: boolean;
}

export interface DownstreamListener {
  /** Called once, when the client goes away before `finish`. */
  onGone(): void;
  /** More can be written after `write` said no. */
  onDrain(): void;
}

export interface Downstream {
  readonly head: RequestHead;
  /** null when the request has no body, and before `frame`. */
  readonly body: RequestBody | null;
  /** null for a plain request. */
  readonly tunnel: Tunnel | null;
  /** Address of the peer, canonical text. */
  readonly peerAddress: string;
  readonly isSecure: boolean;
  readonly isHeadSent: boolean;
  /** The client went away, or the exchange was destroyed. */
  readonly isGone: boolean;
  /** Who hears of the client while the exchange lasts. */
  listener: DownstreamListener | null;

  /** Says where the body ends; an answer without it closes the connection, whose next message is unknown. */
  frame(framing: BodyFraming): void;
  /** An interim answer (103); not sent to HTTP/1.0. */
  inform(status: number, fields: FieldList): void;
  /**
   * Final status and fields with lower-case names, without framing of connections.
   * @param framing a length in bytes, `chunked`, or `none` for a message that has no body.
   * @param keepAlive false closes the connection behind this answer.
   */
  sendHead(status: number, fields: string[], framing: number | 'chunked' | 'none', keepAlive: boolean): void;
  /** Sends the head now; otherwise it may wait for the first piece of body and leave with it. */
  flush(): void;
  /**
   * @returns false when the client reads slower: wait for `onDrain`; until then the bytes are still needed.
   * After true they may be overwritten.
   * @param room bytes directly before the chunk that may be used for what stands before it on the wire.
   */
  write(chunk: Uint8Array, room?: number): boolean;
  /** Last piece and end in one call. @returns false when the bytes are still needed afterwards. */
  finishWith(chunk: Uint8Array, room?: number): boolean;
  /** @param trailers sent only where framing is chunked. */
  finish(trailers?: FieldList): void;
  /** Cuts the connection: the only truthful end of an answer that cannot be completed. */
  destroy(): void;
}
