// What an engine is told of the days before: calm servers under the daily pattern of demand, as the metrics of any
// installation would show them. Never a word of the incident's script. Pure but for the posting.

import { setTimeout as sleep } from 'node:timers/promises';
import type { Clock } from '../../src/core/clock.ts';
import { type Random, seededRandom } from '../../src/core/random.ts';
import {
  CALM_CAPACITY,
  CALM_SERVER,
  DAY_SECONDS,
  dailyFactor,
  REGIONS,
  SERVERS_PER_REGION,
  SERVICE_MS,
  SLOTS,
} from './script.ts';

export interface HistoryDocument {
  readonly region: string;
  readonly server?: string;
  readonly at: string;
  readonly metrics: Readonly<Record<string, number | Readonly<Record<string, number>>>>;
}

export interface HistoryOptions {
  /** Wall milliseconds at which the incident's script begins: second 0 of the daily pattern. */
  readonly beginsAt: number;
  /** Wall milliseconds of the newest row. */
  readonly until: number;
  /** URL of each server by region index. */
  readonly serverUrls: readonly (readonly string[])[];
  readonly seed: number;
  /** Share of the calm capacity that is asked for. */
  readonly demand: number;
}

const DAYS = 3;
const STEP_SECONDS = 1;
/** Below the body limit of 1 MiB. */
const DOCUMENTS_PER_POST = 1500;
const POST_LIMIT_MS = 30_000;
/** A proxy is ready before the engine beside it is. */
const STARTING = 503;
const STARTING_PAUSE_MS = 200;

export function historyOf(options: HistoryOptions): HistoryDocument[] {
  const random = seededRandom(options.seed ^ 0x415704);
  const documents: HistoryDocument[] = [];
  const steps = (DAYS * DAY_SECONDS) / STEP_SECONDS;
  const servers = REGIONS.length * SERVERS_PER_REGION;
  for (let step = steps; step > 0; step--) {
    const wall = options.until - step * STEP_SECONDS * 1000;
    const second = (wall - options.beginsAt) / 1000;
    const perServer = (CALM_CAPACITY * options.demand * dailyFactor(second)) / servers;
    const at = new Date(wall).toISOString();
    for (const [index, region] of REGIONS.entries()) {
      let rps = 0;
      for (const server of options.serverUrls[index]!) {
        const seen = poisson(perServer * STEP_SECONDS, random) / STEP_SECONDS;
        rps += seen;
        documents.push({ region, server, at, metrics: calmMetrics(seen, random) });
      }
      documents.push({ region, at, metrics: { rps, error_rate: 0, in_flight: (rps * SERVICE_MS) / 1000 } });
    }
  }
  return documents;
}

function calmMetrics(rps: number, random: Random): HistoryDocument['metrics'] {
  const busy = Math.min(SLOTS, (rps * SERVICE_MS) / 1000);
  const shake = (spread: number): number => 1 + spread * (random.next() * 2 - 1);
  return {
    rps,
    cpu: 0.08 + (0.8 * busy) / SLOTS,
    memory: CALM_SERVER.memory[0]![1],
    disk_io: CALM_SERVER.diskIo[0]![1],
    // Arrivals by chance: a server that is half busy has somebody waiting at one look in twenty.
    queue_depth: random.next() < 0.05 ? 1 + Math.floor(3 * random.next() ** 2) : 0,
    in_flight: Math.round(busy),
    error_rate: 0,
    latency_ms: { p50: 143 * shake(0.05), p90: 211 * shake(0.07), p99: 280 * shake(0.15) },
    up: 1,
  };
}

/** Knuth's method for small means, the normal approximation for others. */
function poisson(mean: number, random: Random): number {
  if (mean > 60) {
    const radius = Math.sqrt(-2 * Math.log(1 - random.next()));
    return Math.max(0, Math.round(mean + Math.sqrt(mean) * radius * Math.cos(2 * Math.PI * random.next())));
  }
  const limit = Math.exp(-mean);
  let count = 0;
  for (let product = random.next(); product > limit; product *= random.next()) count += 1;
  return count;
}

/** @returns why it failed. */
export async function postHistory(
  url: string,
  documents: readonly HistoryDocument[],
  clock: Clock,
): Promise<string | undefined> {
  const startMs = clock.monotonicMs();
  for (let from = 0; from < documents.length; ) {
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(documents.slice(from, from + DOCUMENTS_PER_POST)),
      signal: AbortSignal.timeout(POST_LIMIT_MS),
    });
    const text = await response.text();
    if (response.status === 202) from += DOCUMENTS_PER_POST;
    else if (response.status !== STARTING || clock.monotonicMs() - startMs > POST_LIMIT_MS) {
      return `history was answered ${response.status}: ${text.slice(0, 200)}`;
    } else await sleep(STARTING_PAUSE_MS);
  }
  return undefined;
}
