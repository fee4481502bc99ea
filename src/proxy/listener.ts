// Opens the data plane's listening sockets, counts their connections, and gives each to a ClientConnection
// (http1/), which turns it into exchanges for the walk. Over net, not node:http: a codec of our own costs
// half the CPU and refuses what a lenient parser would repair.

import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import type { Clock } from '../core/clock.ts';
import type { Reason } from '../core/reasons.ts';
import type { Downstream } from './downstream.ts';
import { ClientConnection, type ConnectionHost, type ConnectionOptions } from './http1/client-connection.ts';
import { rawReply } from './local-reply.ts';
import type { TimerWheel } from './timer-wheel.ts';

export interface ListenerOptions {
  readonly wheel: TimerWheel;
  readonly clock: Clock;
  readonly callbacks: ListenerCallbacks;
}

export interface ListenerCallbacks {
  /** Limits in force now; asked for with every head, so that a reload needs no new connection. */
  limits(): ConnectionOptions;
  /** A request; with `tunnel` set one that wants to become a websocket. */
  onRequest(exchange: Downstream): void;
  /** Something was refused before it became a request. */
  onRefused(reason: Reason, detail: string): void;
  /** @returns false when the connection is one too many. */
  onConnection(): boolean;
  onDisconnect(): void;
  /** Connections could not be accepted (no file descriptors). */
  onAcceptError(error: Error): void;
}

export type ListenAddress =
  | { readonly host: string; readonly port: number; readonly reusePort: boolean }
  | { readonly path: string };

// Larger than any head that is let in; most fit several times.
const SHARED_BUFFER_BYTES = 65_536;

export class Listener implements ConnectionHost {
  readonly wheel: TimerWheel;
  readonly sharedBuffer = Buffer.allocUnsafeSlow(SHARED_BUFFER_BYTES);
  readonly options: () => ConnectionOptions;
  readonly onRequest: (exchange: Downstream) => void;
  readonly onRefused: (reason: Reason, detail: string) => void;
  readonly #server: Server;
  readonly #clock: Clock;
  readonly #callbacks: ListenerCallbacks;
  readonly #connections = new Set<ClientConnection>();
  // Those from before the drain.
  #old = new Set<ClientConnection>();
  #isDraining = false;
  #date = '';
  #dateSecond = -1;
  /** Connections accepted so far. */
  accepted = 0;

  constructor({ wheel, clock, callbacks }: ListenerOptions) {
    this.wheel = wheel;
    this.#clock = clock;
    this.#callbacks = callbacks;
    this.options = callbacks.limits;
    this.onRequest = callbacks.onRequest;
    this.onRefused = callbacks.onRefused;
    this.#server = createServer({ noDelay: true, pauseOnConnect: true }, (socket) =>
      this.#onConnection(socket),
    );
  }

  /** Resolves to the bound address; rejects when it cannot be bound. */
  listen(address: ListenAddress): Promise<AddressInfo | string> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(address, () => {
        this.#server.off('error', reject);
        // Out of descriptors, accepting pauses and goes on later; that must not be thrown.
        this.#server.on('error', (error) => this.#callbacks.onAcceptError(error));
        resolve(this.#server.address()!);
      });
    });
  }

  get isDraining(): boolean {
    return this.#isDraining;
  }

  get connections(): number {
    return this.#connections.size;
  }

  httpDate(): string {
    const wallMs = this.#clock.wallMs();
    const second = Math.floor(wallMs / 1000);
    if (second !== this.#dateSecond) {
      this.#dateSecond = second;
      this.#date = new Date(wallMs).toUTCString();
    }
    return this.#date;
  }

  /** From now on every answer closes its connection; connections and listener stay open. */
  beginDrain(): void {
    this.#isDraining = true;
    this.#old = new Set(this.#connections);
  }

  get hasOldConnections(): boolean {
    return this.#old.size > 0;
  }

  /** No new connections; those that are open stay. */
  stopAccepting(): void {
    this.#server.close();
  }

  /** Cuts everything that is left. */
  destroy(): void {
    this.#server.close();
    for (const connection of this.#connections) connection.destroy();
  }

  #onConnection(socket: Socket): void {
    this.accepted += 1;
    if (!this.#callbacks.onConnection()) {
      socket.on('error', ignore);
      this.#callbacks.onDisconnect();
      this.onRefused('shed', 'limits.connections is reached');
      socket.end(rawReply('shed'), () => socket.destroy());
      return;
    }
    const connection = new ClientConnection(socket, this, canonicalAddress(socket.remoteAddress));
    this.#connections.add(connection);
    connection.onClosed = () => {
      this.#connections.delete(connection);
      this.#old.delete(connection);
      this.#callbacks.onDisconnect();
    };
  }
}

function ignore(): void {}

/** IPv4 that arrived on an IPv6 socket is IPv4; a unix socket has no address. */
function canonicalAddress(address: string | undefined): string {
  if (address === undefined) return 'unix';
  return address.startsWith('::ffff:') && address.includes('.') ? address.slice(7) : address;
}
