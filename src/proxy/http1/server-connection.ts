// A connection to a server: writes one request at a time, reads its answer as strictly as a client's
// request (http-rules 6), and is fit for another only when both sides have said all they announced and
// nothing more.

import { connect, type Socket } from 'node:net';
import type { AttemptFailure, Reason } from '../../core/reasons.ts';
import { type TimerWheel, WheelTimer } from '../timer-wheel.ts';
import type { OutgoingRequest, Resender, UpstreamHandler } from '../upstream.ts';
import { failureOf } from '../upstream-errors.ts';
import type { PoolOptions } from '../upstream-pools.ts';
import type { BodyDecoder } from './body-decoder.ts';
import { hasBareLineFeed, keepsConnection, type ParsedHead, parseHead, parseStatusLine } from './head.ts';
import { ReadMemory } from './read-memory.ts';
import { answerFraming, bodyFailure, cutShort, framingOfNothing, requestText } from './server-message.ts';

export interface ServerConnectionOptions extends Omit<PoolOptions, 'connections'> {
  readonly host: string;
  readonly port: number;
  readonly wheel: TimerWheel;
}

/** The pool's side of a connection. */
export interface ConnectionOwner {
  onOpen(connection: ServerConnection): void;
  /** Never opened. */
  onOpenFailed(connection: ServerConnection, failure: AttemptFailure): void;
  /** Free for another request. */
  onFree(connection: ServerConnection): void;
  /** Closed, whatever it was doing; called once, after onOpen. @param byServerWhileIdle see pool. */
  onClosed(connection: ServerConnection, byServerWhileIdle: boolean): void;
}

const EMPTY = Buffer.alloc(0);
// A small body is copied behind its head, so that both are one write.
const JOINED_BYTES = 4096;
const HEAD_END = Buffer.from('\r\n\r\n');

export class ServerConnection extends WheelTimer {
  readonly #options: ServerConnectionOptions;
  readonly #owner: ConnectionOwner;
  readonly #socket: Socket;
  #phase: 'connecting' | 'idle' | 'head' | 'body' | 'closed' = 'connecting';
  #handler: UpstreamHandler | null = null;
  #request: OutgoingRequest | null = null;
  #resender: Resender | null = null;
  #isSent = true;
  #partial: Buffer | null = null;
  #decoder: BodyDecoder | null = null;
  #mayBeReused = false;
  readonly #memory = new ReadMemory();
  // Answer bytes that came while the handler held us off.
  #held: Buffer | null = null;
  #isHeld = false;
  // The server ended the connection while the handler held us off.
  #hasEnded = false;
  #method = 'GET';
  /** For the pool: monotonic milliseconds when it became idle, and requests sent. */
  idleSince = 0;
  uses = 0;

  constructor(options: ServerConnectionOptions, owner: ConnectionOwner) {
    super();
    this.#options = options;
    this.#owner = owner;
    this.#socket = connect({
      host: options.host,
      port: options.port,
      noDelay: true,
      onread: { buffer: () => this.#memory.next(this.#isHeld), callback: (size) => this.#onRead(size) },
    });
    this.#socket.on('connect', () => this.#onConnect());
    this.#socket.on('error', (error) => this.#onError(error));
    this.#socket.on('end', () => this.#onEnd());
    this.#socket.on('close', () => this.#onClose());
    options.wheel.arm(this, options.connectTimeout);
  }

  get isIdle(): boolean {
    return this.#phase === 'idle' && !this.#socket.destroyed;
  }

  /** Sends a request; only on an idle connection. */
  send(request: OutgoingRequest, handler: UpstreamHandler, resender: Resender): void {
    this.#request = request;
    this.#resender = resender;
    this.uses += 1;
    this.#handler = handler;
    this.#phase = 'head';
    this.#isSent = false;
    this.#method = request.method;
    handler.onConnected();
    // The handler may have given up just now.
    if (this.#handler !== handler) return;
    const { body } = request;
    switch (body.kind) {
      case 'none':
        this.#socket.write(requestText(request, framingOfNothing(request.method)), 'latin1');
        return this.#sent();
      case 'buffered':
        this.#writeBuffered(request, body.bytes);
        return this.#sent();
      case 'streamed':
        return this.#writeStreamed(request, body);
    }
  }

  /** The handler wants more of an answer that it held off. */
  resume(): void {
    if (!this.#isHeld || this.#phase !== 'body') return;
    this.#isHeld = false;
    this.#memory.giveBack();
    const held = this.#held;
    this.#held = null;
    if (held !== null) this.#readBody(held, 0, held.length);
    if (this.#isHeld || this.#phase !== 'body') return;
    if (this.#hasEnded) this.#answered([]);
    else this.#socket.resume();
  }

  /** Ends the exchange of `handler`, if it is under way; it hears nothing any more. */
  abandon(handler: UpstreamHandler): void {
    if (this.#handler === handler) this.destroy();
  }

  destroy(): void {
    this.#handler = null;
    this.#socket.destroy();
  }

  expireIn(ms: number): void {
    this.#options.wheel.arm(this, ms);
  }

  override onExpire(): void {
    if (this.#phase === 'connecting') {
      const error = Object.assign(new Error(`no connection within ${this.#options.connectTimeout} ms`), {
        code: 'UND_ERR_CONNECT_TIMEOUT',
      });
      this.#socket.destroy(error);
    } else if (this.#phase === 'idle') {
      this.#socket.destroy();
    }
  }

  // ---- bytes out ----

  #writeBuffered(request: OutgoingRequest, bytes: Uint8Array): void {
    const text = requestText(request, `content-length: ${bytes.length}\r\n`);
    if (bytes.length <= JOINED_BYTES) {
      const joined = Buffer.allocUnsafe(text.length + bytes.length);
      joined.write(text, 0, 'latin1');
      joined.set(bytes, text.length);
      this.#socket.write(joined);
      return;
    }
    this.#socket.cork();
    this.#socket.write(text, 'latin1');
    this.#socket.write(bytes);
    this.#socket.uncork();
  }

  #writeStreamed(
    request: OutgoingRequest,
    body: Extract<OutgoingRequest['body'], { kind: 'streamed' }>,
  ): void {
    const isChunked = body.length === undefined;
    const framing = isChunked ? 'transfer-encoding: chunked\r\n' : `content-length: ${body.length}\r\n`;
    this.#socket.write(requestText(request, framing), 'latin1');
    const handler = this.#handler;
    const write = (chunk: Uint8Array): boolean => {
      if (chunk.length === 0) return true;
      if (!isChunked) {
        this.#socket.write(chunk);
      } else {
        this.#socket.cork();
        this.#socket.write(`${chunk.length.toString(16)}\r\n`, 'latin1');
        this.#socket.write(chunk);
        this.#socket.write('\r\n', 'latin1');
        this.#socket.uncork();
      }
      // Only what the kernel has taken may be overwritten by the client's next bytes.
      if (this.#socket.writableLength === 0) return true;
      this.#socket.write(EMPTY, this.#flushed);
      return false;
    };
    if (body.prefix !== null) write(body.prefix);
    body.rest.stream({
      data: (chunk) => {
        if (this.#handler !== handler || this.#phase === 'closed') return false;
        const goesOn = write(chunk);
        handler?.onBodyProgress(!goesOn);
        return goesOn;
      },
      end: () => {
        if (this.#handler !== handler || this.#phase === 'closed') return;
        if (isChunked) this.#socket.write('0\r\n\r\n', 'latin1');
        this.#sent();
      },
      failed: (why) => {
        if (this.#handler !== handler) return;
        this.#fail(bodyFailure(why));
      },
    });
  }

  readonly #flushed = (error?: Error | null): void => {
    const { body } = this.#request ?? {};
    if (body?.kind !== 'streamed' || error) return;
    if (this.#socket.writableLength === 0) body.rest.resume();
    else this.#socket.write(EMPTY, this.#flushed);
  };

  #sent(): void {
    this.#isSent = true;
    this.#request = null;
    this.#handler?.onSent();
  }

  // ---- bytes in ----

  #onRead(size: number): boolean {
    const buffer = this.#memory.current;
    switch (this.#phase) {
      case 'head':
        this.#readHead(buffer, size);
        break;
      case 'body':
        this.#readBody(buffer, 0, size);
        break;
      default:
        // Bytes on an idle connection belong to no request: a desynchronised or hostile server.
        this.#socket.destroy();
    }
    return !this.#isHeld;
  }

  #readHead(buffer: Buffer, size: number): void {
    let bytes = buffer;
    let to = size;
    if (this.#partial !== null) {
      bytes = Buffer.concat([this.#partial, buffer.subarray(0, size)]);
      to = bytes.length;
      this.#partial = null;
    }
    let from = 0;
    // Interim answers may precede the final one in the same bytes.
    while (this.#phase === 'head') {
      const end = bytes.indexOf(HEAD_END, from);
      if (end === -1 || end + 4 > to) {
        return this.#keepPartial(Buffer.from(bytes.subarray(from, to)));
      }
      const isTooLarge = end - from > this.#options.responseHeaderBytes;
      if (isTooLarge) return this.#failWith('upstream_too_large', 'header block');
      const parsed = parseHead(bytes.toString('latin1', from, end));
      from = end + 4;
      if ('fault' in parsed) return this.#failWith('upstream_malformed', parsed.fault);
      this.#takeHead(parsed, to > from);
    }
    if (this.#phase === 'body') this.#readBody(bytes, from, to);
  }

  #keepPartial(partial: Buffer): void {
    // All but the last byte of the empty line that ends a block of the greatest size.
    if (partial.length > this.#options.responseHeaderBytes + 3)
      this.#failWith('upstream_too_large', 'header block');
    else if (hasBareLineFeed(partial)) this.#failWith('upstream_malformed', 'a line does not end with CRLF');
    else this.#partial = partial;
  }

  #takeHead({ first, fields }: ParsedHead, isFollowed: boolean): void {
    const start = parseStatusLine(first);
    if ('fault' in start) return this.#failWith('upstream_malformed', start.fault);
    if (start.status < 200) return this.#interim(start.status, fields);

    const framing = answerFraming(fields, start.status, this.#method, this.#options.trailerFields);
    if (typeof framing === 'string') return this.#failWith('upstream_malformed', framing);
    this.#decoder = framing;
    this.#mayBeReused = keepsConnection(fields, start.httpMinor) && !framing.endsWithConnection();
    this.#phase = 'body';
    this.#handler?.onHead(start.status, fields, isFollowed || framing.isDone);
  }

  #interim(status: number, fields: readonly string[]): void {
    if (status === 101)
      return this.#failWith('upstream_malformed', '101 to a request that asked for no upgrade');
    this.#handler?.onInformed(status, fields);
  }

  #readBody(bytes: Buffer, from: number, to: number): void {
    const decoder = this.#decoder;
    if (decoder === null) return;
    if (this.#isHeld) {
      // Read before the pause took hold.
      const more = bytes.subarray(from, to);
      this.#held = this.#held === null ? Buffer.from(more) : Buffer.concat([this.#held, more]);
      return;
    }
    const result = decoder.decode(bytes, from, to, this.#content);
    if ('fault' in result) return this.#failWith('upstream_malformed', result.fault);
    if (this.#phase !== 'body') return;
    const rest = from + result.taken;
    if (decoder.isDone) {
      if (rest < to) this.#mayBeReused = false;
      return this.#answered(decoder.trailers);
    }
    if (!result.isHeld) return;
    this.#isHeld = true;
    if (rest < to) this.#held = Buffer.from(bytes.subarray(rest, to));
    this.#socket.pause();
  }

  readonly #content = (chunk: Buffer): boolean => {
    const room = this.#memory.roomBefore(chunk);
    const goesOn = this.#handler?.onData(chunk, Math.max(0, room)) ?? true;
    if (!goesOn && room !== -1) this.#memory.keep();
    return goesOn;
  };

  #answered(trailers: readonly string[]): void {
    const handler = this.#handler;
    this.#handler = null;
    this.#decoder = null;
    this.#isHeld = false;
    this.#held = null;
    this.#memory.forget();
    // An answer before the end of the request leaves a server that may still be waiting for the rest.
    const isFree = this.#mayBeReused && this.#isSent && !this.#socket.destroyed;
    this.#phase = isFree ? 'idle' : 'closed';
    handler?.onEnd(trailers);
    if (isFree) this.#owner.onFree(this);
    else this.#socket.destroy();
  }

  // ---- ends ----

  #onConnect(): void {
    this.#options.wheel.disarm(this);
    this.#phase = 'idle';
    this.#owner.onOpen(this);
  }

  #onError(error: Error): void {
    if (this.#phase === 'connecting') {
      this.#phase = 'closed';
      this.#options.wheel.disarm(this);
      this.#owner.onOpenFailed(this, failureOf(error, false, false));
      return;
    }
    // While idle there is nobody to tell but the pool, which hears of it when the connection closes.
    if (this.#phase !== 'idle') this.#fail(failureOf(error, true, this.#phase === 'body'));
  }

  #onEnd(): void {
    if (this.#phase === 'body' && this.#decoder?.endsWithConnection()) {
      this.#hasEnded = true;
      if (!this.#isHeld) this.#answered([]);
      return;
    }
    if (this.#phase === 'head' || this.#phase === 'body') {
      this.#fail(cutShort(this.#phase === 'head' ? 'closed before its answer' : 'closed within its answer'));
    }
    this.#socket.destroy();
  }

  #onClose(): void {
    const wasIdle = this.#phase === 'idle';
    this.#options.wheel.disarm(this);
    if (this.#phase === 'head' || (this.#phase === 'body' && !this.#hasEnded)) this.#fail(cutShort('closed'));
    if (this.#phase === 'connecting') {
      this.#phase = 'closed';
      this.#owner.onOpenFailed(this, cutShort('closed while connecting'));
      return;
    }
    // What came before the end is still to be taken by a handler that holds us off.
    if (!this.#hasEnded || !this.#isHeld) this.#phase = 'closed';
    this.#owner.onClosed(this, wasIdle);
  }

  #failWith(reason: Reason, cause: string): void {
    this.#fail({ ...cutShort(cause), reason });
  }

  #fail(failure: AttemptFailure): void {
    const handler = this.#handler;
    const wasStale = this.uses > 1 && this.#phase === 'head' && failure.reason === 'upstream_reset';
    this.#handler = null;
    this.#request = null;
    this.#phase = 'closed';
    this.#socket.destroy();
    if (wasStale && handler !== null && this.#resender?.resend()) return;
    handler?.onFailed(failure);
  }
}
