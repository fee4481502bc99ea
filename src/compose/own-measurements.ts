// The proxy's own measurements, as telemetry documents: per region, server, route and shard group what went
// through since the last reading. Reads live cells, health and the workers' counters; holds the totals of the
// last reading, because a rate is a difference.

import { parseOrca } from '../analytics/ingest/orca.ts';
import { boundsOf, MAX_NAME_CHARACTERS, METRIC_NAME } from '../analytics/ingest/sample.ts';
import type { HealthMonitor, ServerReport } from '../health/monitor.ts';
import type { ShardCounts } from '../plan/shard-counts.ts';
import type { LoadReport } from '../proxy/load-reports.ts';
import { SHARD_GROUPS } from '../state/cell-layout.ts';
import type { LiveCells } from '../state/live-cells.ts';
import { healthyBehind } from '../state/live-view.ts';
import { addCounts, latencyQuantile, type ServedReport } from '../state/served-tally.ts';
import type { Delta } from '../telemetry/deltas.ts';

export interface MeasuredDocument {
  readonly region?: string;
  readonly server?: string;
  readonly route?: string;
  readonly shardGroup?: number;
  readonly proxy: string;
  readonly at: string;
  readonly metrics: Readonly<Record<string, number | Readonly<Record<string, number>>>>;
}

export interface MeasuredServer {
  readonly id: string;
  readonly region: string;
  readonly slot: number;
}

/** Servers behind a region's manager, and what they can take, by its word. */
export interface ReportedRegion {
  readonly registered: number;
  readonly healthy: number;
  /** Requests/s; 0 = it does not say. */
  readonly capacity: number;
  /** What it has measured: of its own machine, and of servers that offer metrics. One object for one reading. */
  readonly measured: {
    readonly telemetry: Readonly<Record<string, unknown>>;
    readonly servers: readonly {
      readonly id: string;
      readonly telemetry?: Readonly<Record<string, unknown>> | undefined;
    }[];
  };
}

export interface MeasuredSite {
  readonly servers: readonly MeasuredServer[];
  /** undefined where no manager looks after the region, or it is not heard. */
  reported(region: string): ReportedRegion | undefined;
}

interface Totals {
  attempts: number;
  errors: number;
  connectFailures: number;
}

interface Measured extends Totals {
  inFlight: number;
  /** Milliseconds; NaN without an answer. */
  latencyMs: number;
}

export class OwnMeasurements {
  readonly #cells: LiveCells;
  readonly #monitor: HealthMonitor;
  readonly #proxy: string;
  readonly #servers = new Map<string, Totals>();
  readonly #groups = new Map<number, { requests: number; errors: number }>();
  readonly #routes = new Map<string, { requests: number; errors: number }>();
  readonly #reports = new Map<number, ReadonlyMap<string, number>>();
  /** Managers' readings that were told already. */
  readonly #told = new WeakSet<object>();
  #shards = new Map<string, Uint32Array>();
  readonly #latencies = new Map<string, Uint32Array>();
  #measuredAt: number | undefined;
  /** Seconds since shards were taken. */
  #countedSeconds = 0;

  /** @param proxy name of this proxy among others that measure the same regions. */
  constructor(cells: LiveCells, monitor: HealthMonitor, proxy: string) {
    this.#cells = cells;
    this.#monitor = monitor;
    this.#proxy = proxy;
  }

  /** What workers have counted since their last flush. */
  apply(deltas: readonly Delta[], reports: readonly LoadReport[], { shards, latencies }: ServedReport): void {
    for (const [set, counts] of shards) this.#shards.set(set, addCounts(this.#shards.get(set), counts));
    for (const [region, counts] of latencies) {
      this.#latencies.set(region, addCounts(this.#latencies.get(region), counts));
    }
    for (const [slot, text] of reports) {
      const metrics = parseOrca(text);
      if (metrics !== undefined) this.#reports.set(slot, metrics);
    }
    for (const delta of deltas) {
      if (delta.kind !== 'counter' || delta.metric !== 'foreshard_requests_total') continue;
      const [route = '', , codeClass] = delta.labels;
      if (route === 'none') continue;
      const counts = this.#routes.get(route) ?? { requests: 0, errors: 0 };
      counts.requests += delta.value;
      if (codeClass === '5xx') counts.errors += delta.value;
      this.#routes.set(route, counts);
    }
  }

  /** @param now monotonic milliseconds. @param wall the same moment for readers. Empty at the first reading. */
  read(site: MeasuredSite, now: number, wall: number): MeasuredDocument[] {
    const elapsed = this.#measuredAt === undefined ? undefined : now - this.#measuredAt;
    this.#measuredAt = now;
    const at = new Date(wall).toISOString();
    const documents: MeasuredDocument[] = [];
    const add = (of: Partial<MeasuredDocument>, metrics: MeasuredDocument['metrics']): void => {
      if (elapsed !== undefined && elapsed > 0) documents.push({ ...of, proxy: this.#proxy, at, metrics });
    };
    const seconds = (elapsed ?? 0) / 1000;
    this.#countedSeconds += seconds;
    this.#readServers(site, seconds, add);
    this.#readDemand(seconds, add);
    return documents;
  }

  #readServers({ servers, reported }: MeasuredSite, seconds: number, add: Add): void {
    const reports = new Map(this.#monitor.report().map((report) => [report.id, report]));
    for (const [region, own] of Map.groupBy(servers, (server) => server.region)) {
      const measured = own.map((server) => this.#difference(server));
      own.forEach((server, i) => {
        const up = isUp(reports.get(server.id)) ? 1 : 0;
        const told = Object.fromEntries(this.#reports.get(server.slot) ?? []);
        // What we measured ourselves is surer than what a server says of itself.
        add({ region, server: server.id }, { ...told, ...rates(measured[i]!, seconds), up });
      });
      const usable = own.filter(({ id }) => isUp(reports.get(id))).length;
      const health = healthOf(own.length, usable, reported(region));
      const host = seconds > 0 ? this.#tellOf(region, reported(region), add) : {};
      add({ region }, { ...host, ...this.#withQuantiles(region, rates(sum(measured), seconds)), ...health });
    }
    this.#latencies.clear();
    // A report is of its moment: one that is not renewed is not measured again.
    this.#reports.clear();
    const ids = new Set(servers.map(({ id }) => id));
    for (const id of this.#servers.keys()) if (!ids.has(id)) this.#servers.delete(id);
  }

  /**
   * What a region's manager has measured since the last time: tells of its servers.
   * @returns of its machine, for the region.
   */
  #tellOf(region: string, site: ReportedRegion | undefined, add: Add): Record<string, number> {
    if (site === undefined || this.#told.has(site.measured)) return {};
    this.#told.add(site.measured);
    for (const { id, telemetry } of site.measured.servers) {
      if (telemetry !== undefined) add({ region, server: id }, numbersOf(telemetry));
    }
    return numbersOf(site.measured.telemetry);
  }

  /** Requests per shard since the last call; undefined when there were none. */
  takeCounts(): ShardCounts | undefined {
    const seconds = this.#countedSeconds;
    if (this.#shards.size === 0 || seconds === 0) return undefined;
    const tables = [...this.#shards];
    this.#shards = new Map();
    this.#countedSeconds = 0;
    return { proxy: this.#proxy, seconds, tables };
  }

  #withQuantiles(region: string, measured: ReturnType<typeof rates>): ReturnType<typeof rates> {
    const counts = this.#latencies.get(region);
    const mean = measured.latency_ms;
    if (counts === undefined || typeof mean !== 'object') return measured;
    const of = (q: number): number => latencyQuantile(counts, q) ?? 0;
    return { ...measured, latency_ms: { ...mean, p50: of(0.5), p90: of(0.9), p99: of(0.99) } };
  }

  #readDemand(seconds: number, add: Add): void {
    for (let group = 0; group < SHARD_GROUPS; group++) {
      let [requests, errors] = [0, 0];
      for (let worker = 0; worker < this.#cells.workers; worker++) {
        const counts = this.#cells.groupCounts(worker, group);
        requests += counts.requests;
        errors += counts.errors;
      }
      const last = this.#groups.get(group) ?? { requests: 0, errors: 0 };
      this.#groups.set(group, { requests, errors });
      // Groups that were never asked for cost the engine nothing.
      if (requests === 0) continue;
      add(
        { shardGroup: group },
        demand(positive(requests, last.requests), positive(errors, last.errors), seconds),
      );
    }
    for (const [route, counts] of this.#routes) {
      add({ route }, demand(counts.requests, counts.errors, seconds));
      this.#routes.set(route, { requests: 0, errors: 0 });
    }
  }

  #difference({ id, slot }: MeasuredServer): Measured {
    const cells = this.#cells;
    const totals: Totals = { attempts: 0, errors: 0, connectFailures: 0 };
    const latencies: number[] = [];
    for (let worker = 0; worker < cells.workers; worker++) {
      const counts = cells.counts(worker, slot);
      totals.attempts += counts.attempts;
      totals.errors += counts.errors5xx + counts.connectFailures + counts.otherFailures;
      totals.connectFailures += counts.connectFailures;
      const latency = cells.latencyUs(worker, slot);
      if (latency > 0) latencies.push(latency / 1000);
    }
    const last = this.#servers.get(id) ?? { attempts: 0, errors: 0, connectFailures: 0 };
    this.#servers.set(id, totals);
    return {
      attempts: positive(totals.attempts, last.attempts),
      errors: positive(totals.errors, last.errors),
      connectFailures: positive(totals.connectFailures, last.connectFailures),
      inFlight: cells.serverInFlight(slot),
      latencyMs: latencies.reduce((total, ms) => total + ms, 0) / latencies.length,
    };
  }
}

/** A region with a manager has one server for us, its data path: what stands behind is known from its report. */
function healthOf(own: number, usable: number, reported: ReportedRegion | undefined): Record<string, number> {
  const registered = reported?.registered ?? own;
  const healthy = healthyBehind(usable, reported);
  return {
    registered,
    healthy,
    healthy_share: registered === 0 ? 0 : Math.min(1, healthy / registered),
    ...(reported !== undefined && reported.capacity > 0 ? { capacity: reported.capacity } : {}),
  };
}

// A document of telemetry takes 64; the region's own come beside them.
const MOST_TOLD = 48;

/** A manager's word, as far as it can be a measurement: one wrong value must not cost the others. */
function numbersOf(telemetry: Readonly<Record<string, unknown>>): Record<string, number> {
  const right = Object.entries(telemetry).filter((entry): entry is [string, number] => {
    const [metric, value] = entry;
    const { least, most } = boundsOf(metric);
    const isNamed = METRIC_NAME.test(metric) && metric.length <= MAX_NAME_CHARACTERS;
    return isNamed && typeof value === 'number' && value >= least && value <= most;
  });
  return Object.fromEntries(right.slice(0, MOST_TOLD));
}

type Add = (of: Partial<MeasuredDocument>, metrics: MeasuredDocument['metrics']) => void;

// A worker that died takes its counts with it; that is no negative rate.
const positive = (now: number, before: number): number => Math.max(0, now - before);

function sum(measured: readonly Measured[]): Measured {
  const total: Measured = { attempts: 0, errors: 0, connectFailures: 0, inFlight: 0, latencyMs: Number.NaN };
  let latencies = 0;
  let answering = 0;
  for (const one of measured) {
    total.attempts += one.attempts;
    total.errors += one.errors;
    total.connectFailures += one.connectFailures;
    total.inFlight += one.inFlight;
    if (Number.isNaN(one.latencyMs)) continue;
    latencies += one.latencyMs;
    answering += 1;
  }
  return { ...total, latencyMs: latencies / answering };
}

function rates(of: Measured, seconds: number): Record<string, number | Record<string, number>> {
  return {
    rps: of.attempts / seconds,
    // Failures can be told after the attempt was counted: never more than all.
    error_rate: of.attempts === 0 ? 0 : Math.min(1, of.errors / of.attempts),
    connect_failures_per_second: of.connectFailures / seconds,
    in_flight: Math.max(0, of.inFlight),
    ...(Number.isNaN(of.latencyMs) ? {} : { latency_ms: { mean: of.latencyMs } }),
  };
}

function demand(requests: number, errors: number, seconds: number): Record<string, number> {
  return { rps: requests / seconds, error_rate: requests === 0 ? 0 : Math.min(1, errors / requests) };
}

function isUp(report: ServerReport | undefined): boolean {
  return report !== undefined && !report.ejected && report.health !== 'unhealthy';
}
