// Runs a plan on one or more sender threads and merges what they saw.

import type { RecordableHistogram } from 'node:perf_hooks';
import { Worker } from 'node:worker_threads';
import type {
  FailureKind,
  SenderCounts,
  SenderInterval,
  SenderMessage,
  SenderPlan,
  SenderResult,
} from './plan.ts';
import { latencyHistogram } from './tally.ts';

type SendersOutcome =
  | { readonly kind: 'done'; readonly result: SenderResult; readonly intervals: readonly SenderInterval[] }
  | { readonly kind: 'failed'; readonly why: string };

export interface RunningSenders {
  readonly outcome: Promise<SendersOutcome>;
  /** Ends early, with what was counted. */
  stop(): void;
}

/** `onInterval` gets each whole second, once all threads have reported it. */
export function runSenders(
  plan: SenderPlan,
  threads: number,
  onInterval: (interval: SenderInterval) => void,
): RunningSenders {
  const plans = splitPlan(plan, threads);
  const intervals = new IntervalMerger(plans.length, onInterval);
  const workers = plans.map(
    (part) => new Worker(new URL('./sender-thread.ts', import.meta.url), { workerData: part }),
  );
  const outcomes = workers.map((worker) =>
    awaitSender(worker, (interval, nth) => intervals.add(interval, nth)),
  );
  const outcome = Promise.all(outcomes).then((parts): SendersOutcome => {
    const results = parts.filter((part) => typeof part !== 'string');
    const why = parts.find((part) => typeof part === 'string');
    if (why !== undefined) return { kind: 'failed', why };
    return { kind: 'done', result: mergeResults(results), intervals: intervals.merged };
  });
  return { outcome, stop: () => workers.forEach((worker) => void worker.postMessage('stop')) };
}

/** Connections, requests and rate in equal parts; phases apart, so that the sum is again a constant rate. */
export function splitPlan(plan: SenderPlan, threads: number): SenderPlan[] {
  const count = Math.min(threads, plan.connections, plan.requests);
  return Array.from({ length: count }, (_, i) => ({
    ...plan,
    connections: shareOf(plan.connections, count, i),
    requests: Number.isFinite(plan.requests) ? shareOf(plan.requests, count, i) : plan.requests,
    rate: plan.rate === null ? null : plan.rate / count,
    phase: i / count,
    seed: plan.seed + i,
  }));
}

/** Part i of `count` whole parts that sum to `total`. */
function shareOf(total: number, count: number, i: number): number {
  return Math.floor(((i + 1) * total) / count) - Math.floor((i * total) / count);
}

function awaitSender(
  worker: Worker,
  onInterval: (interval: SenderInterval, nth: number) => void,
): Promise<SenderResult | string> {
  let seen = 0;
  let ended: SenderResult | string = 'a sender thread ended without a result';
  worker.on('message', (message: SenderMessage) => {
    if (message.kind === 'interval') onInterval(message.interval, seen++);
    else ended = message.kind === 'result' ? message.result : message.why;
  });
  return new Promise((resolve) => {
    worker.once('error', (error) => resolve(`a sender thread failed: ${String(error)}`));
    worker.once('exit', () => resolve(ended));
  });
}

interface MutableInterval {
  atMs: number;
  answered: number;
  failed: number;
  refused: number;
  readonly latency: RecordableHistogram;
  parts: number;
}

/** The nth interval of the whole is the sum of the threads' nth intervals. */
class IntervalMerger {
  readonly merged: MutableInterval[] = [];
  readonly #threads: number;
  readonly #onInterval: (interval: SenderInterval) => void;

  constructor(threads: number, onInterval: (interval: SenderInterval) => void) {
    this.#threads = threads;
    this.#onInterval = onInterval;
  }

  add(interval: SenderInterval, nth: number): void {
    this.merged[nth] ??= {
      ...{ atMs: 0, answered: 0, failed: 0, refused: 0, parts: 0 },
      latency: latencyHistogram(),
    };
    const sum = this.merged[nth];
    sum.atMs = Math.max(sum.atMs, interval.atMs);
    sum.answered += interval.answered;
    sum.failed += interval.failed;
    sum.refused += interval.refused;
    sum.latency.add(interval.latency);
    sum.parts += 1;
    if (sum.parts === this.#threads) this.#onInterval(sum);
  }
}

function mergeResults(results: readonly SenderResult[]): SenderResult {
  const merge = (pick: (result: SenderResult) => RecordableHistogram): RecordableHistogram => {
    const sum = latencyHistogram();
    for (const result of results) sum.add(pick(result));
    return sum;
  };
  return {
    elapsedMs: Math.max(...results.map((result) => result.elapsedMs)),
    counts: mergeCounts(results.map((result) => result.counts)),
    latency: merge((result) => result.latency),
    service: merge((result) => result.service),
    refusal: merge((result) => result.refusal),
    lag: merge((result) => result.lag),
  };
}

function mergeCounts(parts: readonly SenderCounts[]): SenderCounts {
  const sum = (pick: (counts: SenderCounts) => number): number =>
    parts.reduce((total, counts) => total + pick(counts), 0);
  const failures = mergeTables(parts.map((counts) => counts.failures)) as Record<FailureKind, number>;
  return {
    sent: sum((counts) => counts.sent),
    answered: sum((counts) => counts.answered),
    unsent: sum((counts) => counts.unsent),
    bodyBytes: sum((counts) => counts.bodyBytes),
    statuses: mergeTables(parts.map((counts) => counts.statuses)),
    failures,
    groups: mergeTables(parts.map((counts) => counts.groups)),
  };
}

function mergeTables(tables: readonly Readonly<Record<string, number>>[]): Record<string, number> {
  const sums: Record<string, number> = {};
  for (const table of tables) {
    for (const [name, count] of Object.entries(table)) sums[name] = (sums[name] ?? 0) + count;
  }
  return sums;
}
