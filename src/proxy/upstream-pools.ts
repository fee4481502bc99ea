// All connections of one worker to servers, by origin: plain HTTP over our own codec (http1/), TLS through
// undici. Pools follow the snapshot: those of servers that are gone finish what they have and close.

import type { Clock } from '../core/clock.ts';
import { ServerPool, type ServerPoolTools } from './http1/server-pool.ts';
import type { TimerWheel } from './timer-wheel.ts';
import { TlsPools } from './tls-pools.ts';
import type { OutgoingRequest, Upstream, UpstreamCall, UpstreamHandler } from './upstream.ts';

export interface PoolOptions {
  /** Most connections of this worker to one server. */
  readonly connections: number;
  /** Milliseconds; the longest of all routes, an attempt's own limit is shorter or equal. */
  readonly connectTimeout: number;
  readonly responseHeaderBytes: number;
  readonly trailerFields: number;
}

export class UpstreamPools implements Upstream {
  readonly #plain = new Map<string, ServerPool>();
  readonly #tls: TlsPools;
  readonly #tools: ServerPoolTools;
  #options: PoolOptions;

  constructor(wheel: TimerWheel, clock: Clock, options: PoolOptions) {
    this.#tools = { wheel, clock, fleet: { hastyAt: Number.NEGATIVE_INFINITY } };
    this.#tls = new TlsPools(wheel, options);
    this.#options = options;
  }

  start(origin: string, request: OutgoingRequest, handler: UpstreamHandler): UpstreamCall {
    if (origin.startsWith('https:')) return this.#tls.start(origin, request, handler);
    let pool = this.#plain.get(origin);
    if (pool === undefined) {
      pool = new ServerPool(origin, this.#options, this.#tools);
      this.#plain.set(origin, pool);
    }
    return pool.start(request, handler);
  }

  /** Keeps exactly the pools of `origins`; others finish what they have. Called at every swap. */
  retain(origins: ReadonlySet<string>, options: PoolOptions): void {
    const isChanged = JSON.stringify(options) !== JSON.stringify(this.#options);
    this.#options = options;
    for (const [origin, pool] of this.#plain) {
      if (origins.has(origin) && !isChanged) continue;
      this.#plain.delete(origin);
      pool.close();
    }
    this.#tls.retain(origins, options);
  }

  /** Cuts every connection. */
  async destroy(): Promise<void> {
    for (const pool of this.#plain.values()) pool.destroy();
    this.#plain.clear();
    await this.#tls.destroy();
  }
}
