// Opens keep-alive connections, makes one request on each and then holds them idle.

import type { Clock } from '../../src/core/clock.ts';
import { Connection, type ConnectionOwner } from './sender/connection.ts';
import type { SenderTarget } from './sender/plan.ts';
import { type RequestTemplate, requestTemplate } from './sender/request-mix.ts';

/** At once in the act of connecting: below the accept queue of every proxy (somaxconn, often 4096 or less). */
const OPENING = 128;
const CONNECT_LIMIT_MS = 10_000;

export class IdleConnections implements ConnectionOwner {
  readonly #connections: Connection[];
  readonly #template: RequestTemplate;
  readonly #clock: Clock;
  readonly #done = Promise.withResolvers<void>();
  #begun = 0;
  #settled = 0;

  constructor(target: SenderTarget, count: number, keyHeader: string, clock: Clock) {
    this.#connections = Array.from({ length: count }, () => new Connection(target, this));
    this.#clock = clock;
    const { host, path } = target;
    this.#template = requestTemplate(
      { method: 'GET', bodyBytes: 0, weight: 1 },
      { host, path, headers: [], keyHeader },
    );
  }

  /** Resolves when each connection was answered once or failed; `limitMs` bounds it. */
  async open(limitMs: number): Promise<void> {
    const timer = setTimeout(() => this.#done.resolve(), limitMs);
    for (let i = 0; i < OPENING; i++) this.#openNext();
    await this.#done.promise;
    clearTimeout(timer);
  }

  /** Connections that are open and idle now. */
  countIdle(): number {
    return this.#connections.filter((connection) => connection.state === 'idle').length;
  }

  close(): void {
    for (const connection of this.#connections) connection.destroy();
  }

  onReady(connection: Connection): void {
    const now = this.#clock.monotonicMs();
    connection.send(this.#template, this.#begun, now, now);
  }

  onAnswer(): void {
    this.#settle();
  }

  onFailure(): void {
    this.#settle();
  }

  /** Counted by countIdle(): it is then no longer idle. */
  onClosedIdle(): void {}

  #settle(): void {
    this.#settled += 1;
    if (this.#settled === this.#connections.length) this.#done.resolve();
    else this.#openNext();
  }

  #openNext(): void {
    this.#connections[this.#begun++]?.open(CONNECT_LIMIT_MS);
  }
}
