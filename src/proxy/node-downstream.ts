// One exchange with a client over node:http: the only file, with listener.ts, that knows its request and
// response objects. Writes our own framing for every answer (http-rules 1, 3) and nothing that node:http
// would add by itself but Date and the connection's own fields.

import { type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import type { FieldList } from '../core/model.ts';
import type { Downstream, RequestHead } from './downstream.ts';
import { NodeRequestBody } from './request-body.ts';
import type { TimerWheel } from './timer-wheel.ts';

// Rest of a request body that is read and thrown away so that an early answer can keep its connection.
// More than this is cheaper to cut than to carry.
const DISCARDED_BODY_BYTES = 65_536;

export class NodeDownstream implements Downstream {
  readonly head: RequestHead;
  readonly body: NodeRequestBody | null;
  readonly tunnel = null;
  readonly peerAddress: string;
  readonly isSecure = false;
  onGone: (() => void) | null = null;
  onDrain: (() => void) | null = null;
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  #isFinished = false;
  #isGone = false;

  constructor(
    request: IncomingMessage,
    response: ServerResponse,
    wheel: TimerWheel,
    expectsContinue: boolean,
  ) {
    this.#request = request;
    this.#response = response;
    this.peerAddress = canonicalAddress(request.socket.remoteAddress);
    this.head = {
      method: request.method!,
      target: request.url!,
      httpMinor: request.httpVersionMinor === 0 ? 0 : 1,
      fields: request.rawHeaders,
    };
    const length = request.headers['content-length'];
    const isChunked = request.headers['transfer-encoding'] !== undefined;
    const hasBody = isChunked || (length !== undefined && length !== '0');
    this.body = hasBody
      ? new NodeRequestBody(
          request,
          isChunked ? undefined : Number(length),
          wheel,
          expectsContinue ? () => response.writeContinue() : null,
        )
      : null;
    response.on('close', () => this.#onClose());
    response.on('drain', () => this.onDrain?.());
    // An error of the socket is followed by close; without a listener it would be thrown.
    response.on('error', ignore);
  }

  get isHeadSent(): boolean {
    return this.#response.headersSent;
  }

  get isGone(): boolean {
    return this.#isGone;
  }

  inform(status: number, fields: FieldList): void {
    if (this.head.httpMinor === 0 || this.isHeadSent || this.#isGone) return;
    const headers: Record<string, string[]> = {};
    for (let i = 0; i < fields.length; i += 2) {
      headers[fields[i]!] ??= [];
      headers[fields[i]!]!.push(fields[i + 1]!);
    }
    this.#response.writeInformation(status, headers);
  }

  sendHead(status: number, fields: string[], framing: number | 'chunked' | 'none', keepAlive: boolean): void {
    const response = this.#response;
    if (typeof framing === 'number') fields.push('content-length', String(framing));
    else if (framing === 'chunked' && this.head.httpMinor === 1) fields.push('transfer-encoding', 'chunked');
    if (!keepAlive || !this.#bodyCanBeDiscarded()) {
      fields.push('connection', 'close');
      response.shouldKeepAlive = false;
    }
    // The server's own reason phrase is not passed on: it means nothing and may hold anything.
    response.writeHead(status, STATUS_CODES[status] ?? 'Unknown', fields);
  }

  write(chunk: Uint8Array): boolean {
    return this.#response.write(chunk);
  }

  finishWith(chunk: Uint8Array): void {
    this.#isFinished = true;
    this.#response.end(chunk);
    this.#endRequest();
  }

  finish(trailers?: FieldList): void {
    this.#isFinished = true;
    if (trailers !== undefined && trailers.length > 0) this.#addTrailers(trailers);
    this.#response.end();
    this.#endRequest();
  }

  destroy(): void {
    this.#isFinished = true;
    this.#request.socket.destroy();
  }

  #addTrailers(fields: FieldList): void {
    const pairs: [string, string][] = [];
    for (let i = 0; i < fields.length; i += 2) pairs.push([fields[i]!, fields[i + 1]!]);
    this.#response.addTrailers(pairs);
  }

  /** An answer before the end of the request: can the rest be read away cheaply? */
  #bodyCanBeDiscarded(): boolean {
    const { body } = this;
    if (body === null || body.isConsumed) return true;
    return body.length !== undefined && body.length <= DISCARDED_BODY_BYTES;
  }

  #endRequest(): void {
    if (this.body === null || this.body.isConsumed) return;
    if (this.#bodyCanBeDiscarded()) {
      this.#request.resume();
      return;
    }
    // The client may be in the middle of sending: closing at once would reset the connection and could
    // take the answer away from under it, so what arrives is dropped until the answer has been taken.
    lingerThenClose(this.#request.socket, this.#response);
  }

  #onClose(): void {
    const wasGone = this.#isGone || this.#response.writableFinished;
    this.#isGone = true;
    if (wasGone || this.#isFinished) return;
    this.onGone?.();
  }
}

// Longest time that a refused upload may go on into nothing.
const LINGER_MS = 2000;
const LINGER_BYTES = 1024 * 1024;

function lingerThenClose(socket: Socket, response: ServerResponse): void {
  const close = (): void => {
    clearTimeout(timer);
    socket.destroy();
  };
  const timer = setTimeout(close, LINGER_MS);
  timer.unref();
  response.once('finish', () => {
    socket.end();
    let dropped = 0;
    response.req.on('data', (chunk: Buffer) => {
      dropped += chunk.length;
      if (dropped > LINGER_BYTES) close();
    });
    response.req.on('end', close);
    response.req.resume();
  });
}

function ignore(): void {}

/** IPv4 that arrived on an IPv6 socket is IPv4; a unix socket has no address. */
export function canonicalAddress(address: string | undefined): string {
  if (address === undefined) return 'unix';
  return address.startsWith('::ffff:') && address.includes('.') ? address.slice(7) : address;
}
