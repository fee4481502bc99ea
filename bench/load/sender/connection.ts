// One connection of the sender: at most one request at a time, opened anew after it ends. Times that
// belong to the request in flight are kept here, because the connection is the request's identity.

import net from 'node:net';
import tls from 'node:tls';
import type { FailureKind, SenderTarget } from './plan.ts';
import type { RequestTemplate } from './request-mix.ts';
import { ResponseReader } from './response-reader.ts';

/** What a connection reports; each call happens with the connection in the state that its name says. */
export interface ConnectionOwner {
  onReady(connection: Connection): void;
  onAnswer(connection: Connection): void;
  onFailure(connection: Connection, kind: FailureKind): void;
  /** The server closed an idle connection, which it may. */
  onClosedIdle(connection: Connection): void;
}

export class Connection {
  readonly reader = new ResponseReader();
  state: 'closed' | 'connecting' | 'idle' | 'busy' = 'closed';
  /** Of the request in flight or just ended: when it was due and when it was written. */
  dueMs = 0;
  sentMs = 0;
  readonly #target: SenderTarget;
  readonly #owner: ConnectionOwner;
  #socket: net.Socket | null = null;

  constructor(target: SenderTarget, owner: ConnectionOwner) {
    this.#target = target;
    this.#owner = owner;
  }

  /** `timeoutMs` bounds the connecting; it counts as a connect failure. */
  open(timeoutMs: number): void {
    const { secure, address, port, serverName, insecure } = this.#target;
    const where = { host: address, port, noDelay: true };
    const socket = secure
      ? tls.connect({
          ...where,
          rejectUnauthorized: !insecure,
          servername: serverName,
          ALPNProtocols: ['http/1.1'],
        })
      : net.connect(where);
    this.#socket = socket;
    this.state = 'connecting';
    const timer = setTimeout(() => this.#fail(socket, 'connect'), timeoutMs);
    socket.once(secure ? 'secureConnect' : 'connect', () => {
      clearTimeout(timer);
      this.state = 'idle';
      this.#owner.onReady(this);
    });
    socket.on('data', (chunk) => this.#onData(socket, chunk as Buffer));
    socket.on('end', () => this.#onEnd(socket));
    socket.on('error', () => undefined);
    socket.on('close', () => {
      clearTimeout(timer);
      this.#onEnd(socket);
    });
  }

  send(template: RequestTemplate, key: number, dueMs: number, nowMs: number): void {
    const socket = this.#socket!;
    this.dueMs = dueMs;
    this.sentMs = nowMs;
    this.state = 'busy';
    this.reader.begin(template.hasAnswerBody);
    if (template.body === null) {
      socket.write(template.head(key), 'latin1');
      return;
    }
    socket.cork();
    socket.write(template.head(key), 'latin1');
    socket.write(template.body);
    socket.uncork();
  }

  /** Ends the request in flight as a failure. */
  abandon(kind: FailureKind): void {
    if (this.#socket !== null) this.#fail(this.#socket, kind);
  }

  /** Without a report. */
  destroy(): void {
    const socket = this.#socket;
    this.#socket = null;
    this.state = 'closed';
    socket?.destroy();
  }

  #onData(socket: net.Socket, chunk: Buffer): void {
    if (socket !== this.#socket) return;
    if (this.state !== 'busy') {
      // Bytes that no request asked for: the connection cannot be trusted with the next one.
      this.#closeIdle();
      return;
    }
    const fed = this.reader.feed(chunk);
    if (fed === 'malformed') this.#fail(socket, 'malformed');
    else if (fed === 'done') this.#finish();
  }

  #onEnd(socket: net.Socket): void {
    if (socket !== this.#socket) return;
    if (this.state === 'connecting') this.#fail(socket, 'connect');
    else if (this.state === 'idle') this.#closeIdle();
    else if (this.state === 'busy') {
      if (this.reader.endsByClose()) this.#finish();
      else this.#fail(socket, 'reset');
    }
  }

  #finish(): void {
    if (this.reader.keepsAlive) this.state = 'idle';
    else this.destroy();
    this.#owner.onAnswer(this);
  }

  #closeIdle(): void {
    this.destroy();
    this.#owner.onClosedIdle(this);
  }

  #fail(socket: net.Socket, kind: FailureKind): void {
    if (socket !== this.#socket) return;
    this.destroy();
    this.#owner.onFailure(this, kind);
  }
}
