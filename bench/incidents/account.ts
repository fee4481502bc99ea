// From what client, servers and contestant wrote down to the figures of a run. Every request has a number, and is
// counted by it on both sides. Pure.

import type { Shares } from './contestants/contestant.ts';
import { type Incident, REGIONS, regionCapacity } from './script.ts';
import type { DriverResult, SeenRequest, ServerResult } from './wire.ts';

/** What the region weights were at a moment, seconds from the start. */
export interface SharesAt {
  readonly second: number;
  readonly shares: Shares;
}

export interface RunRecord {
  readonly incident: Incident;
  readonly driver: DriverResult;
  readonly servers: readonly ServerResult[];
  readonly shares: readonly SharesAt[];
}

export interface RunFigures {
  readonly requests: number;
  /** No 2xx, or slower than BAD_MS. */
  readonly bad: number;
  readonly badPosts: number;
  /** POSTs that reached more than one server: no proxy may do that. */
  readonly replayedPosts: number;
  /** Answered 2xx by a server that never saw the number, or seen by a server and never sent. */
  readonly unaccounted: number;
  /** Seconds for which the region had been relieved when it failed; 0 = not before; null = unknown or nothing failed. */
  readonly leadSeconds: number | null;
  /** Share of all requests that reached the failing region in the last seconds before it failed. */
  readonly shareAtFailure: number | null;
  /** Share of the keys that were answered by another region than their first, at any time. */
  readonly keysMoved: number;
  /** Share of the answers that came from another region than the key's first. */
  readonly trafficMoved: number;
  /** Highest load over capacity of a region that did not fail, over a few seconds. */
  readonly survivorUtilisation: number;
  /** Milliseconds; requests without an answer count with the time they waited. */
  readonly p99Ms: number;
  /** Servers that died of overload. */
  readonly deaths: number;
  /** Worst 99th percentile of how late driver and servers were themselves, milliseconds. */
  readonly delayMs: number;
}

export const BAD_MS = 500;
/** Long enough for some hundred requests, short enough to see a region drown. */
const WINDOW_SECONDS = 5;
const AT_FAILURE_SECONDS = 2;
/** A region has been relieved when it has less than this of the share that it began with. */
const RELIEVED = 0.95;

export const isBad = ({ status, latencyMs }: SeenRequest): boolean =>
  status < 200 || status > 299 || latencyMs > BAD_MS;

export function accountFor(record: RunRecord): RunFigures {
  const { requests, lateMs } = record.driver;
  const bad = requests.filter(isBad);
  const moved = movements(requests);
  return {
    requests: requests.length,
    bad: bad.length,
    badPosts: bad.filter(({ method }) => method === 'POST').length,
    ...books(record),
    leadSeconds: lead(record),
    shareAtFailure: shareAtFailure(record),
    ...moved,
    survivorUtilisation: survivorUtilisation(record),
    p99Ms: percentile(
      requests.map(({ latencyMs }) => latencyMs),
      0.99,
    ),
    deaths: record.servers.reduce((sum, { deaths }) => sum + deaths, 0),
    delayMs: Math.max(lateMs, ...record.servers.map(({ loopDelayMs }) => loopDelayMs)),
  };
}

function books({ driver, servers }: RunRecord): Pick<RunFigures, 'replayedPosts' | 'unaccounted'> {
  const arrivals = new Map<number, number>();
  for (const { received } of servers) {
    for (const [number] of received) arrivals.set(number, (arrivals.get(number) ?? 0) + 1);
  }
  let [replayedPosts, unaccounted] = [0, 0];
  const sent = new Set<number>();
  for (const { number, method, status, servedBy } of driver.requests) {
    sent.add(number);
    const seen = arrivals.get(number) ?? 0;
    if (method === 'POST' && seen > 1) replayedPosts += 1;
    if (status >= 200 && status <= 299 && (seen === 0 || servedBy === '')) unaccounted += 1;
  }
  for (const number of arrivals.keys()) if (!sent.has(number)) unaccounted += 1;
  return { replayedPosts, unaccounted };
}

function movements(requests: readonly SeenRequest[]): Pick<RunFigures, 'keysMoved' | 'trafficMoved'> {
  const home = new Map<string, string>();
  const movedKeys = new Set<string>();
  let [answered, moved] = [0, 0];
  for (const { key, servedBy } of requests.toSorted((a, b) => a.dueMs - b.dueMs)) {
    if (servedBy === '') continue;
    const region = regionOf(servedBy);
    if (!home.has(key)) home.set(key, region);
    answered += 1;
    if (home.get(key) === region) continue;
    moved += 1;
    movedKeys.add(key);
  }
  return { keysMoved: movedKeys.size / Math.max(1, home.size), trafficMoved: moved / Math.max(1, answered) };
}

const regionOf = (server: string): string => server.slice(0, server.indexOf('/'));

/** Since when, without a break, the failing region has had less than it began with. */
function lead({ incident, shares }: RunRecord): number | null {
  const { failing, failsAt } = incident;
  if (failing === null || failsAt === null || shares.length === 0) return null;
  const id = REGIONS[failing]!;
  const first = shares[0]!.shares[id] ?? 0;
  const before = shares.filter(({ second }) => second <= failsAt);
  const full = before.findLastIndex((sample) => (sample.shares[id] ?? 0) >= RELIEVED * first);
  const relieved = before[full + 1];
  return relieved === undefined ? 0 : failsAt - relieved.second;
}

function shareAtFailure({ incident, servers }: RunRecord): number | null {
  const { failing, failsAt } = incident;
  if (failing === null || failsAt === null) return null;
  const of = (name: string): number =>
    countBetween(servers, (server) => regionOf(server.name) === name, failsAt - AT_FAILURE_SECONDS, failsAt);
  const counts = REGIONS.map((_, region) => of(String(region)));
  const all = counts.reduce((sum, count) => sum + count, 0);
  return all === 0 ? null : counts[failing]! / all;
}

function countBetween(
  servers: readonly ServerResult[],
  matches: (server: ServerResult) => boolean,
  from: number,
  to: number,
): number {
  return servers
    .filter(matches)
    .reduce(
      (sum, { received }) =>
        sum + received.filter(([, atMs]) => atMs >= from * 1000 && atMs < to * 1000).length,
      0,
    );
}

function survivorUtilisation({ incident, servers }: RunRecord): number {
  let highest = 0;
  for (const [region] of REGIONS.entries()) {
    if (region === incident.failing) continue;
    for (let from = 0; from + WINDOW_SECONDS <= incident.seconds; from++) {
      const isOurs = (server: ServerResult): boolean => regionOf(server.name) === String(region);
      const count = countBetween(servers, isOurs, from, from + WINDOW_SECONDS);
      const capacity = regionCapacity(incident, region, from + WINDOW_SECONDS / 2);
      if (capacity > 0) highest = Math.max(highest, count / WINDOW_SECONDS / capacity);
    }
  }
  return highest;
}

/** The value below which `share` of them lie; NaN of nothing. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN;
}
