// A client's connection: reads heads, hands out one exchange at a time, keeps what follows for later, and
// watches the times a client may take. Pipelined requests are served in order, one after the other.

import type { Socket } from 'node:net';
import type { Reason } from '../../core/reasons.ts';
import type { BodyFraming, Downstream } from '../downstream.ts';
import { rawReply } from '../local-reply.ts';
import { type TimerWheel, WheelTimer } from '../timer-wheel.ts';
import { UpgradeDownstream } from '../upgrade-downstream.ts';
import { adoptSocket, type Reader } from './adopt-socket.ts';
import { ChunkedDecoder, LengthDecoder } from './body-decoder.ts';
import { Exchange } from './exchange.ts';
import {
  hasBareLineFeed,
  keepsConnection,
  type ParsedHead,
  parseHead,
  parseRequestLine,
  wantsWebSocket,
} from './head.ts';
import { type BodySource, Http1RequestBody } from './request-body.ts';
import { SocketStream } from './socket-stream.ts';

export interface ConnectionOptions {
  readonly headerBytes: number;
  readonly trailerFields: number;
  /** Milliseconds. */
  readonly headerTimeout: number;
  readonly keepAlive: number;
}

/** The listener's side of a connection. */
export interface ConnectionHost {
  readonly wheel: TimerWheel;
  readonly isDraining: boolean;
  /** Where all connections read heads and small bodies into; nobody keeps anything in it. */
  readonly sharedBuffer: Buffer;
  options(): ConnectionOptions;
  /** RFC 9110 date of now. */
  httpDate(): string;
  onRequest(exchange: Downstream): void;
  onRefused(reason: Reason, detail: string): void;
}

// Bytes that a client may send ahead of its turn before it is not read further.
const PIPELINED_BYTES = 65_536;
const HEAD_END = Buffer.from('\r\n\r\n');
const EMPTY = Buffer.alloc(0);
// One read of a body.
const BODY_BUFFER_BYTES = 65_536;
// What a refused client still sends is dropped this long, so that the close does not overtake the answer.
const LINGER_MS = 1000;

export class ClientConnection extends WheelTimer implements BodySource, Reader {
  readonly peerAddress: string;
  readonly #socket: Socket;
  readonly #host: ConnectionHost;
  #input: Buffer | null = null;
  #exchange: Exchange | null = null;
  #bodyBuffer: Buffer | null = null;
  #stream: SocketStream | null = null;
  #waitsForDrain = false;
  // The time of the head under way has begun; bytes that trickle in do not prolong it.
  #isHeadTimed = true;
  // `discard`: the answer is complete, the rest of a short request body is on its way.
  #phase: 'head' | 'exchange' | 'discard' | 'closing' | 'given_away' = 'head';
  /** Called once, when the connection is gone, whoever has it. */
  onClosed: (() => void) | null = null;

  /** @param accepted a socket that nobody has read from yet. */
  constructor(accepted: Socket, host: ConnectionHost, peerAddress: string) {
    super();
    this.#host = host;
    this.peerAddress = peerAddress;
    this.#socket = adoptSocket(accepted, this);
    host.wheel.arm(this, host.options().headerTimeout);
    this.#socket.on('drain', this.#onDrain);
    this.#socket.on('end', this.#onEnd);
    this.#socket.on('close', this.#onClose);
    this.#socket.once('close', () => this.onClosed?.());
    this.#socket.on('error', this.#onEnd);
  }

  get isDraining(): boolean {
    return this.#host.isDraining;
  }

  /** No request is under way or half received. */
  get isIdle(): boolean {
    return this.#phase === 'head' && this.#input === null;
  }

  httpDate(): string {
    return this.#host.httpDate();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  /** Ends the connection in a way that nobody takes for the end of an answer. */
  reset(): void {
    if (this.peerAddress === 'unix') this.#socket.destroy();
    else this.#socket.resetAndDestroy();
  }

  // ---- bytes in ----

  /**
   * Heads are read into memory that all connections share: what is not used up at once is copied out of it.
   * A body gets memory of its own, which a slow server may hold on to.
   */
  nextBuffer(): Buffer {
    if (this.#phase !== 'exchange' || (this.#exchange?.body?.isConsumed ?? true))
      return this.#host.sharedBuffer;
    if (this.#bodyBuffer === null) this.#bodyBuffer = Buffer.allocUnsafeSlow(BODY_BUFFER_BYTES);
    return this.#bodyBuffer;
  }

  onRead(buffer: Buffer, size: number): void {
    switch (this.#phase) {
      case 'head':
        if (this.#input === null) return this.#readHead(buffer, size);
        return this.#readHeld(buffer.subarray(0, size));
      case 'exchange':
      case 'discard':
        return this.#readBody(buffer, size);
      case 'given_away':
        return this.#stream?.receive(buffer.subarray(0, size));
      case 'closing':
        return; // Dropped.
    }
  }

  #readBody(buffer: Buffer, size: number): void {
    const body = this.#exchange?.body ?? null;
    const bytes = buffer.subarray(0, size);
    if (body === null || body.isConsumed) this.takeBack(bytes);
    // The read behind a pipelined head was prepared before anyone knew that a body comes. A reader may keep
    // what it gets, and shared memory is nobody's to keep.
    else body.feed(buffer === this.#host.sharedBuffer ? Buffer.from(bytes) : bytes);
  }

  #readHeld(more: Buffer): void {
    const input = this.#input === null ? more : Buffer.concat([this.#input, more]);
    this.#input = null;
    this.#readHead(input, input.length);
  }

  #readHead(input: Buffer, to: number): void {
    const { headerBytes, headerTimeout } = this.#host.options();
    // A client may send empty lines before a request (RFC 9112, 2.2).
    let from = 0;
    while (from + 2 <= to && input[from] === CR && input[from + 1] === LF) from += 2;
    const end = input.indexOf(HEAD_END, from);
    if (end !== -1 && end + 4 <= to) {
      if (end - from > headerBytes) return this.#refuse('header_too_large', `over ${headerBytes} bytes`);
      const parsed = parseHead(input.toString('latin1', from, end));
      if ('fault' in parsed) return this.#refuse('bad_request', parsed.fault);
      this.#input = end + 4 === to ? null : Buffer.from(input.subarray(end + 4, to));
      return this.#begin(parsed);
    }
    const partial = Buffer.from(input.subarray(from, to));
    if (hasBareLineFeed(partial)) return this.#refuse('bad_request', 'a line does not end with CRLF');
    // All but the last byte of the empty line that ends a block of the greatest size.
    if (partial.length > headerBytes + 3)
      return this.#refuse('header_too_large', `over ${headerBytes} bytes`);
    if (partial.length > 0) this.#input = partial;
    if (this.#isHeadTimed) return;
    this.#isHeadTimed = true;
    this.#host.wheel.arm(this, headerTimeout);
  }

  #begin({ first, fields }: ParsedHead): void {
    const line = parseRequestLine(first);
    if ('fault' in line) return this.#refuse('bad_request', line.fault);
    // The timer stays in the wheel: if it fires during the exchange it finds nothing to do.
    this.#isHeadTimed = false;
    const head = { method: line.method, target: line.target, httpMinor: line.httpMinor, fields };
    if (wantsWebSocket(line, fields)) return this.#giveAway(head);
    const exchange = new Exchange(head, this, keepsConnection(fields, line.httpMinor));
    this.#exchange = exchange;
    this.#phase = 'exchange';
    this.#host.onRequest(exchange);
  }

  /** The walk has found how the body ends; what came behind the head is its beginning. */
  beginBody(framing: BodyFraming): Http1RequestBody | null {
    const { contentLength, isChunked, expectsContinue } = framing;
    if (!isChunked && (contentLength === undefined || contentLength === 0)) return null;
    const decoder = isChunked
      ? new ChunkedDecoder({ trailerFields: this.#host.options().trailerFields })
      : new LengthDecoder(contentLength!);
    const length = isChunked ? undefined : contentLength;
    const body = new Http1RequestBody(length, decoder, this, this.#host.wheel, expectsContinue);
    const input = this.#input;
    this.#input = null;
    if (input !== null) body.begin(input);
    return body;
  }

  #giveAway(head: Downstream['head']): void {
    this.#phase = 'given_away';
    this.#removeListeners();
    const early = this.#input ?? Buffer.alloc(0);
    this.#input = null;
    this.#stream = new SocketStream(this.#socket);
    this.#host.onRequest(new UpgradeDownstream(head, this.#stream, early, this.peerAddress));
  }

  // ---- BodySource ----

  pauseReading(): void {
    this.#socket.pause();
  }

  resumeReading(): void {
    if (this.#socket.isPaused()) this.#socket.resume();
  }

  bytesKept(): void {
    this.#bodyBuffer = null;
  }

  takeBack(rest: Buffer): void {
    this.#input = this.#input === null ? Buffer.from(rest) : Buffer.concat([this.#input, rest]);
    if (this.#input.length > PIPELINED_BYTES) this.#socket.pause();
  }

  sendContinue(): void {
    this.#socket.write('HTTP/1.1 100 Continue\r\n\r\n', 'latin1');
  }

  malformed(rule: string): void {
    this.#refuse('bad_request', rule);
  }

  // ---- bytes out ----

  write(text: string): boolean {
    return this.#written(this.#socket.write(text, 'latin1'));
  }

  /** Bytes that nobody else will touch. */
  writeOwned(bytes: Buffer): boolean {
    return this.#written(this.#socket.write(bytes));
  }

  /**
   * Text, bytes and text in one system call. @returns whether the kernel has taken all of it: only then may
   * the bytes be overwritten.
   */
  writeBorrowed(before: string, bytes: Uint8Array, after: string): boolean {
    const socket = this.#socket;
    if (before === '' && after === '') {
      socket.write(bytes);
    } else {
      socket.cork();
      if (before !== '') socket.write(before, 'latin1');
      socket.write(bytes);
      if (after !== '') socket.write(after, 'latin1');
      socket.uncork();
    }
    if (socket.writableLength === 0) return true;
    // Node emits `drain` only when its own high-water mark was passed; borrowed bytes have to be waited for
    // in any case. Asked for behind them, because a callback with every write is a turn of its own.
    socket.write(EMPTY, this.#flushed);
    return this.#written(false);
  }

  readonly #flushed = (error?: Error | null): void => {
    if (!this.#waitsForDrain || error) return;
    if (this.#socket.writableLength === 0) this.#onDrain();
    else this.#socket.write(EMPTY, this.#flushed);
  };

  #written(goesOn: boolean): boolean {
    if (!goesOn) this.#waitsForDrain = true;
    return goesOn;
  }

  /** The answer is complete; called by the exchange, once. */
  exchangeEnded(keepAlive: boolean): void {
    const body = this.#exchange?.body ?? null;
    if (!keepAlive) {
      this.#exchange = null;
      this.#close();
    } else if (body === null || body.isConsumed) {
      this.#nextRequest();
    } else {
      // The rest of a short body is still on its way; the next head is behind it. It has a head's time.
      this.#phase = 'discard';
      this.#host.wheel.arm(this, this.#host.options().headerTimeout);
      body.stream({ data: () => true, end: () => this.#nextRequest(), failed: () => this.#close() });
    }
  }

  #nextRequest(): void {
    this.#exchange = null;
    this.#bodyBuffer = null;
    this.#phase = 'head';
    if (this.#waitsForDrain) {
      // A client that does not read its answers gets no further ones, and does not stay for ever.
      this.#host.wheel.arm(this, this.#host.options().keepAlive);
      return;
    }
    this.resumeReading();
    if (this.#input === null) {
      this.#host.wheel.arm(this, this.#host.options().keepAlive);
      return;
    }
    // Not from within the exchange that just ended: a long pipeline would become a deep stack.
    setImmediate(() => {
      if (this.#phase === 'head' && this.#input !== null) this.#readHeld(EMPTY);
    });
  }

  // ---- ends ----

  override onExpire(): void {
    if (this.#phase === 'exchange' || this.#phase === 'given_away') return;
    if (this.#phase !== 'head' || this.#input === null || this.#waitsForDrain) this.#cut();
    else this.#refuse('header_timeout', 'the header block did not end in time');
  }

  #cut(): void {
    if (this.#socket.writableLength > 0) this.reset();
    else this.#socket.destroy();
  }

  readonly #onDrain = (): void => {
    this.#waitsForDrain = false;
    if (this.#exchange === null && this.#phase === 'head') this.#nextRequest();
    else this.#exchange?.listener?.onDrain();
  };

  readonly #onEnd = (): void => {
    // A client that ends its side does not wait for an answer any more, as far as anyone can tell.
    this.#exchange?.gone();
    this.#socket.destroy();
  };

  readonly #onClose = (): void => {
    this.#host.wheel.disarm(this);
    this.#exchange?.gone();
    this.#exchange = null;
    this.#phase = 'closing';
  };

  /** Answers on the bare connection and closes it; nothing that follows can be trusted. */
  #refuse(reason: Reason, detail: string): void {
    this.#host.onRefused(reason, detail);
    const exchange = this.#exchange;
    this.#exchange = null;
    // The walk must not answer a second time.
    exchange?.gone();
    if (exchange?.isHeadSent) {
      this.#socket.destroy();
      return;
    }
    this.#socket.write(rawReply(reason));
    this.#close();
  }

  #close(): void {
    this.#phase = 'closing';
    this.#input = null;
    // First the client takes what was said, at its own pace; only then does the lingering begin.
    this.#host.wheel.arm(this, this.#host.options().keepAlive);
    this.#socket.end(() => this.#host.wheel.arm(this, LINGER_MS));
    this.#socket.resume();
  }

  #removeListeners(): void {
    this.#socket.off('drain', this.#onDrain);
    this.#socket.off('end', this.#onEnd);
    this.#socket.off('close', this.#onClose);
    this.#socket.off('error', this.#onEnd);
  }
}

const CR = 0x0d;
const LF = 0x0a;
