// One request and its answer on a client connection: the Downstream that the walk sees. Writes heads and
// framing itself (http-rules 1, 3); a small answer leaves in one write, head and body together.

import { STATUS_CODES } from 'node:http';
import type { FieldList } from '../../core/model.ts';
import type { BodyFraming, Downstream, DownstreamListener, RequestHead } from '../downstream.ts';
import type { ClientConnection } from './client-connection.ts';
import type { Http1RequestBody } from './request-body.ts';

// Rest of a request body that is read and thrown away so that an early answer can keep its connection.
// More than this is cheaper to cut than to carry.
const DISCARDED_BODY_BYTES = 65_536;
// A body up to this is copied behind its head, so that both are one write and nobody's memory is held for a
// client that reads slowly; beyond, the copy costs more than a second write.
const JOINED_BYTES = 4096;

export class Exchange implements Downstream {
  readonly head: RequestHead;
  readonly tunnel = null;
  readonly isSecure = false;
  body: Http1RequestBody | null = null;
  listener: DownstreamListener | null = null;
  readonly #connection: ClientConnection;
  /** Whether the connection may serve another request behind this one. */
  #keepAlive: boolean;
  #isFramed = false;
  // A head that waits for the first piece of its body.
  #headText: string | null = null;
  #isHeadSent = false;
  #isChunked = false;
  // The end of the connection is the end of the answer.
  #endsByClose = false;
  #isFinished = false;
  #isGone = false;

  constructor(head: RequestHead, connection: ClientConnection, keepAlive: boolean) {
    this.head = head;
    this.#connection = connection;
    this.#keepAlive = keepAlive;
  }

  get peerAddress(): string {
    return this.#connection.peerAddress;
  }

  get isHeadSent(): boolean {
    return this.#isHeadSent;
  }

  get isGone(): boolean {
    return this.#isGone;
  }

  get isFinished(): boolean {
    return this.#isFinished;
  }

  frame(framing: BodyFraming): void {
    this.#isFramed = true;
    this.body = this.#connection.beginBody(framing);
  }

  inform(status: number, fields: FieldList): void {
    if (this.head.httpMinor === 0 || this.#isHeadSent || this.#isGone) return;
    this.#connection.write(`HTTP/1.1 ${status} ${phrase(status)}\r\n${fieldText(fields)}\r\n`);
  }

  sendHead(status: number, fields: string[], framing: number | 'chunked' | 'none', keepAlive: boolean): void {
    this.#isHeadSent = true;
    const isOld = this.head.httpMinor === 0;
    this.#isChunked = framing === 'chunked' && !isOld;
    // An answer without length to HTTP/1.0 ends with its connection; so does one to a request whose own end
    // was never found.
    this.#endsByClose = framing === 'chunked' && isOld;
    if (
      !keepAlive ||
      this.#endsByClose ||
      !this.#isFramed ||
      this.#connection.isDraining ||
      !this.#canSkipBody()
    ) {
      this.#keepAlive = false;
    }
    let text = `HTTP/1.1 ${status} ${phrase(status)}\r\n${fieldText(fields)}`;
    if (!hasDate(fields)) text += `date: ${this.#connection.httpDate()}\r\n`;
    if (typeof framing === 'number') text += `content-length: ${framing}\r\n`;
    else if (this.#isChunked) text += 'transfer-encoding: chunked\r\n';
    if (!this.#keepAlive) text += 'connection: close\r\n';
    else if (isOld) text += 'connection: keep-alive\r\n';
    this.#headText = `${text}\r\n`;
  }

  flush(): void {
    if (this.#headText === null) return;
    const text = this.#headText;
    this.#headText = null;
    this.#connection.write(text);
  }

  write(chunk: Uint8Array, room = 0): boolean {
    if (this.#isChunked) return this.#writeChunk(chunk);
    return this.#writePiece(chunk, '', '', room);
  }

  #writeChunk(chunk: Uint8Array): boolean {
    if (chunk.length === 0) return true;
    return this.#writePiece(chunk, `${chunk.length.toString(16)}\r\n`, '\r\n', 0);
  }

  #writePiece(chunk: Uint8Array, before: string, after: string, room: number): boolean {
    const text = (this.#headText ?? '') + before;
    this.#headText = null;
    if (chunk.length <= JOINED_BYTES) return this.#connection.writeOwned(joined(text, chunk, after));
    if (text !== '' && text.length <= room) {
      return this.#connection.writeBorrowed('', precededBy(text, chunk), after);
    }
    return this.#connection.writeBorrowed(text, chunk, after);
  }

  finishWith(chunk: Uint8Array, room = 0): boolean {
    const isTaken = this.write(chunk, room);
    this.finish();
    return isTaken;
  }

  finish(trailers?: FieldList): void {
    if (this.#isFinished) return;
    this.#isFinished = true;
    if (this.#isChunked) {
      const text = `0\r\n${trailers === undefined ? '' : fieldText(trailers)}\r\n`;
      this.#connection.write((this.#headText ?? '') + text);
      this.#headText = null;
    } else {
      this.flush();
    }
    this.#connection.exchangeEnded(this.#keepAlive);
  }

  destroy(): void {
    this.#isFinished = true;
    if (this.#endsByClose) this.#connection.reset();
    else this.#connection.destroy();
  }

  /** The connection is gone. */
  gone(): void {
    if (this.#isGone) return;
    this.#isGone = true;
    this.body?.fail('gone');
    if (!this.#isFinished) this.listener?.onGone();
  }

  /** Whether the rest of the request body can be read away behind the answer. */
  #canSkipBody(): boolean {
    const { body } = this;
    if (body === null || body.isConsumed) return true;
    // A client that still waits for leave to send may send or not: nobody knows what comes next.
    return !body.isAwaitingContinue && body.length !== undefined && body.length <= DISCARDED_BODY_BYTES;
  }
}

function phrase(status: number): string {
  // The server's own phrase is not passed on: it means nothing and may hold anything.
  return STATUS_CODES[status] ?? 'Unknown';
}

function fieldText(fields: FieldList): string {
  let text = '';
  for (let i = 0; i < fields.length; i += 2) text += `${fields[i]}: ${fields[i + 1]}\r\n`;
  return text;
}

function hasDate(fields: FieldList): boolean {
  for (let i = 0; i < fields.length; i += 2) if (fields[i] === 'date') return true;
  return false;
}

/** The text where the server's own head was read, so that head and body are one piece without a copy. */
function precededBy(text: string, chunk: Uint8Array): Buffer {
  const from = chunk.byteOffset - text.length;
  const bytes = Buffer.from(chunk.buffer as ArrayBuffer, from, text.length + chunk.length);
  bytes.write(text, 0, 'latin1');
  return bytes;
}

function joined(before: string, chunk: Uint8Array, after: string): Buffer {
  const bytes = Buffer.allocUnsafe(before.length + chunk.length + after.length);
  bytes.write(before, 0, 'latin1');
  bytes.set(chunk, before.length);
  if (after !== '') bytes.write(after, before.length + chunk.length, 'latin1');
  return bytes;
}
