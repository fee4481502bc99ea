// What a scripted server says of itself: a Prometheus page and an ORCA report. Pure.

import type { ServerMetrics } from './server-model.ts';

function figures(metrics: ServerMetrics): (readonly [name: string, value: number])[] {
  return [
    ['cpu_utilization', metrics.cpu],
    ['mem_utilization', metrics.memory],
    ['disk_io', metrics.diskIo],
    ['queue_depth', metrics.queueDepth],
    ['in_flight', metrics.inFlight],
    ['error_rate', metrics.errorRate],
    ['latency_ms.p50', metrics.p50],
    ['latency_ms.p90', metrics.p90],
    ['latency_ms.p99', metrics.p99],
  ];
}

/** Text exposition, format 0.0.4. Names there hold no dot. */
export function exposition(metrics: ServerMetrics): string {
  const lines = figures(metrics)
    .filter(([name]) => !name.includes('.'))
    .map(([name, value]) => `# TYPE ${name} gauge\n${name} ${value.toFixed(4)}`);
  return `${lines.join('\n')}\n`;
}

/** ORCA, TEXT form. */
export function loadReport(metrics: ServerMetrics): string {
  const pairs = figures(metrics).map(([name, value]) => `${name}=${value.toFixed(4)}`);
  return `TEXT ${pairs.join(', ')}`;
}
