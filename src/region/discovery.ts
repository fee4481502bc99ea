// Servers that a file or DNS names. A source that cannot be asked keeps what it said last: a broken resolver
// must not empty a region. Looks again when a record's time to live is over, a file when it changes.

import type { Resolver } from 'node:dns/promises';
import type { Logger } from '../telemetry/logger.ts';
import type { MemberDescription } from './members.ts';

export interface DnsSource {
  readonly kind: 'dns';
  readonly name: string;
  readonly type: 'srv' | 'a' | 'aaaa';
  /** For a and aaaa. */
  readonly port: number | undefined;
  readonly scheme: 'http' | 'https';
  /** Milliseconds: longest time between two looks. */
  readonly every: number;
}

export interface FileSource {
  readonly kind: 'file';
  readonly path: string;
  readonly every: number;
}

export type DiscoverySource = DnsSource | FileSource;

export interface DiscoveryTools {
  readonly resolver: Pick<Resolver, 'resolve4' | 'resolve6' | 'resolveSrv'>;
  /** Servers that a file lists; throws an Error with a sentence when it cannot be taken. */
  readFile(path: string): Promise<readonly MemberDescription[]>;
  readonly log: Logger;
  /** What a source names now. */
  onServers(source: string, servers: readonly MemberDescription[]): void;
}

// A time to live of 0 or 1 s must not become a flood of questions.
const LEAST_PAUSE_MS = 1000;

/** Two ways to ask for one name are two sources: each names its own servers. */
export function sourceName(source: DiscoverySource): string {
  if (source.kind === 'file') return `file:${source.path}`;
  const { name, type, scheme, port } = source;
  return `dns:${[name, type, scheme, port].join(' ').trim()}`;
}

/** Asks each source again and again until closed. */
export class Discovery {
  readonly #tools: DiscoveryTools;
  readonly #timers = new Map<string, NodeJS.Timeout>();
  readonly #said = new Map<string, string>();
  #isClosed = false;

  constructor(tools: DiscoveryTools) {
    this.#tools = tools;
  }

  /** First look at every source; resolves when each has answered or failed. */
  async start(sources: readonly DiscoverySource[]): Promise<void> {
    await Promise.all(sources.map((source) => this.#look(source)));
  }

  close(): void {
    this.#isClosed = true;
    for (const timer of this.#timers.values()) clearTimeout(timer);
  }

  async #look(source: DiscoverySource): Promise<void> {
    const name = sourceName(source);
    let pause = source.every;
    try {
      const { servers, ttlMs } = await this.#ask(source);
      if (this.#isClosed) return;
      pause = Math.max(LEAST_PAUSE_MS, Math.min(source.every, ttlMs));
      this.#say(name, 'asked');
      this.#tools.onServers(name, servers);
    } catch (error) {
      if (this.#isClosed) return;
      const problem = (error as NodeJS.ErrnoException).code ?? (error as Error).message;
      this.#say(name, problem);
    }
    this.#timers.set(
      name,
      setTimeout(() => void this.#look(source), pause),
    );
  }

  /** Once for each new state: a source that fails all night is one line. */
  #say(source: string, state: string): void {
    if (this.#said.get(source) === state) return;
    this.#said.set(source, state);
    if (state === 'asked') this.#tools.log.info({ source }, 'discovery source answers');
    else {
      this.#tools.log.warn(
        { source, problem: state },
        'discovery source cannot be asked; what it said last stays',
      );
    }
  }

  async #ask(source: DiscoverySource): Promise<{ servers: readonly MemberDescription[]; ttlMs: number }> {
    if (source.kind === 'file') {
      return { servers: await this.#tools.readFile(source.path), ttlMs: Number.POSITIVE_INFINITY };
    }
    return source.type === 'srv' ? this.#askService(source) : this.#askAddresses(source);
  }

  async #askAddresses({ name, type, port, scheme }: DnsSource) {
    const { resolver } = this.#tools;
    const records =
      type === 'a'
        ? await resolver.resolve4(name, { ttl: true })
        : await resolver.resolve6(name, { ttl: true });
    const servers = records.flatMap(({ address }) =>
      discovered(`${scheme}://${type === 'a' ? address : `[${address}]`}:${port!}`, 1),
    );
    return { servers, ttlMs: leastTtlMs(records.map(({ ttl }) => ttl)) };
  }

  /** Of the records with the lowest priority value; their weights are shares (RFC 2782). */
  async #askService({ name, scheme }: DnsSource) {
    const records = await this.#tools.resolver.resolveSrv(name);
    const best = Math.min(...records.map(({ priority }) => priority));
    const servers = records
      .filter(({ priority }) => priority === best)
      .flatMap(({ name: host, port, weight }) =>
        port === 0 ? [] : discovered(`${scheme}://${host}:${port}`, Math.max(1, weight)),
      );
    // node:dns tells no time to live for SRV.
    return { servers, ttlMs: Number.POSITIVE_INFINITY };
  }
}

/** None when a record names no address: one such must not cost the others. */
function discovered(text: string, weight: number): MemberDescription[] {
  if (!URL.canParse(text)) return [];
  // One spelling, so that equal addresses are equal text.
  const url = new URL(text).origin;
  return [{ id: url, url, zone: '', weight: Math.min(1000, weight), capacity: undefined, labels: {} }];
}

function leastTtlMs(seconds: readonly number[]): number {
  return seconds.length === 0 ? 0 : Math.min(...seconds) * 1000;
}
