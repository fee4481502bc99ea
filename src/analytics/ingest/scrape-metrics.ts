// A scraped page -> the metrics of one entity. Labels are folded away: the models want one memory figure of a
// server, not one per mount and core. Names of node_exporter, process and Node clients become ours; any other
// family keeps its name, up to a bound. Holds the counters' last values, one object per scraped target.

import { CounterRates } from './counter-rates.ts';
import type { ExpositionPoint } from './exposition.ts';
import { boundsOf, coreFirst, MAX_NAME_CHARACTERS, METRIC_NAME } from './sample.ts';

export interface ScrapeCounts {
  /** NaN, infinite, or beyond what the metric can be. */
  absurd: number;
  /** Families beyond the bound. */
  tooMany: number;
  resets: number;
}

export interface ScrapeReadings {
  readonly metrics: ReadonlyMap<string, number>;
  readonly counts: Readonly<ScrapeCounts>;
}

// Families one target may bring; more would push other targets out of the store.
const MAX_METRICS = 48;
const MAX_COUNTERS = 4096;
// Label sets come and go; those of a page that has dropped them make room for new ones.
const FORGOTTEN_MS = 600_000;

// Gauges that already say what ours say.
const ALIASES: Readonly<Record<string, string>> = {
  cpu_utilization: 'cpu',
  mem_utilization: 'memory',
  memory_utilization: 'memory',
  disk_utilization: 'disk',
};

export class ScrapeMetrics {
  readonly #rates = new CounterRates(MAX_COUNTERS);

  /** @param at milliseconds of the scrape; stamps on the page are of its own clock and only told apart. */
  read(points: readonly ExpositionPoint[], at: number): ScrapeReadings {
    this.#rates.forget(at - FORGOTTEN_MS);
    const counts: ScrapeCounts = { absurd: 0, tooMany: 0, resets: 0 };
    const folded = new Folded();
    for (const point of points) {
      if (!Number.isFinite(point.value)) counts.absurd += 1;
      else if (point.type === 'counter' || isPartOfHistogram(point)) this.#count(point, at, folded, counts);
      else if (point.type !== 'summary') folded.gauge(point);
    }
    const found = new Map([...machineMetrics(folded), ...folded.others()]);
    const metrics = new Map<string, number>();
    for (const metric of coreFirst(found.keys())) {
      const value = found.get(metric)!;
      const { least, most } = boundsOf(metric);
      if (!METRIC_NAME.test(metric) || metric.length > MAX_NAME_CHARACTERS) counts.tooMany += 1;
      else if (!(value >= least && value <= most)) counts.absurd += 1;
      else if (metrics.size >= MAX_METRICS) counts.tooMany += 1;
      else metrics.set(metric, value);
    }
    return { metrics, counts };
  }

  #count(point: ExpositionPoint, at: number, folded: Folded, counts: ScrapeCounts): void {
    // Per label set, because a reset of one of several workers must not look like a fall of their sum.
    const series = `${point.name}{${[...point.labels].flat().join('\n')}}`;
    const rate = this.#rates.rate(series, point.at ?? at, point.value, at);
    if (rate.kind === 'too_many') counts.tooMany += 1;
    if (rate.kind !== 'rate') return;
    if (rate.wasReset) counts.resets += 1;
    folded.rate(point, rate.perSecond);
  }
}

// Buckets carry the shape of a latency, which its mean (_sum over _count) tells well enough for the models.
function isPartOfHistogram(point: ExpositionPoint): boolean {
  return (point.type === 'histogram' || point.type === 'summary') && /_(sum|count)$/.test(point.name);
}

interface Fold {
  sum: number;
  n: number;
}

/** Families with their labels folded away, and those of which a label matters. */
class Folded {
  readonly gauges = new Map<string, Fold>();
  readonly rates = new Map<string, number>();
  cpuIdle = 0;
  cpuAll = 0;
  /** By mount. */
  readonly diskFree = new Map<string, number>();
  readonly diskSize = new Map<string, number>();

  gauge({ name, labels, value, type }: ExpositionPoint): void {
    if (type === 'histogram') return;
    const mount = labels.get('mountpoint') ?? '';
    if (name === 'node_filesystem_avail_bytes') this.diskFree.set(mount, value);
    if (name === 'node_filesystem_size_bytes') this.diskSize.set(mount, value);
    const fold = this.gauges.get(name);
    if (fold === undefined) this.gauges.set(name, { sum: value, n: 1 });
    else {
      fold.sum += value;
      fold.n += 1;
    }
  }

  rate({ name, labels }: ExpositionPoint, perSecond: number): void {
    if (name === 'node_cpu_seconds_total') {
      this.cpuAll += perSecond;
      if (labels.get('mode') === 'idle' || labels.get('mode') === 'iowait') this.cpuIdle += perSecond;
    }
    this.rates.set(name, (this.rates.get(name) ?? 0) + perSecond);
  }

  /** Everything else by its own name: a gauge's mean, a counter's rate, a histogram's mean. */
  *others(): Generator<[string, number]> {
    for (const [name, { sum, n }] of this.gauges) {
      if (!name.startsWith('node_')) yield [ALIASES[name] ?? ownName(name), sum / n];
    }
    for (const [name, rate] of this.rates) {
      if (name.startsWith('node_') || name.endsWith('_sum')) continue;
      if (!name.endsWith('_count')) {
        yield [`${ownName(name).replace(/_total$/, '')}_rate`, rate];
        continue;
      }
      const family = name.slice(0, -'_count'.length);
      yield [`${ownName(family)}_rate`, rate];
      const sum = this.rates.get(`${family}_sum`);
      if (sum !== undefined && rate > 0) yield [`${ownName(family)}_mean`, sum / rate];
    }
  }
}

const ownName = (name: string): string => name.toLowerCase().replaceAll(':', '_');

function* machineMetrics(folded: Folded): Generator<[string, number]> {
  const gauge = (name: string): number | undefined => folded.gauges.get(name)?.sum;
  if (folded.cpuAll > 0) yield ['cpu', 1 - folded.cpuIdle / folded.cpuAll];
  const total = gauge('node_memory_MemTotal_bytes');
  const available = gauge('node_memory_MemAvailable_bytes');
  if (total !== undefined && available !== undefined && total > 0) yield ['memory', 1 - available / total];
  let fullest: number | undefined;
  for (const [mount, size] of folded.diskSize) {
    const free = folded.diskFree.get(mount);
    if (free !== undefined && size > 0) fullest = Math.max(fullest ?? 0, 1 - free / size);
  }
  if (fullest !== undefined) yield ['disk', fullest];
  const diskTime = folded.rates.get('node_disk_io_time_seconds_total');
  if (diskTime !== undefined) yield ['disk_io', Math.min(1, diskTime)];
  const load = gauge('node_load1');
  if (load !== undefined) yield ['load1', load];
}
