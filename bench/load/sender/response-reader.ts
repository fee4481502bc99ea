// Reads HTTP/1.1 responses off one connection, without pipelining: where a response ends, its status,
// and whether the connection lives on. Bodies are counted, not kept. Own code instead of undici because
// the sender must cost less than the proxy under test, and must see the bytes that no client would show.

import { unreachable } from '../../../src/core/assert.ts';

export type Feed = 'more' | 'done' | 'malformed';

type Part = 'head' | 'fixed' | 'chunk-size' | 'chunk-data' | 'chunk-end' | 'trailer' | 'until-close' | 'done';

/** As undici's and Node's order of magnitude; a longer head is an attack or a bug. */
const MAX_HEAD_BYTES = 64 * 1024;
const MAX_CHUNK_DIGITS = 8;
const CR = 13;
const LF = 10;
const SEMICOLON = 59;
const HEAD_END = Buffer.from('\r\n\r\n');

export class ResponseReader {
  /** Of the last response; 0 before the first. */
  status = 0;
  /** Start line and fields of the last response, without the empty line. */
  head = '';
  bodyBytes = 0;
  /** False: the server closes, or said so; the connection carries no further request. */
  keepsAlive = true;
  #part: Part = 'done';
  #pending: Buffer | null = null;
  #left = 0;
  #digits = 0;
  #sizeEnded = false;
  #lineBytes = 0;
  #hasBody = true;

  /** Before each request. `hasBody` is false for HEAD. */
  begin(hasBody: boolean): void {
    this.#part = 'head';
    this.#pending = null;
    this.#hasBody = hasBody;
    this.bodyBytes = 0;
  }

  /** Takes what arrived. After `done` no byte may be left: an answer that nobody asked for is malformed. */
  feed(chunk: Buffer): Feed {
    let at = 0;
    while (at < chunk.length) {
      if (this.#part === 'done') return 'malformed';
      const next = this.#step(chunk, at);
      if (next < 0) return 'malformed';
      at = next;
    }
    return this.#part === 'done' ? 'done' : 'more';
  }

  /** The server closed. True if that is the proper end of the response. */
  endsByClose(): boolean {
    return this.#part === 'until-close';
  }

  /** Consumes some of the chunk from `at`; gives where it stopped, or -1. */
  #step(chunk: Buffer, at: number): number {
    const part = this.#part;
    switch (part) {
      case 'head':
        return this.#readHead(chunk, at);
      case 'fixed':
      case 'chunk-data': {
        const take = Math.min(this.#left, chunk.length - at);
        this.#left -= take;
        this.bodyBytes += take;
        if (this.#left === 0) this.#startPart(part === 'fixed' ? 'done' : 'chunk-end');
        return at + take;
      }
      case 'until-close':
        this.bodyBytes += chunk.length - at;
        return chunk.length;
      case 'chunk-size':
        return this.#readChunkSize(chunk, at);
      case 'chunk-end':
        return this.#readChunkEnd(chunk, at);
      case 'trailer':
        return this.#readTrailer(chunk, at);
      case 'done':
        return -1;
      default:
        return unreachable(part);
    }
  }

  #startPart(part: Part): void {
    this.#part = part;
    this.#lineBytes = 0;
    if (part === 'chunk-size') {
      this.#left = 0;
      this.#digits = 0;
      this.#sizeEnded = false;
    }
  }

  #readHead(chunk: Buffer, at: number): number {
    // Nearly always the whole head is in one chunk: then nothing is copied.
    const held = this.#pending;
    const fresh = at === 0 ? chunk : chunk.subarray(at);
    const bytes = held === null ? fresh : Buffer.concat([held, fresh]);
    const end = bytes.indexOf(HEAD_END);
    if (end < 0) {
      if (bytes.length > MAX_HEAD_BYTES) return -1;
      this.#pending = bytes;
      return chunk.length;
    }
    this.#pending = null;
    if (end > MAX_HEAD_BYTES || !this.#interpret(bytes.toString('latin1', 0, end))) return -1;
    return at + end + HEAD_END.length - (held?.length ?? 0);
  }

  #interpret(head: string): boolean {
    const status = Number(head.slice(9, 12));
    if (!head.startsWith('HTTP/1.') || !(status >= 100 && status <= 599)) return false;
    // 101 was not asked for; other 1xx announce the answer that follows.
    if (status < 200) return status !== 101;
    this.status = status;
    this.head = head;
    const lower = head.toLowerCase();
    const connection = fieldValue(lower, 'connection');
    this.keepsAlive = lower.startsWith('http/1.1')
      ? !(connection?.includes('close') ?? false)
      : (connection?.includes('keep-alive') ?? false);
    const encoding = fieldValue(lower, 'transfer-encoding');
    const length = fieldValue(lower, 'content-length');
    if (!this.#hasBody || status === 204 || status === 304) this.#startPart('done');
    else if (encoding !== null) {
      if (encoding !== 'chunked') return false;
      this.#startPart('chunk-size');
    } else if (length !== null) {
      if (!/^\d{1,15}$/.test(length)) return false;
      this.#left = Number(length);
      this.#startPart(this.#left === 0 ? 'done' : 'fixed');
    } else {
      this.keepsAlive = false;
      this.#startPart('until-close');
    }
    return true;
  }

  #readChunkSize(chunk: Buffer, at: number): number {
    for (let i = at; i < chunk.length; i++) {
      const byte = chunk[i]!;
      this.#lineBytes += 1;
      if (byte === LF) {
        if (this.#digits === 0) return -1;
        this.#afterChunkSize();
        return i + 1;
      }
      if (this.#lineBytes > MAX_HEAD_BYTES) return -1;
      if (byte === SEMICOLON || byte === CR) this.#sizeEnded = true;
      if (this.#sizeEnded) continue;
      const digit = Number.parseInt(String.fromCharCode(byte), 16);
      this.#digits += 1;
      if (Number.isNaN(digit) || this.#digits > MAX_CHUNK_DIGITS) return -1;
      this.#left = this.#left * 16 + digit;
    }
    return chunk.length;
  }

  /** After a size line: data, or the trailers after the last chunk. */
  #afterChunkSize(): void {
    const size = this.#left;
    this.#startPart(size === 0 ? 'trailer' : 'chunk-data');
    this.#left = size;
  }

  #readChunkEnd(chunk: Buffer, at: number): number {
    const expected = this.#lineBytes === 0 ? CR : LF;
    if (chunk[at] !== expected) return -1;
    this.#lineBytes += 1;
    if (expected === LF) this.#startPart('chunk-size');
    return at + 1;
  }

  /** Lines until an empty one. #left counts the bytes of the line, #lineBytes those of all. */
  #readTrailer(chunk: Buffer, at: number): number {
    for (let i = at; i < chunk.length; i++) {
      this.#lineBytes += 1;
      if (this.#lineBytes > MAX_HEAD_BYTES) return -1;
      if (chunk[i] === LF) {
        if (this.#left === 0) {
          this.#startPart('done');
          return i + 1;
        }
        this.#left = 0;
      } else if (chunk[i] !== CR) this.#left += 1;
    }
    return chunk.length;
  }
}

/** Value of the first field of that lower-case name in a lower-cased head; null without one. */
function fieldValue(lowerHead: string, name: string): string | null {
  const start = lowerHead.indexOf(`\r\n${name}:`);
  if (start < 0) return null;
  const from = start + name.length + 3;
  const end = lowerHead.indexOf('\r\n', from);
  return lowerHead.slice(from, end < 0 ? undefined : end).trim();
}
