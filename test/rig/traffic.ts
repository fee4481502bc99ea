// Clients of the rig: keep-alive connections, half GET half POST, every request with an id of its own, and
// never a retry. What came back is a ledger, from which lost, doubled and mixed-up requests are counted.

import { Agent, request } from 'node:http';
import type { Fleet, FleetServer } from './fleet.ts';

// What is waited for takes a fraction of a second; a machine that runs other things may stall for many, and
// no story fails because of that.
const PATIENCE_MS = 45_000;

export interface TrafficOptions {
  readonly port: number;
  /** Connections, each with one request under way at most. 24 unless given (the rig of the table has 64). */
  readonly clients?: number;
  /** Pause of a client between an answer and its next request, milliseconds. */
  readonly pauseMs?: number;
  /** Requests in all; without it until `stop`. */
  readonly requests?: number;
  /** Share of POST; half unless given. */
  readonly posts?: number;
  /** A new connection for each request. */
  readonly closes?: boolean;
  /** Further fields of every request. */
  readonly fields?: Readonly<Record<string, string>>;
}

export interface Entry {
  readonly id: string;
  readonly method: 'GET' | 'POST';
  /** Place in the order in which requests were begun, from 1. Stories judge by it: instants say nothing on a machine that stalls. */
  readonly number: number;
  /** Milliseconds it took, for the figures in a test's output. */
  readonly ms: number;
  /** 0 when the connection broke. */
  readonly status: number;
  /** Code of the error where the connection broke. */
  readonly error: string | undefined;
  /** No other request went over its connection before. */
  readonly isFirst: boolean;
  /** The body is the one of this id. */
  readonly isOwn: boolean;
  readonly server: string | undefined;
  readonly route: string | undefined;
}

/** Everything that was asked, and what came of it. */
export class Ledger {
  readonly entries: Entry[] = [];

  /** No 2xx came. */
  lost(method?: Entry['method']): Entry[] {
    return this.entries.filter(
      (entry) =>
        (entry.status < 200 || entry.status > 299) && (method === undefined || entry.method === method),
    );
  }

  /** An answer came, and it was another request's. */
  mixed(): Entry[] {
    return this.entries.filter((entry) => entry.status === 200 && !entry.isOwn);
  }

  /** The client's own connection was reset or closed under a request. */
  broken(): Entry[] {
    return this.entries.filter((entry) => entry.status === 0);
  }

  /** Ids that servers have read more than once. */
  doubled(fleet: Fleet, method?: Entry['method']): string[] {
    const methods = new Map(this.entries.map((entry) => [entry.id, entry.method]));
    return [...fleet.timesSeen()]
      .filter(([id, times]) => times > 1 && (method === undefined || methods.get(id) === method))
      .map(([id]) => id);
  }

  /** Begun after so many requests had been begun (`Traffic.begun` at some moment). */
  after(begun: number): Entry[] {
    return this.entries.filter(({ number }) => number > begun);
  }

  /** Of requests begun after `begun`, the ids that one of these servers has read. */
  readAfter(begun: number, servers: readonly FleetServer[]): string[] {
    const read = new Set(servers.flatMap((server) => server.arrivals().map(({ id }) => id)));
    return this.after(begun)
      .filter(({ id }) => read.has(id))
      .map(({ id }) => id);
  }

  /** Milliseconds that a share of the entries took at most. */
  static quantile(entries: readonly Entry[], share: number): number {
    const sorted = entries.map(({ ms }) => ms).sort((a, b) => a - b);
    return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
  }

  /** One line for the test's output. */
  summary(): string {
    const statuses = new Map<string, number>();
    for (const { status, error, method } of this.entries) {
      const name = `${method} ${status === 0 ? error : status}`;
      statuses.set(name, (statuses.get(name) ?? 0) + 1);
    }
    const counts = [...statuses].map(([name, count]) => `${name}: ${count}`).join(', ');
    const p = (share: number): string => Ledger.quantile(this.entries, share).toFixed(1);
    return `${this.entries.length} requests (${counts}), p50 ${p(0.5)} ms, p99 ${p(0.99)} ms`;
  }
}

let runs = 0;

export class Traffic {
  readonly ledger = new Ledger();
  readonly #options: TrafficOptions;
  readonly #run = ++runs;
  readonly #clients: Promise<void>[];
  /** Numbers of the requests under way. */
  readonly #underWay = new Set<number>();
  #sent = 0;
  #isStopping = false;

  constructor(options: TrafficOptions) {
    this.#options = options;
    this.#clients = Array.from({ length: options.clients ?? 24 }, () => this.#client());
  }

  /** Requests begun so far: a mark for `Ledger.after`. */
  get begun(): number {
    return this.#sent;
  }

  /** Ends after the requests under way, or after `requests`. */
  async stop(): Promise<Ledger> {
    this.#isStopping = this.#options.requests === undefined;
    await Promise.all(this.#clients);
    return this.ledger;
  }

  /** Resolves when `count` more requests have ended. */
  async more(count: number): Promise<void> {
    const goal = this.ledger.entries.length + count;
    await until(() => this.ledger.entries.length >= goal, PATIENCE_MS, `${count} more requests`);
  }

  /** Resolves when every request that is under way now has ended. */
  async turnOver(): Promise<void> {
    const begun = this.#sent;
    const isOver = (): boolean => [...this.#underWay].every((number) => number > begun);
    await until(isOver, PATIENCE_MS, 'the requests under way have ended');
  }

  async #client(): Promise<void> {
    const { requests = Number.POSITIVE_INFINITY, posts = 0.5, pauseMs = 30, closes = false } = this.#options;
    const agent = new Agent({ keepAlive: !closes, maxSockets: 1 });
    // Not all at once: clients of the world are not in step.
    await pause(Math.random() * pauseMs);
    while (!this.#isStopping && this.#sent < requests) {
      this.#sent += 1;
      const id = `${this.#run}-${process.pid}-${this.#sent}`;
      const method = (this.#sent * posts) % 1 < posts ? 'POST' : 'GET';
      const number = this.#sent;
      this.#underWay.add(number);
      this.ledger.entries.push(await this.#ask(agent, method, { id, number }));
      this.#underWay.delete(number);
      await pause(pauseMs * (0.5 + Math.random()));
    }
    agent.destroy();
  }

  #ask(agent: Agent, method: Entry['method'], { id, number }: Pick<Entry, 'id' | 'number'>): Promise<Entry> {
    const startedAt = performance.now();
    const headers: Record<string, string> = {
      'x-user-id': `user-${number % 997}`,
      ...this.#options.fields,
    };
    if (method === 'POST') headers['content-length'] = String(id.length);
    return new Promise((resolve) => {
      let isDone = false;
      const done = (rest: Omit<Entry, 'id' | 'method' | 'number' | 'ms' | 'isFirst'>): void => {
        if (isDone) return;
        isDone = true;
        const ms = performance.now() - startedAt;
        resolve({ id, method, number, ms, isFirst: !outgoing.reusedSocket, ...rest });
      };
      const broke = (error: NodeJS.ErrnoException): void =>
        done({
          status: 0,
          error: error.code ?? error.message,
          isOwn: false,
          server: undefined,
          route: undefined,
        });
      const outgoing = request({
        host: '127.0.0.1',
        port: this.#options.port,
        method,
        path: `/items/${id}`,
        agent,
        headers,
      });
      outgoing.on('error', broke);
      outgoing.on('response', (response) => {
        let body = '';
        response.setEncoding('latin1');
        response.on('data', (chunk: string) => {
          body += chunk;
        });
        response.on('error', broke);
        response.on('end', () =>
          done({
            status: response.statusCode ?? 0,
            error: undefined,
            isOwn: body.replace(/\.+$/, '') === id,
            server: response.headers['x-server'] as string | undefined,
            route: response.headers['foreshard-route'] as string | undefined,
          }),
        );
      });
      outgoing.end(method === 'POST' ? id : undefined);
    });
  }
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Resolves as soon as `holds` is true; rejects after `limitMs`, which only ends what would never end. */
export async function until(
  holds: () => boolean | Promise<boolean>,
  limitMs: number,
  what: string,
): Promise<void> {
  const ms = Math.max(limitMs, PATIENCE_MS);
  const deadline = performance.now() + ms;
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error(`not within ${ms} ms: ${what}`);
    await pause(10);
  }
}
