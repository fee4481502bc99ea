// A request body over node:http's readable side: taken whole when it is small (so that it can be replayed
// and a slow client cannot hold a server), streamed with backpressure otherwise. The first read of a body
// whose client waits for `100-continue` sends it.

import type { IncomingMessage } from 'node:http';
import type { BodySink, Collected, RequestBody } from './downstream.ts';
import { type TimerWheel, WheelTimer } from './timer-wheel.ts';

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

export class NodeRequestBody implements RequestBody {
  readonly length: number | undefined;
  readonly #message: IncomingMessage;
  readonly #wheel: TimerWheel;
  // Sends `100 Continue`, once, when the first reader comes.
  #sendContinue: (() => void) | null;
  #sink: BodySink | null = null;
  #isEnded = false;
  #failure: 'gone' | 'malformed' | null = null;

  constructor(
    message: IncomingMessage,
    length: number | undefined,
    wheel: TimerWheel,
    sendContinue: (() => void) | null,
  ) {
    this.length = length;
    this.#message = message;
    this.#wheel = wheel;
    this.#sendContinue = sendContinue;
    message.on('data', (chunk: Buffer) => this.#onData(chunk));
    message.on('end', () => this.#onEnd());
    message.on('error', () => this.fail('gone'));
    message.on('close', () => {
      if (!this.#isEnded) this.fail('gone');
    });
    message.pause();
  }

  get isConsumed(): boolean {
    return this.#isEnded;
  }

  collect(limit: number, idleMs: number, enough?: (chunk: Uint8Array) => boolean): Promise<Collected> {
    return new Promise((resolve) => {
      const chunks: Uint8Array[] = [];
      let size = 0;
      const finish = (result: Collected): void => {
        this.#wheel.disarm(timer);
        this.#sink = null;
        resolve(result);
      };
      const timer = new IdleTimer(() => {
        this.#message.pause();
        finish({ kind: 'failed', why: 'idle' });
      });
      if (idleMs > 0) this.#wheel.arm(timer, idleMs);
      this.stream({
        data: (chunk) => {
          chunks.push(chunk);
          size += chunk.length;
          const isEnough = enough?.(chunk) ?? false;
          if (size > limit || isEnough) {
            finish({ kind: 'prefix', bytes: joinChunks(chunks) });
            return false;
          }
          if (idleMs > 0) this.#wheel.arm(timer, idleMs);
          return true;
        },
        end: () => finish({ kind: 'whole', bytes: joinChunks(chunks) }),
        failed: (why) => finish({ kind: 'failed', why }),
      });
    });
  }

  stream(sink: BodySink): void {
    if (this.#failure !== null) return sink.failed(this.#failure);
    if (this.#isEnded) return sink.end();
    this.#sink = sink;
    this.#sendContinue?.();
    this.#sendContinue = null;
    this.#message.resume();
  }

  pause(): void {
    this.#message.pause();
  }

  resume(): void {
    this.#message.resume();
  }

  /** The parser refused the rest, or the connection went away. */
  fail(why: 'gone' | 'malformed'): void {
    if (this.#isEnded || this.#failure !== null) return;
    this.#failure = why;
    const sink = this.#sink;
    this.#sink = null;
    sink?.failed(why);
  }

  #onData(chunk: Buffer): void {
    const goesOn = this.#sink?.data(chunk) ?? false;
    if (!goesOn) this.#message.pause();
  }

  #onEnd(): void {
    this.#isEnded = true;
    const sink = this.#sink;
    this.#sink = null;
    sink?.end();
  }
}

function joinChunks(chunks: readonly Uint8Array[]): Uint8Array {
  if (chunks.length === 1) return chunks[0]!;
  return Buffer.concat(chunks);
}
