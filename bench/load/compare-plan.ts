// What `compare` measures, as data: cases, sections, and the order of the runs. Rounds are interleaved
// over the proxies, and each round starts with another one: on a shared machine a quiet minute would
// otherwise be one proxy's luck. Pure.

import type { Job, ProxyDefinition } from './proxies/definition.ts';

export interface Case {
  readonly id: string;
  readonly title: string;
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly bodyBytes: number;
  /** Bytes of a right answer. */
  readonly answerBytes: number;
  /** Requests/s of an open loop by our own sender; null is wrk's closed loop. */
  readonly rate: number | null;
}

const KIB = 1024;

export const CASES: readonly Case[] = [
  get('get-1k', 'GET 1 KiB', '/1k', KIB),
  get('get-64k', 'GET 64 KiB', '/64k', 64 * KIB),
  get('get-1m', 'GET 1 MiB', '/1m', KIB * KIB),
  {
    id: 'post-16k',
    title: 'POST 16 KiB',
    method: 'POST',
    path: '/upload',
    bodyBytes: 16 * KIB,
    answerBytes: 2,
    rate: null,
  },
  // At the same rate for all, latencies compare; at each one's own limit they mostly show the queue.
  { ...get('rate-1k', 'GET 1 KiB at 2,000/s', '/1k', KIB), rate: 2000 },
];

function get(id: string, title: string, path: string, answerBytes: number): Case {
  return { id, title, method: 'GET', path, bodyBytes: 0, answerBytes, rate: null };
}

/** The origin without a proxy: what generator and origin can do at most on this machine. */
export const DIRECT = 'no proxy';

export type Subject =
  | { readonly kind: 'direct'; readonly id: typeof DIRECT }
  | { readonly kind: 'proxy'; readonly id: string; readonly definition: ProxyDefinition };

export interface Section {
  readonly id: string;
  readonly title: string;
  readonly workers: number;
  readonly job: Job;
  readonly subjects: readonly Subject[];
  readonly cases: readonly Case[];
}

export interface PlannedRun {
  readonly round: number;
  readonly section: Section;
  readonly subject: Subject;
}

/** Round by round, section by section; the subjects of a section rotate by one with each round. */
export function planRuns(sections: readonly Section[], rounds: number): PlannedRun[] {
  return Array.from({ length: rounds }, (_, round) =>
    sections.flatMap((section) =>
      rotate(section.subjects, round).map((subject) => ({ round, section, subject })),
    ),
  ).flat();
}

export function rotate<T>(items: readonly T[], by: number): T[] {
  const at = items.length === 0 ? 0 : by % items.length;
  return [...items.slice(at), ...items.slice(0, at)];
}

/** Starting, checking and ending a proxy; of all measured here Caddy takes longest. */
const START_SECONDS = 0.8;

/** Seconds that the runs will take, roughly. */
export function estimateSeconds(
  runs: readonly PlannedRun[],
  caseSeconds: number,
  warmUpSeconds: number,
): number {
  return runs.reduce(
    (sum, run) => sum + START_SECONDS + run.section.cases.length * (caseSeconds + warmUpSeconds),
    0,
  );
}

export interface Measurement {
  readonly section: string;
  readonly round: number;
  readonly subject: string;
  readonly case: string;
  readonly requests: number;
  readonly seconds: number;
  readonly requestsPerSecond: number;
  /** Of the proxy's process tree; NaN without /proc. */
  readonly cpuMicrosPerRequest: number;
  readonly p50Micros: number;
  readonly p99Micros: number;
  readonly rssBytes: number;
  readonly errors: number;
  readonly badStatuses: number;
  /** CPU that other processes of the machine took meanwhile, of all its cores, 0..1. */
  readonly foreignCpuShare: number;
}
