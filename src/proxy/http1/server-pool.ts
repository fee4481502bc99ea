// Connections to one server: the youngest idle one first, a new one while there may be more, else a place in
// the queue. What is not idempotent gets a connection that the server is not about to close: servers close
// idle connections when they like, and a POST that meets the close is lost, because nobody knows whether it
// was read. How soon this server does that is learnt from watching it.

import type { Clock } from '../../core/clock.ts';
import type { AttemptFailure } from '../../core/reasons.ts';
import { isIdempotent } from '../retry-policy.ts';
import type { TimerWheel } from '../timer-wheel.ts';
import type { OutgoingRequest, Resender, UpstreamCall, UpstreamHandler } from '../upstream.ts';
import type { PoolOptions } from '../upstream-pools.ts';
import { type ConnectionOwner, ServerConnection } from './server-connection.ts';

export interface ServerPoolTools {
  readonly wheel: TimerWheel;
  readonly clock: Clock;
  readonly fleet: FleetHabit;
}

/**
 * Servers of one fleet are mostly of one kind: when one was seen to close idle connections at once, the others are
 * not trusted either until they have been seen themselves. One for all pools of a worker.
 */
export interface FleetHabit {
  /** Monotonic milliseconds when a hasty server was last seen; -Infinity = never. */
  hastyAt: number;
}

// Idle connections are closed after this; shorter than common server defaults (Node 5 s), so that mostly we
// are the one who closes.
const IDLE_MS = 4000;
// A server that was seen to close an idle connection after t is trusted for half of that.
const TRUSTED_SHARE = 0.5;
// A server that closes idle connections sooner than this may do so while its last answer is being read.
const HASTY_MS = 80;
// A server that has served so many requests on connections used before, and closed none, is not hasty.
const ENOUGH_REUSES = 100;
// What was learnt is forgotten after this: servers are reconfigured.
const MEMORY_MS = 600_000;

export class ServerPool implements ConnectionOwner {
  readonly #host: string;
  readonly #port: number;
  readonly #tools: ServerPoolTools;
  readonly #options: PoolOptions;
  readonly #idle: ServerConnection[] = [];
  readonly #all = new Set<ServerConnection>();
  readonly #waiting: PooledCall[] = [];
  #connecting = 0;
  #isClosing = false;
  #shortestIdleMs = Number.POSITIVE_INFINITY;
  #learntAt = 0;
  /** Requests served on connections that had served before. */
  #reuses = 0;

  /** @param origin `http://host:port` */
  constructor(origin: string, options: PoolOptions, tools: ServerPoolTools) {
    const url = new URL(origin);
    this.#host = url.hostname.replace(/^\[(.*)\]$/, '$1');
    this.#port = url.port === '' ? 80 : Number(url.port);
    this.#options = options;
    this.#tools = tools;
  }

  start(request: OutgoingRequest, handler: UpstreamHandler): UpstreamCall {
    const call = new PooledCall(request, handler, this);
    const connection = this.#takeIdle(isIdempotent(request.method, false));
    if (connection !== undefined) {
      call.begin(connection);
      return call;
    }
    this.#waiting.push(call);
    this.#connectForWaiting();
    return call;
  }

  /**
   * Sends a call again, on a connection that the server is not about to close. Only where this server is known to
   * close connections that have been idle as long as this one: any other reset is a failure like all others.
   */
  again(call: PooledCall, connection: ServerConnection): boolean {
    if (this.#isClosing || this.#isTrusted(connection)) return false;
    this.#waiting.push(call);
    this.#connectForWaiting();
    return true;
  }

  /** No new requests; what is under way finishes. */
  close(): void {
    this.#isClosing = true;
    for (const connection of [...this.#idle]) connection.destroy();
  }

  /** Cuts everything. */
  destroy(): void {
    this.#isClosing = true;
    for (const connection of [...this.#all]) connection.destroy();
  }

  onOpen(connection: ServerConnection): void {
    this.#connecting -= 1;
    this.onFree(connection);
  }

  onOpenFailed(connection: ServerConnection, failure: AttemptFailure): void {
    this.#connecting -= 1;
    this.#all.delete(connection);
    // One failed connection fails one request; the others have theirs under way.
    this.#nextWaiting(true)?.handler.onFailed(failure);
    this.#connectForWaiting();
  }

  onFree(connection: ServerConnection): void {
    if (connection.uses > 1) this.#reuses += 1;
    const call = this.#nextWaiting(connection.uses === 0 || !this.#isHasty);
    if (call !== undefined) {
      call.begin(connection);
      return;
    }
    if (this.#isClosing) {
      connection.destroy();
      return;
    }
    connection.idleSince = this.#tools.clock.monotonicMs();
    connection.expireIn(IDLE_MS);
    this.#idle.push(connection);
  }

  onClosed(connection: ServerConnection, byServerWhileIdle: boolean): void {
    this.#all.delete(connection);
    const at = this.#idle.indexOf(connection);
    if (at !== -1) this.#idle.splice(at, 1);
    if (byServerWhileIdle && !this.#isClosing) this.#learn(connection);
    this.#connectForWaiting();
  }

  #takeIdle(isIdempotent: boolean): ServerConnection | undefined {
    while (this.#idle.length > 0) {
      const connection = this.#idle[this.#idle.length - 1]!;
      const isTrusted = isIdempotent || this.#isTrusted(connection);
      // The youngest is the most trustworthy: the others are no better.
      if (!isTrusted && this.#all.size < this.#options.connections) return undefined;
      this.#idle.pop();
      if (connection.isIdle) return connection;
    }
    return undefined;
  }

  get #isHasty(): boolean {
    if (this.#shortestIdleMs === Number.POSITIVE_INFINITY) return this.#isSuspect;
    return this.#shortestIdleMs <= HASTY_MS;
  }

  /** Not seen enough of to differ from a hasty server of the same fleet. */
  get #isSuspect(): boolean {
    const { clock, fleet } = this.#tools;
    if (fleet.hastyAt === Number.NEGATIVE_INFINITY || this.#reuses >= ENOUGH_REUSES) return false;
    return clock.monotonicMs() - fleet.hastyAt < MEMORY_MS;
  }

  #isTrusted(connection: ServerConnection): boolean {
    if (this.#shortestIdleMs === Number.POSITIVE_INFINITY) return !this.#isSuspect;
    const now = this.#tools.clock.monotonicMs();
    if (now - this.#learntAt > MEMORY_MS) {
      this.#shortestIdleMs = Number.POSITIVE_INFINITY;
      return true;
    }
    if (this.#shortestIdleMs <= HASTY_MS) return false;
    return now - connection.idleSince < this.#shortestIdleMs * TRUSTED_SHARE;
  }

  #learn(connection: ServerConnection): void {
    const now = this.#tools.clock.monotonicMs();
    const idleMs = now - connection.idleSince;
    // Our own closing after IDLE_MS looks the same from here.
    if (idleMs >= IDLE_MS) return;
    this.#learntAt = now;
    this.#shortestIdleMs = Math.min(this.#shortestIdleMs, idleMs);
    if (idleMs <= HASTY_MS) this.#tools.fleet.hastyAt = now;
  }

  /** @param isSafe the connection is one that the server is not about to close. */
  #nextWaiting(isSafe: boolean): PooledCall | undefined {
    for (let at = 0; at < this.#waiting.length; ) {
      const call = this.#waiting[at]!;
      if (call.isCancelled) this.#waiting.splice(at, 1);
      else if (isSafe || !call.needsSafety) return this.#waiting.splice(at, 1)[0];
      else at += 1;
    }
    return undefined;
  }

  #connectForWaiting(): void {
    while (this.#waiting.length > this.#connecting && this.#all.size < this.#options.connections) {
      const connection = new ServerConnection(
        {
          host: this.#host,
          port: this.#port,
          connectTimeout: this.#options.connectTimeout,
          responseHeaderBytes: this.#options.responseHeaderBytes,
          trailerFields: this.#options.trailerFields,
          wheel: this.#tools.wheel,
        },
        this,
      );
      this.#connecting += 1;
      this.#all.add(connection);
    }
  }
}

class PooledCall implements UpstreamCall, Resender {
  readonly handler: UpstreamHandler;
  readonly #pool: ServerPool;
  readonly #request: OutgoingRequest;
  #connection: ServerConnection | null = null;
  #wasResent = false;
  isCancelled = false;

  constructor(request: OutgoingRequest, handler: UpstreamHandler, pool: ServerPool) {
    this.#request = request;
    this.handler = handler;
    this.#pool = pool;
  }

  begin(connection: ServerConnection): void {
    this.#connection = connection;
    connection.send(this.#request, this.handler, this);
  }

  /** A close by the server under this request would be its end. */
  get needsSafety(): boolean {
    return this.#wasResent || !isIdempotent(this.#request.method, false);
  }

  /** Once, and only what may be executed twice and can be sent twice. It costs no attempt and no budget. */
  resend(): boolean {
    const { method, body } = this.#request;
    const connection = this.#connection;
    if (connection === null || this.#wasResent || this.isCancelled || body.kind === 'streamed') return false;
    if (!isIdempotent(method, false)) return false;
    if (!this.#pool.again(this, connection)) return false;
    this.#wasResent = true;
    return true;
  }

  resume(): void {
    this.#connection?.resume();
  }

  cancel(): void {
    if (this.isCancelled) return;
    this.isCancelled = true;
    this.#connection?.abandon(this.handler);
  }
}
