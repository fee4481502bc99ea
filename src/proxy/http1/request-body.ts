// A request body on a client connection: bytes arrive from the connection, are decoded, and go to whoever
// reads. Nothing is read from the socket beyond one piece before there is a reader who takes it, so a body
// that nobody wants costs no memory. The first reader of a client that waits for `100-continue` sends it.

import type { BodySink, Collected, RequestBody } from '../downstream.ts';
import { type TimerWheel, WheelTimer } from '../timer-wheel.ts';
import type { BodyDecoder } from './body-decoder.ts';

/** The connection's side of a body. */
export interface BodySource {
  pauseReading(): void;
  resumeReading(): void;
  /** A reader keeps what it was given last: read into other memory. */
  bytesKept(): void;
  /** Bytes behind the body: the next request. */
  takeBack(rest: Buffer): void;
  sendContinue(): void;
  /** The rest of the body breaks a rule; the connection cannot be used further. */
  malformed(rule: string): void;
}

class IdleTimer extends WheelTimer {
  readonly #expired: () => void;

  constructor(expired: () => void) {
    super();
    this.#expired = expired;
  }

  override onExpire(): void {
    this.#expired();
  }
}

export class Http1RequestBody implements RequestBody {
  readonly length: number | undefined;
  readonly #decoder: BodyDecoder;
  readonly #source: BodySource;
  readonly #wheel: TimerWheel;
  #expectsContinue: boolean;
  // What came before somebody read, or while a reader held us off.
  #waiting: Buffer | null = null;
  #sink: BodySink | null = null;
  #isHeld = false;
  // Whether the bytes being decoded are the body's to keep, or the connection's.
  #isOwned = false;
  #isEnded = false;
  #failure: 'gone' | 'malformed' | null = null;

  constructor(
    length: number | undefined,
    decoder: BodyDecoder,
    source: BodySource,
    wheel: TimerWheel,
    expectsContinue: boolean,
  ) {
    this.length = length;
    this.#decoder = decoder;
    this.#source = source;
    this.#wheel = wheel;
    this.#expectsContinue = expectsContinue;
  }

  get isConsumed(): boolean {
    return this.#isEnded;
  }

  /** The client has not been told yet that its body is wanted. */
  get isAwaitingContinue(): boolean {
    return this.#expectsContinue;
  }

  /** What came with the head; the body's to keep. */
  begin(bytes: Buffer): void {
    this.#waiting = bytes;
  }

  /** Bytes from the connection, valid during the call. */
  feed(bytes: Buffer): void {
    if (this.#sink !== null && !this.#isHeld) return this.#decode(bytes, false);
    if (this.#waiting === null) {
      this.#waiting = Buffer.from(bytes);
      return;
    }
    this.#waiting = Buffer.concat([this.#waiting, bytes]);
    this.#source.pauseReading();
  }

  /** The connection is gone. */
  fail(why: 'gone'): void {
    if (this.#isEnded || this.#failure !== null) return;
    this.#failure = why;
    const sink = this.#sink;
    this.#sink = null;
    sink?.failed(why);
  }

  collect(limit: number, idleMs: number, enough?: (chunk: Uint8Array) => boolean): Promise<Collected> {
    return new Promise((resolve) => {
      const chunks: Uint8Array[] = [];
      let size = 0;
      let timer: IdleTimer | null = null;
      const finish = (result: Collected): void => {
        if (timer !== null) this.#wheel.disarm(timer);
        this.#sink = null;
        resolve(result);
      };
      this.stream({
        data: (chunk) => {
          chunks.push(this.#isOwned ? chunk : Buffer.from(chunk));
          size += chunk.length;
          if ((enough?.(chunk) ?? false) || size > limit) {
            finish({ kind: 'prefix', bytes: joinChunks(chunks) });
            return false;
          }
          if (timer !== null) this.#wheel.arm(timer, idleMs);
          return true;
        },
        end: () => finish({ kind: 'whole', bytes: joinChunks(chunks) }),
        failed: (why) => finish({ kind: 'failed', why }),
      });
      // A small body usually came with its head: then there is nothing left to wait for.
      if (this.#sink === null || idleMs === 0) return;
      timer = new IdleTimer(() => {
        this.pause();
        finish({ kind: 'failed', why: 'idle' });
      });
      this.#wheel.arm(timer, idleMs);
    });
  }

  stream(sink: BodySink): void {
    if (this.#failure !== null) return sink.failed(this.#failure);
    if (this.#isEnded) return sink.end();
    this.#sink = sink;
    this.#isHeld = false;
    if (this.#expectsContinue) {
      this.#expectsContinue = false;
      this.#source.sendContinue();
    }
    this.#readOn();
  }

  pause(): void {
    this.#isHeld = true;
    this.#source.pauseReading();
  }

  resume(): void {
    if (!this.#isHeld || this.#sink === null) return;
    this.#isHeld = false;
    this.#readOn();
  }

  #readOn(): void {
    const waiting = this.#waiting;
    this.#waiting = null;
    if (waiting !== null) this.#decode(waiting, true);
    else if (this.#decoder.isDone) this.#end(EMPTY);
    if (!this.#isEnded && !this.#isHeld && this.#sink !== null) this.#source.resumeReading();
  }

  #decode(bytes: Buffer, isOwned: boolean): void {
    this.#isOwned = isOwned;
    const result = this.#decoder.decode(bytes, 0, bytes.length, (chunk) => this.#sink!.data(chunk));
    if ('fault' in result) {
      const sink = this.#sink;
      this.#sink = null;
      this.#failure = 'malformed';
      // The connection answers first: whoever reads then finds the client gone, and says nothing more.
      this.#source.malformed(result.fault);
      sink?.failed('malformed');
      return;
    }
    const rest = result.taken === bytes.length ? EMPTY : bytes.subarray(result.taken);
    if (this.#decoder.isDone) return this.#end(rest);
    // A reader that has gone (collect took its fill) holds us off like one that said no.
    if (!result.isHeld && this.#sink !== null) return;
    this.#isHeld = this.#sink !== null;
    if (rest.length > 0) this.#waiting = isOwned ? rest : Buffer.from(rest);
    if (this.#isHeld && !isOwned) this.#source.bytesKept();
    this.#source.pauseReading();
  }

  #end(rest: Buffer): void {
    this.#isEnded = true;
    const sink = this.#sink;
    this.#sink = null;
    if (rest.length > 0) this.#source.takeBack(rest);
    sink?.end();
  }
}

const EMPTY = Buffer.alloc(0);

function joinChunks(chunks: readonly Uint8Array[]): Uint8Array {
  return chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks);
}
