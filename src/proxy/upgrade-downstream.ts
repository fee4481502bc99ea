// The client's side of a websocket upgrade, over the bare socket that node:http hands out. Until the server
// has agreed it is an exchange like any other: it can be refused with a local reply or get the server's
// plain answer, with the connection closed behind it. What the client sends early is held.

import { STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Downstream, DownstreamListener, RequestHead, Tunnel } from './downstream.ts';

// Held until the tunnel is open; a client that sends more before a 101 waits.
const EARLY_BYTES = 65_536;

export class UpgradeDownstream implements Downstream {
  readonly head: RequestHead;
  readonly body = null;
  readonly tunnel: Tunnel;
  readonly peerAddress: string;
  readonly isSecure = false;
  listener: DownstreamListener | null = null;
  readonly #socket: Duplex;
  #early: Buffer[];
  #earlyBytes = 0;
  #isHeadSent = false;
  #isGone = false;
  #isChunked = false;

  constructor(head: RequestHead, socket: Duplex, early: Uint8Array, peerAddress: string) {
    this.head = head;
    this.#socket = socket;
    this.peerAddress = peerAddress;
    this.#early = early.length > 0 ? [Buffer.from(early)] : [];
    this.tunnel = { open: (fields) => this.#open(fields) };
    // Read on, or the client's going away would not be noticed.
    socket.on('data', this.#hold);
    socket.on('error', ignore);
    socket.on('drain', () => this.listener?.onDrain());
    socket.once('close', () => {
      this.#isGone = true;
      this.listener?.onGone();
    });
  }

  get isHeadSent(): boolean {
    return this.#isHeadSent;
  }

  get isGone(): boolean {
    return this.#isGone;
  }

  frame(): void {
    // An upgrade has no body.
  }

  flush(): void {
    // Heads are written at once.
  }

  inform(): void {
    // An interim answer before a 101 would only confuse clients, and none expects one.
  }

  sendHead(status: number, fields: string[], framing: number | 'chunked' | 'none'): void {
    this.#isHeadSent = true;
    this.#isChunked = framing === 'chunked';
    const all = [...fields, 'connection', 'close'];
    if (typeof framing === 'number') all.push('content-length', String(framing));
    if (framing === 'chunked') all.push('transfer-encoding', 'chunked');
    this.#socket.write(headText(status, all), 'latin1');
  }

  write(chunk: Uint8Array): boolean {
    if (!this.#isChunked) return this.#socket.write(chunk);
    if (chunk.length === 0) return true;
    this.#socket.write(`${chunk.length.toString(16)}\r\n`);
    this.#socket.write(chunk);
    return this.#socket.write('\r\n');
  }

  finishWith(chunk: Uint8Array): boolean {
    const isTaken = this.write(chunk);
    this.finish();
    return isTaken;
  }

  finish(): void {
    this.#isGone = true;
    this.listener = null;
    if (this.#isChunked) this.#socket.write('0\r\n\r\n');
    // What the client still sends is read away; it was never accepted.
    this.#socket.off('data', this.#hold);
    this.#socket.resume();
    let timer = setTimeout(() => this.#socket.destroy(), FLUSH_MS);
    timer.unref();
    // First the client takes what was said, at its own pace; only then does the lingering begin.
    this.#socket.end(() => {
      clearTimeout(timer);
      timer = setTimeout(() => this.#socket.destroy(), LINGER_MS);
      timer.unref();
    });
    this.#socket.once('close', () => clearTimeout(timer));
  }

  destroy(): void {
    this.#socket.destroy();
  }

  readonly #hold = (chunk: Buffer): void => {
    this.#early.push(chunk);
    this.#earlyBytes += chunk.length;
    if (this.#earlyBytes >= EARLY_BYTES) this.#socket.pause();
  };

  #open(fields: readonly string[]): Duplex {
    this.#isHeadSent = true;
    this.#socket.off('data', this.#hold);
    this.#socket.pause();
    this.#socket.write(headText(101, [...fields, 'connection', 'Upgrade', 'upgrade', 'websocket']), 'latin1');
    if (this.#early.length > 0) this.#socket.unshift(Buffer.concat(this.#early));
    this.#early = [];
    return this.#socket;
  }
}

const LINGER_MS = 1000;
// Longest that a client may take for the rest of an answer.
const FLUSH_MS = 60_000;

function headText(status: number, fields: readonly string[]): string {
  let text = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? 'Unknown'}\r\n`;
  for (let i = 0; i < fields.length; i += 2) text += `${fields[i]}: ${fields[i + 1]}\r\n`;
  return `${text}\r\n`;
}

function ignore(): void {}
