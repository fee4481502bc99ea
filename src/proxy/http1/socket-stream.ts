// A client's connection as an ordinary stream, for a websocket: whoever read heads into its own memory now
// passes the bytes on, copied, because a stream keeps what it is given.

import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';

export class SocketStream extends Duplex {
  readonly #socket: Socket;

  constructor(socket: Socket) {
    super({ allowHalfOpen: false });
    this.#socket = socket;
    socket.on('end', () => this.push(null));
    socket.on('close', () => this.destroy());
    socket.on('error', (error) => this.destroy(error));
    this.on('error', ignore);
  }

  /** Bytes from the connection. */
  receive(bytes: Buffer): void {
    if (!this.push(Buffer.from(bytes))) this.#socket.pause();
  }

  override _read(): void {
    if (this.#socket.isPaused()) this.#socket.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#socket.write(chunk, done);
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#socket.end(done);
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#socket.destroy();
    done(error);
  }
}

function ignore(): void {}
