// Metrics that the servers of a region offer themselves, fetched by their manager with the engine's own scraper and
// kept for its report, so that a proxy's engine sees them. Bounded: what a report of a thousand servers may hold is
// shared out among them, the figures that the models know first.

import { MetricFetcher } from '../analytics/ingest/metric-fetcher.ts';
import { boundsOf, type Sample } from '../analytics/ingest/sample.ts';
import type { Clock } from '../core/clock.ts';
import type { Random } from '../core/random.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { MetricsRegistry } from '../telemetry/registry.ts';

export interface MemberScrapesTools {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly metrics: MetricsRegistry;
}

/** A member that offers metrics. */
export interface ScrapedMember {
  readonly id: string;
  /** URL of a page in Prometheus' text form. */
  readonly metrics?: string | undefined;
}

interface Target {
  readonly url: string;
  readonly everyMs: number;
  close(): void;
  values: ReadonlyMap<string, number>;
  /** Monotonic milliseconds of the last page; -Infinity = none. */
  readAt: number;
}

// Bytes of all of them in a report: of 1,000 servers it is 140 KB without, and shall stay below 200.
const ROOM_BYTES = 60_000;
// `,"telemetry":{}`
const FRAME_BYTES = 15;
// A page that was missed twice is old.
const FRESH_TURNS = 3;
// Those that the contract names come first, and then what models look at.
const KNOWN = [
  'cpu',
  'memory',
  'disk_io',
  'network',
  'queue_depth',
  'error_rate',
  'in_flight',
  'rps',
  'disk',
];

export class MemberScrapes {
  readonly #tools: MemberScrapesTools;
  readonly #targets = new Map<string, Target>();

  constructor(tools: MemberScrapesTools) {
    this.#tools = tools;
  }

  /** Scrapes these members and no others; those that stay keep their counters. */
  watch(region: string, members: readonly ScrapedMember[], everyMs: number): void {
    const wanted = new Map(
      members.flatMap(({ id, metrics }) => (metrics === undefined ? [] : [[id, metrics]])),
    );
    for (const [id, target] of this.#targets) {
      if (wanted.get(id) === target.url && target.everyMs === everyMs) continue;
      target.close();
      this.#targets.delete(id);
    }
    for (const [id, url] of wanted) {
      if (!this.#targets.has(id)) this.#targets.set(id, this.#open({ region, id, url }, everyMs));
    }
  }

  /** What a member said last, if it is fresh: as much of it as a report has room for. */
  valuesOf(id: string): Record<string, number> | undefined {
    const target = this.#targets.get(id);
    if (target === undefined || target.values.size === 0) return undefined;
    if (this.#tools.clock.monotonicMs() - target.readAt > FRESH_TURNS * target.everyMs) return undefined;
    const told: Record<string, number> = {};
    let room = ROOM_BYTES / this.#targets.size - FRAME_BYTES;
    for (const name of [...target.values.keys()].sort(byRank)) {
      const value = short(name, target.values.get(name)!);
      const bytes = `"${name}":${value},`.length;
      if (bytes > room) continue;
      room -= bytes;
      told[name] = value;
    }
    return told;
  }

  close(): void {
    for (const target of this.#targets.values()) target.close();
    this.#targets.clear();
  }

  #open(
    { region, id, url }: { readonly region: string; readonly id: string; readonly url: string },
    everyMs: number,
  ): Target {
    const { clock, log, metrics, random } = this.#tools;
    let fetcher: MetricFetcher | undefined;
    const begin = (): void => {
      fetcher = new MetricFetcher([{ kind: 'scrape', url, region, server: id }], everyMs, {
        clock,
        onSamples: (samples) => {
          target.values = new Map(samples.map(({ metric, value }: Sample) => [metric, value]));
          target.readAt = clock.monotonicMs();
        },
        onResult: (_, result, detail) => {
          metrics.add('foreshard_scrapes_total', [result], 1);
          if (result !== 'ok') log.debug({ server: id, source: url, result, detail }, 'a source of metrics');
        },
      });
    };
    // Not all at one moment: a thousand pages would stand in memory together.
    const timer = setTimeout(begin, random.next() * everyMs);
    const close = (): void => {
      clearTimeout(timer);
      fetcher?.close();
    };
    const target: Target = { url, everyMs, close, values: new Map(), readAt: Number.NEGATIVE_INFINITY };
    return target;
  }
}

function rankOf(name: string): number {
  const rank = KNOWN.indexOf(name);
  return rank === -1 ? KNOWN.length : rank;
}

const byRank = (a: string, b: string): number => rankOf(a) - rankOf(b) || (a < b ? -1 : 1);

/** What follows these digits is noise, and bytes. */
const short = (metric: string, value: number): number =>
  boundsOf(metric).most === 1 ? Math.round(value * 1000) / 1000 : Number(value.toPrecision(4));
