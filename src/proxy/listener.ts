// Opens the data plane's listeners over node:http, turns requests into exchanges for the walk, and answers
// what the parser itself refuses. All limits of a connection before its head is complete are here.

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo, Server as NetServer, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Reason } from '../core/reasons.ts';
import type { Downstream } from './downstream.ts';
import { rawReply } from './local-reply.ts';
import { canonicalAddress, NodeDownstream } from './node-downstream.ts';
import type { TimerWheel } from './timer-wheel.ts';
import { UpgradeDownstream } from './upgrade-downstream.ts';

export interface ListenerOptions {
  readonly headerBytes: number;
  /** Milliseconds. */
  readonly headerTimeout: number;
  readonly keepAlive: number;
  readonly wheel: TimerWheel;
  readonly callbacks: ListenerCallbacks;
}

export interface ListenerCallbacks {
  /** A request; with `tunnel` set one that wants to become a websocket. */
  onRequest(exchange: Downstream): void;
  /** Something was refused before it became a request. */
  onRefused(reason: Reason, detail: string): void;
  /** @returns false when the connection is one too many. */
  onConnection(): boolean;
  onDisconnect(): void;
}

export type ListenAddress =
  | { readonly host: string; readonly port: number; readonly reusePort: boolean }
  | { readonly path: string };

// Sockets of one direction buffer this much before backpressure stops the sender.
const STREAM_BUFFER_BYTES = 65_536;
// How often a header that does not come to its end is noticed; node's default of 30 s would let one live
// 90 s instead of 60.
const HEADER_CHECK_MS = 1000;

// Node's parser errors that are not simply malformed syntax.
const PARSER_REASONS: Readonly<Record<string, Reason>> = {
  HPE_HEADER_OVERFLOW: 'header_too_large',
  HPE_CHUNK_EXTENSIONS_OVERFLOW: 'bad_request',
  ERR_HTTP_REQUEST_TIMEOUT: 'header_timeout',
};

export class Listener {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  // Connections from before the drain.
  #old = new Set<Socket>();
  #isDraining = false;
  /** Connections accepted so far. */
  accepted = 0;

  constructor(options: ListenerOptions) {
    const { callbacks, wheel } = options;
    this.#server = createServer({
      maxHeaderSize: options.headerBytes,
      headersTimeout: options.headerTimeout,
      connectionsCheckingInterval: HEADER_CHECK_MS,
      // It would cut long uploads; the header has its own limit, a body the idle limit of its route.
      requestTimeout: 0,
      keepAliveTimeout: options.keepAlive,
      highWaterMark: STREAM_BUFFER_BYTES,
      noDelay: true,
      // Checked by us, so that the refusal carries our reason.
      requireHostHeader: false,
      shouldUpgradeCallback: isWebSocketUpgrade,
    });
    const server = this.#server;
    // 0 = no limit: node would otherwise drop further fields silently. We count and refuse.
    server.maxHeadersCount = 0;
    const begin = (request: IncomingMessage, response: ServerResponse, expectsContinue: boolean): void => {
      if (this.#isDraining) response.shouldKeepAlive = false;
      const exchange = new NodeDownstream(request, response, wheel, expectsContinue);
      bodies.set(request.socket, exchange);
      callbacks.onRequest(exchange);
    };
    const bodies = new WeakMap<Socket, NodeDownstream>();
    server.on('request', (request, response) => begin(request, response, false));
    server.on('checkContinue', (request, response) => begin(request, response, true));
    // Other expectations reach the walk as they are and are refused there.
    server.on('checkExpectation', (request, response) => begin(request, response, false));
    server.on('connect', (_request, socket: Duplex) => {
      callbacks.onRefused('method_not_supported', 'method CONNECT');
      socket.end(rawReply('method_not_supported'));
    });
    server.on('upgrade', (request: IncomingMessage, socket: Duplex, early: Buffer) => {
      callbacks.onRequest(upgradeExchange(request, socket, early));
    });
    server.on('connection', (socket: Socket) => this.#onConnection(socket, callbacks));
    server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) => {
      bodies.get(socket)?.body?.fail('malformed');
      refuseBytes(error, socket, callbacks);
    });
  }

  /** Resolves to the bound address; rejects when it cannot be bound. */
  listen(address: ListenAddress): Promise<AddressInfo | string> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(address, () => {
        this.#server.off('error', reject);
        // Errors of accepting (no file descriptors) must not be thrown; node pauses and goes on.
        this.#server.on('error', ignore);
        resolve(this.#server.address()!);
      });
    });
  }

  get connections(): number {
    return this.#sockets.size;
  }

  /** From now on every answer closes its connection; connections and listener stay open. */
  beginDrain(): void {
    this.#isDraining = true;
    this.#old = new Set(this.#sockets);
  }

  get hasOldConnections(): boolean {
    return this.#old.size > 0;
  }

  /** No new connections; those that are open stay. */
  stopAccepting(): void {
    // net.Server's own close: the one of http.Server would cut idle connections, and a request may be on
    // its way on one of them.
    NetServer.prototype.close.call(this.#server);
  }

  /** Cuts everything that is left. */
  destroy(): void {
    this.stopAccepting();
    for (const socket of this.#sockets) socket.destroy();
  }

  #onConnection(socket: Socket, callbacks: ListenerCallbacks): void {
    socket.on('error', ignore);
    this.accepted += 1;
    if (!callbacks.onConnection()) {
      callbacks.onDisconnect();
      callbacks.onRefused('shed', 'limits.connections is reached');
      socket.end(rawReply('shed'));
      socket.destroySoon();
      return;
    }
    this.#sockets.add(socket);
    socket.once('close', () => {
      this.#sockets.delete(socket);
      this.#old.delete(socket);
      callbacks.onDisconnect();
    });
  }
}

function isWebSocketUpgrade(request: IncomingMessage): boolean {
  const { headers } = request;
  const hasBody = headers['transfer-encoding'] !== undefined || (headers['content-length'] ?? '0') !== '0';
  return (
    request.method === 'GET' &&
    request.httpVersionMinor === 1 &&
    headers.upgrade?.toLowerCase() === 'websocket' &&
    !hasBody
  );
}

function upgradeExchange(request: IncomingMessage, socket: Duplex, early: Buffer): UpgradeDownstream {
  const head = {
    method: request.method!,
    target: request.url!,
    httpMinor: 1,
    fields: request.rawHeaders,
  } as const;
  return new UpgradeDownstream(head, socket, early, canonicalAddress(request.socket.remoteAddress));
}

function refuseBytes(error: NodeJS.ErrnoException, socket: Socket, callbacks: ListenerCallbacks): void {
  const code = error.code ?? '';
  if (code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const reason = PARSER_REASONS[code] ?? 'bad_request';
  callbacks.onRefused(reason, code);
  // An answer that has begun cannot be followed by another; cutting it is all that is left.
  const answer = (socket as Socket & { _httpMessage?: ServerResponse | null })._httpMessage;
  if (answer?.headersSent) {
    socket.destroy();
    return;
  }
  socket.end(rawReply(reason));
  // The rest of what the client sends is of no use; without reading it the close would be a reset that
  // can overtake the answer.
  socket.removeAllListeners('data');
  socket.resume();
  const timer = setTimeout(() => socket.destroy(), REFUSAL_LINGER_MS);
  timer.unref();
  socket.once('close', () => clearTimeout(timer));
}

const REFUSAL_LINGER_MS = 1000;

function ignore(): void {}
