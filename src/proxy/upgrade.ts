// Websocket upgrades: http-proxy-3 makes the upgrade request and pipes the connection, held to our rules
// (http-rules 4, 5) from both sides. It gets a request made by us, speaks into one end of a stream pair
// instead of the client's socket, and whatever it would write by itself (a 101 with unchecked fields, a
// relayed refusal) is swallowed there: the 101 is checked and written anew by forward.ts. The only file
// that knows the package.

import { createHash } from 'node:crypto';
import type { ClientRequest, IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { type Duplex, duplexPair } from 'node:stream';
import { createProxyServer } from 'http-proxy-3';
import type { AttemptFailure } from '../core/reasons.ts';
import { answerFraming } from './http1/server-message.ts';
import type { OutgoingRequest, Upstream, UpstreamCall, UpstreamHandler } from './upstream.ts';
import { failureOf } from './upstream-errors.ts';

export class UpgradeUpstream implements Upstream {
  readonly #proxy = createProxyServer({ ws: true, xfwd: false });
  /** By the request object that http-proxy-3 was given. */
  readonly #calls = new WeakMap<object, UpgradeCall>();

  constructor() {
    this.#proxy.on('proxyReqWs', (outgoing, incoming) => this.#calls.get(incoming)?.began(outgoing));
    // Errors reach the callback of ws(); an emitter without a listener would throw them.
    this.#proxy.on('error', () => {});
  }

  start(origin: string, request: OutgoingRequest, handler: UpstreamHandler): UpstreamCall {
    const call = new UpgradeCall(request, handler);
    const incoming = requestFor(request);
    this.#calls.set(incoming, call);
    this.#proxy.ws(incoming, call.innerEnd as Socket, Buffer.alloc(0), { target: origin }, (error) => {
      call.failed(error);
    });
    return call;
  }
}

/** What http-proxy-3 reads of a request: our method, target and fields, nothing of the client's. */
function requestFor(request: OutgoingRequest): IncomingMessage {
  const headers: Record<string, string | string[]> = {};
  const fields = [...request.fields, 'host', request.host, 'connection', 'Upgrade', 'upgrade', 'websocket'];
  for (let i = 0; i < fields.length; i += 2) {
    const before = headers[fields[i]!];
    if (before === undefined) headers[fields[i]!] = fields[i + 1]!;
    else headers[fields[i]!] = [before, fields[i + 1]!].flat();
  }
  const message = {
    method: 'GET',
    url: '/',
    httpVersion: '1.1',
    httpVersionMajor: 1,
    httpVersionMinor: 1,
    headers,
  };
  return message as unknown as IncomingMessage;
}

class UpgradeCall implements UpstreamCall {
  /** The end that http-proxy-3 takes for the client's socket. */
  readonly innerEnd: Duplex;
  readonly #outerEnd: Duplex;
  readonly #request: OutgoingRequest;
  readonly #handler: UpstreamHandler;
  #outgoing: ClientRequest | null = null;
  #answer: IncomingMessage | null = null;
  #isConnected = false;
  #isOver = false;
  // While true, what http-proxy-3 writes is dropped.
  #swallows = true;

  constructor(request: OutgoingRequest, handler: UpstreamHandler) {
    this.#request = request;
    this.#handler = handler;
    const [inner, outer] = duplexPair();
    this.#outerEnd = outer;
    this.innerEnd = asSocket(inner, () => this.#swallows);
    inner.on('error', ignore);
    outer.on('error', ignore);
  }

  /** Our listeners come first: http-proxy-3 adds its own after this event. */
  began(outgoing: ClientRequest): void {
    this.#outgoing = outgoing;
    // It would send the path as a URL parser normalises it; the one that was routed is the one to send.
    outgoing.path = this.#request.target;
    outgoing.on('socket', (socket) => {
      if (!socket.connecting) this.#connected();
      else socket.once('connect', () => this.#connected());
    });
    outgoing.on('finish', () => {
      if (!this.#isOver) this.#handler.onSent();
    });
    outgoing.on('upgrade', (answer, socket: Socket) => this.#upgraded(answer, socket));
    outgoing.on('response', (answer) => this.#answered(answer));
  }

  resume(): void {
    this.#answer?.resume();
  }

  cancel(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#destroy();
  }

  failed(error: Error): void {
    this.#fail(failureOf(error, this.#isConnected, false));
  }

  #connected(): void {
    this.#isConnected = true;
    if (!this.#isOver) this.#handler.onConnected();
  }

  #upgraded(answer: IncomingMessage, socket: Socket): void {
    if (this.#isOver) {
      socket.destroy();
      return;
    }
    const fault = upgradeFault(answer, this.#request);
    if (fault !== undefined) {
      socket.destroy();
      this.#fail(malformed('upgrade_failed', fault));
      return;
    }
    this.#isOver = true;
    // The next thing written is the 101 of http-proxy-3; from then on bytes pass.
    const written = this.innerEnd.write;
    this.innerEnd.write = () => {
      this.innerEnd.write = written;
      this.#swallows = false;
      return true;
    };
    this.#handler.onUpgraded(lowerNames(answer.rawHeaders), this.#outerEnd);
  }

  /** The server declined: an ordinary answer, relayed like any other, and the connection closes. */
  #answered(answer: IncomingMessage): void {
    if (this.#isOver) {
      answer.resume();
      return;
    }
    const status = answer.statusCode ?? 0;
    const fields = lowerNames(answer.rawHeaders);
    const fault = answerFault(status, fields);
    if (fault !== undefined) {
      this.#fail(malformed('upstream_malformed', fault));
      return;
    }
    this.#answer = answer;
    const handler = this.#handler;
    answer.on('data', (chunk: Buffer) => {
      if (!this.#isOver && !handler.onData(chunk)) answer.pause();
    });
    answer.on('end', () => {
      if (this.#isOver) return;
      this.#isOver = true;
      handler.onEnd(answer.complete ? lowerNames(answer.rawTrailers) : []);
      this.#destroy();
    });
    answer.on('error', (error) => this.#fail(failureOf(error, true, true)));
    handler.onHead(status, fields, false);
  }

  #fail(failure: AttemptFailure): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#destroy();
    this.#handler.onFailed(failure);
  }

  #destroy(): void {
    this.#outgoing?.destroy();
    this.innerEnd.destroy();
    this.#outerEnd.destroy();
  }
}

function malformed(reason: AttemptFailure['reason'], cause: string): AttemptFailure {
  return { kind: 'failed', reason, sent: 'maybe', blamesServer: true, cause };
}

/** What node:http lets pass and an intermediary must not: a 101 that is no upgrade, unclear framing. */
function answerFault(status: number, fields: readonly string[]): string | undefined {
  if (status < 200) return `${status} without an upgrade`;
  const framing = answerFraming(fields, status, 'GET', 0);
  return typeof framing === 'string' ? framing : undefined;
}

/** RFC 6455, 4.1: what makes a 101 the answer to this very request. */
function upgradeFault(answer: IncomingMessage, request: OutgoingRequest): string | undefined {
  const { headers } = answer;
  if (answer.statusCode !== 101) return `status ${answer.statusCode}`;
  if (headers.upgrade?.toLowerCase() !== 'websocket') return 'Upgrade is not websocket';
  if (!/(^|,)\s*upgrade\s*(,|$)/i.test(headers.connection ?? '')) return 'Connection does not name Upgrade';
  if (headers['content-length'] !== undefined || headers['transfer-encoding'] !== undefined)
    return '101 with a body';
  const key = request.fields.find((_, i, all) => i % 2 === 1 && all[i - 1] === 'sec-websocket-key') ?? '';
  if (headers['sec-websocket-accept'] !== acceptFor(key)) return 'Sec-WebSocket-Accept does not fit the key';
  return undefined;
}

const WEBSOCKET_GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';

function acceptFor(key: string): string {
  return createHash('sha1')
    .update(key + WEBSOCKET_GUID)
    .digest('base64');
}

function lowerNames(raw: readonly string[]): string[] {
  return raw.map((text, i) => (i % 2 === 0 ? text.toLowerCase() : text));
}

/** Gives a stream the methods of a socket that http-proxy-3 calls, and a write that can be muted. */
function asSocket(stream: Duplex, isMuted: () => boolean): Duplex {
  const write = stream.write.bind(stream) as (...args: unknown[]) => boolean;
  return Object.assign(stream, {
    setTimeout: () => stream,
    setNoDelay: () => stream,
    setKeepAlive: () => stream,
    destroySoon: () => stream.destroy(),
    write: ((...args: unknown[]) => (isMuted() ? true : write(...args))) as Duplex['write'],
  });
}

function ignore(): void {}
