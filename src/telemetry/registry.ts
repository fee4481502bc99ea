// The one registry of a process, on the main thread: built from the metric table, fed with the deltas of
// the workers, read by `/metrics`. Histograms are our own small collector, because prom-client's can only
// observe values one by one and workers send whole buckets.

import {
  Counter,
  collectDefaultMetrics,
  Gauge,
  type MetricObjectWithValues,
  type MetricValue,
  Registry,
} from 'prom-client';
import { type Clock, systemClock } from '../core/clock.ts';
import type { Delta, LabelValues } from './deltas.ts';
import { METRICS, type MetricInfo, type MetricName } from './metric-table.ts';

// What a process says of itself (memory, files, garbage collection) is read from the kernel: two thirds of what a
// scrape costs, for values that nobody needs more often.
const PROCESS_AGE_MS = 1000;

export class MetricsRegistry {
  readonly #clock: Clock;
  readonly #registry = new Registry();
  readonly #process = new Registry();
  #processText: { readonly text: Promise<string>; readonly at: number } | undefined;
  readonly #counters = new Map<string, Counter>();
  readonly #gauges = new Map<string, Gauge>();
  readonly #histograms = new Map<string, BucketHistogram>();

  constructor(clock: Clock = systemClock) {
    this.#clock = clock;
    collectDefaultMetrics({ register: this.#process });
    for (const [name, info] of Object.entries<MetricInfo>(METRICS)) {
      const options = { name, help: info.help, labelNames: [...info.labels], registers: [this.#registry] };
      if (info.kind === 'counter') this.#counters.set(name, new Counter(options));
      else if (info.kind === 'gauge') this.#gauges.set(name, new Gauge(options));
      else {
        const histogram = new BucketHistogram(name, info);
        this.#histograms.set(name, histogram);
        this.#registry.registerMetric(histogram as never);
      }
    }
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  /** Text exposition of everything; that of the process is up to a second old. */
  async text(): Promise<string> {
    const now = this.#clock.monotonicMs();
    if (this.#processText === undefined || now - this.#processText.at >= PROCESS_AGE_MS) {
      this.#processText = { text: this.#process.metrics(), at: now };
    }
    return (await this.#processText.text) + (await this.#registry.metrics());
  }

  /** Share of each value of a label in a counter, over all its other labels; empty when nothing was counted. */
  async shares(metric: MetricName, label: string): Promise<ReadonlyMap<string, number>> {
    const values = (await this.#counters.get(metric)?.get())?.values ?? [];
    const total = values.reduce((sum, { value }) => sum + value, 0);
    const shares = new Map<string, number>();
    for (const { labels, value } of values) {
      const name = String(labels[label]);
      shares.set(name, (shares.get(name) ?? 0) + value / total);
    }
    return shares;
  }

  add(metric: MetricName, labels: LabelValues, value: number): void {
    this.#counters.get(metric)?.inc(named(metric, labels), value);
  }

  set(metric: MetricName, labels: LabelValues, value: number): void {
    this.#gauges.get(metric)?.set(named(metric, labels), value);
  }

  /** Forgets all series of a gauge: regions and servers come and go. */
  reset(metric: MetricName): void {
    this.#gauges.get(metric)?.reset();
  }

  apply(deltas: readonly Delta[]): void {
    for (const delta of deltas) {
      const metric = delta.metric as MetricName;
      switch (delta.kind) {
        case 'counter':
          this.add(metric, delta.labels, delta.value);
          break;
        case 'gauge':
          this.set(metric, delta.labels, delta.value);
          break;
        case 'reset':
          this.reset(metric);
          break;
        case 'histogram':
          this.#histograms.get(metric)?.merge(delta.labels, delta.counts, delta.sum);
          break;
      }
    }
  }
}

function named(metric: MetricName, values: LabelValues): Record<string, string> {
  return Object.fromEntries(METRICS[metric].labels.map((label, i) => [label, values[i] ?? '']));
}

interface Series {
  readonly labels: Record<string, string>;
  readonly counts: number[];
  sum: number;
}

/** Satisfies what prom-client's registry asks of a metric: a name and `get()`. */
class BucketHistogram {
  readonly name: string;
  readonly #info: MetricInfo;
  readonly #series = new Map<string, Series>();

  constructor(name: string, info: MetricInfo) {
    this.name = name;
    this.#info = info;
  }

  merge(values: LabelValues, counts: readonly number[], sum: number): void {
    const key = values.join('\n');
    let series = this.#series.get(key);
    if (series === undefined) {
      series = {
        labels: named(this.name as MetricName, values),
        counts: counts.map(() => 0),
        sum: 0,
      };
      this.#series.set(key, series);
    }
    counts.forEach((count, bucket) => {
      series.counts[bucket]! += count;
    });
    series.sum += sum;
  }

  reset(): void {
    this.#series.clear();
  }

  async get(): Promise<MetricObjectWithValues<MetricValue<string>>> {
    const values = [...this.#series.values()].flatMap((series) => this.#values(series));
    return { name: this.name, help: this.#info.help, type: 'histogram', values, aggregator: 'sum' } as never;
  }

  #values({ labels, counts, sum }: Series): object[] {
    const bounds = [...(this.#info.buckets ?? []).map(String), '+Inf'];
    let total = 0;
    const buckets = bounds.map((le, bucket) => {
      total += counts[bucket] ?? 0;
      return { labels: { le, ...labels }, value: total, metricName: `${this.name}_bucket` };
    });
    return [
      ...buckets,
      { labels, value: sum, metricName: `${this.name}_sum` },
      { labels, value: total, metricName: `${this.name}_count` },
    ];
  }
}
