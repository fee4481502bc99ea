// Asks for the metrics that do not come by themselves: scrapes pages in Prometheus' text form and puts PromQL to
// a Prometheus server, each source at its own pace, one request per source at a time. A source that fails is
// counted and asked again at its next turn; none can delay another.

import type { Clock } from '../../core/clock.ts';
import { type Fetcher, fetchBounded } from './bounded-fetch.ts';
import { parseExposition } from './exposition.ts';
import { askPrometheus } from './promql.ts';
import { type Entity, regionEntity, type Sample, serverEntity } from './sample.ts';
import { ScrapeMetrics } from './scrape-metrics.ts';

export type MetricSource =
  | {
      readonly kind: 'scrape';
      readonly url: string;
      readonly region: string;
      readonly server: string | undefined;
    }
  | { readonly kind: 'prometheus'; readonly url: string; readonly queries: Readonly<Record<string, string>> };

export interface FetcherTools {
  readonly clock: Clock;
  readonly fetcher?: Fetcher;
  onSamples(samples: readonly Sample[]): void;
  /** `ok`, or why a source gave nothing or less than it had. */
  onResult(source: MetricSource, result: string, detail: string): void;
}

// A page of 20,000 samples at 200 bytes.
const MAX_BYTES = 4 * 1024 * 1024;
const MAX_POINTS = 20_000;
const MOST_WAIT_MS = 10_000;

export class MetricFetcher {
  readonly #tools: FetcherTools;
  readonly #timers: NodeJS.Timeout[] = [];
  readonly #stop = new AbortController();

  /** @param everyMs pause between two requests to one source. */
  constructor(sources: readonly MetricSource[], everyMs: number, tools: FetcherTools) {
    this.#tools = tools;
    for (const source of sources) {
      const turn = source.kind === 'scrape' ? this.#scraping(source) : () => this.#query(source, everyMs);
      let isBusy = false;
      const ask = (): void => {
        if (isBusy) return;
        isBusy = true;
        void turn(everyMs).finally(() => {
          isBusy = false;
        });
      };
      ask();
      this.#timers.push(setInterval(ask, everyMs));
    }
  }

  close(): void {
    this.#stop.abort();
    for (const timer of this.#timers) clearInterval(timer);
  }

  #scraping(source: MetricSource & { kind: 'scrape' }): (everyMs: number) => Promise<void> {
    const metrics = new ScrapeMetrics();
    const { region, server } = source;
    const entity = server === undefined ? regionEntity(region) : serverEntity(region, server);
    return async (everyMs) => {
      const page = await this.#get(source.url, everyMs, { accept: 'text/plain;version=0.0.4' });
      if (this.#stop.signal.aborted) return;
      if (!page.ok) return this.#tools.onResult(source, page.reason, page.detail);
      const { points, malformed, dropped } = parseExposition(page.text, MAX_POINTS);
      const at = this.#tools.clock.wallMs();
      const { metrics: read, counts } = metrics.read(points, at);
      this.#tools.onSamples([...read].map(([metric, value]) => toSample(entity, metric, at, value)));
      const problems = { malformed, dropped, absurd: counts.absurd, families_over_limit: counts.tooMany };
      const said = Object.entries(problems).filter(([, count]) => count > 0);
      const result = read.size === 0 && points.length === 0 ? 'empty' : said.length === 0 ? 'ok' : 'partial';
      this.#tools.onResult(source, result, said.map(([what, count]) => `${what} ${count}`).join(', '));
    };
  }

  async #query(source: MetricSource & { kind: 'prometheus' }, everyMs: number): Promise<void> {
    for (const [metric, query] of Object.entries(source.queries)) {
      const limits = { timeoutMs: waitOf(everyMs), maxBytes: MAX_BYTES, signal: this.#stop.signal };
      const { fetcher = fetchBounded } = this.#tools;
      const answer = await askPrometheus(fetcher, { prometheus: source.url, metric, query }, limits);
      if (this.#stop.signal.aborted) return;
      if (!answer.ok) this.#tools.onResult(source, answer.reason, `${metric}: ${answer.detail}`);
      else {
        this.#tools.onSamples(answer.samples);
        const detail =
          answer.skipped === 0 ? '' : `${metric}: ${answer.skipped} series without region or value`;
        this.#tools.onResult(source, answer.skipped === 0 ? 'ok' : 'partial', detail);
      }
    }
  }

  #get(url: string, everyMs: number, headers: Readonly<Record<string, string>>) {
    const { fetcher = fetchBounded } = this.#tools;
    return fetcher(url, {
      timeoutMs: waitOf(everyMs),
      maxBytes: MAX_BYTES,
      headers,
      signal: this.#stop.signal,
    });
  }
}

// An answer that takes longer than the pause would be stale when it came.
const waitOf = (everyMs: number): number => Math.min(MOST_WAIT_MS, Math.max(250, everyMs * 0.9));

function toSample(entity: Entity, metric: string, at: number, value: number): Sample {
  return { entity, metric, at, value, source: '' };
}
