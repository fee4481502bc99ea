// ORCA load reports in a response header (`endpoint-load-metrics`; xds.data.orca.v3.OrcaLoadReport as TEXT or
// JSON, gRFC A51 and Envoy's reader) -> metrics. Servers send it for the proxy alone. Pure; what cannot be
// read gives nothing, for a server must not be able to spoil an answer with a bad report.

import { boundsOf, MAX_NAME_CHARACTERS, METRIC_NAME } from './sample.ts';

const MAX_CHARACTERS = 4096;
const MAX_METRICS = 32;

// Names of the report -> ours.
const NAMES: Readonly<Record<string, string>> = {
  cpu_utilization: 'cpu',
  mem_utilization: 'memory',
  application_utilization: 'application',
  rps_fractional: 'rps',
  rps: 'rps',
  eps: 'errors_per_second',
};

/** Metrics by our names; undefined when the report cannot be read. */
export function parseOrca(header: string): ReadonlyMap<string, number> | undefined {
  if (header.length > MAX_CHARACTERS) return undefined;
  const text = header.trim();
  const pairs = text.startsWith('JSON')
    ? jsonPairs(text.slice('JSON'.length))
    : text.startsWith('TEXT')
      ? textPairs(text.slice('TEXT'.length))
      : undefined;
  if (pairs === undefined || pairs.length === 0) return undefined;
  const metrics = new Map<string, number>();
  for (const [raw, given] of pairs.slice(0, MAX_METRICS)) {
    const metric = NAMES[raw] ?? raw.toLowerCase();
    // A cpu share above 1 is allowed by the report (quota exceeded) and is full for us.
    const value = boundsOf(metric).most === 1 ? Math.min(1, given) : given;
    const { least, most } = boundsOf(metric);
    const isNamed = METRIC_NAME.test(metric) && metric.length <= MAX_NAME_CHARACTERS;
    if (isNamed && value >= least && value <= most) metrics.set(metric, value);
  }
  return metrics.size === 0 ? undefined : metrics;
}

function textPairs(text: string): [string, number][] | undefined {
  const pairs: [string, number][] = [];
  for (const part of text.split(',')) {
    const match = /^\s*([A-Za-z_][\w.]*)\s*[=:]\s*([^\s,]+)\s*$/.exec(part);
    const value = match === null ? Number.NaN : Number(match[2]);
    if (!Number.isFinite(value)) return undefined;
    pairs.push([match![1]!, value]);
  }
  return pairs;
}

function jsonPairs(text: string): [string, number][] | undefined {
  let report: unknown;
  try {
    report = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof report !== 'object' || report === null || Array.isArray(report)) return undefined;
  const pairs: [string, number][] = [];
  for (const [key, value] of Object.entries(report)) {
    // utilization, request_cost and named_metrics are maps of their own.
    if (typeof value === 'object' && value !== null) {
      for (const [inner, of] of Object.entries(value)) {
        if (typeof of === 'number') pairs.push([`${snake(key)}.${snake(inner)}`, of]);
      }
    } else if (typeof value === 'number') pairs.push([snake(key), value]);
    else return undefined;
  }
  return pairs;
}

// proto3's JSON names are lowerCamelCase.
const snake = (name: string): string => name.replace(/(?<=.)[A-Z]/g, (letter) => `_${letter}`).toLowerCase();
