// What the simulated proxy tells the engine each second, in the form of the product's own measurements: what it saw of
// servers, regions and shard groups, and what servers say of themselves.

import { percentile } from '../account.ts';
import type { ProxyModel, SimServer } from './proxy-model.ts';

type Metrics = Record<string, number | Record<string, number>>;

/** Documents of POST /telemetry; resets what was counted. @param at RFC 3339. */
export function readMeasurements(proxy: ProxyModel, seconds: number, at: string): object[] {
  const documents: object[] = [];
  const regions = Map.groupBy(proxy.servers, ({ region }) => region);
  for (const [region, servers] of regions) {
    const latencies = servers.flatMap(({ latencies: own }) => own);
    const sums = { attempts: 0, errors: 0, connectFailures: 0, inFlight: 0 };
    for (const server of servers) {
      const up = proxy.isHealthy(server) ? 1 : 0;
      const metrics = { ...selfReport(server), ...rates(server, server.latencies, seconds), up };
      documents.push({ region, server: server.url, proxy: 'sim', at, metrics });
      sums.attempts += server.attempts;
      sums.errors += server.errors;
      sums.connectFailures += server.connectFailures;
      sums.inFlight += server.inFlight;
    }
    const healthy = servers.filter((server) => proxy.isHealthy(server)).length;
    const metrics: Metrics = {
      ...rates(sums, latencies, seconds),
      registered: servers.length,
      healthy,
      healthy_share: healthy / servers.length,
    };
    if (latencies.length > 0) {
      const of = (share: number): number => percentile(latencies, share);
      metrics.latency_ms = { mean: mean(latencies), p50: of(0.5), p90: of(0.9), p99: of(0.99) };
    }
    documents.push({ region, proxy: 'sim', at, metrics });
  }
  for (const server of proxy.servers) {
    Object.assign(server, { attempts: 0, errors: 0, connectFailures: 0, latencies: [] });
  }
  for (const [shardGroup, { requests, errors }] of proxy.groups) {
    const metrics = { rps: requests / seconds, error_rate: requests === 0 ? 0 : errors / requests };
    documents.push({ shardGroup, proxy: 'sim', at, metrics });
    proxy.groups.set(shardGroup, { requests: 0, errors: 0 });
  }
  return documents;
}

/** Its metrics page, if it answers. */
function selfReport({ model }: SimServer): Metrics {
  if (!model.isUp()) return {};
  const { cpu, memory, diskIo, queueDepth } = model.metrics();
  return { cpu, memory, disk_io: diskIo, queue_depth: queueDepth };
}

function rates(
  counts: Pick<SimServer, 'attempts' | 'errors' | 'connectFailures' | 'inFlight'>,
  latencies: readonly number[],
  seconds: number,
): Metrics {
  const { attempts, errors, connectFailures, inFlight } = counts;
  return {
    rps: attempts / seconds,
    error_rate: attempts === 0 ? 0 : Math.min(1, errors / attempts),
    connect_failures_per_second: connectFailures / seconds,
    in_flight: inFlight,
    ...(latencies.length > 0 && { latency_ms: { mean: mean(latencies) } }),
  };
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
