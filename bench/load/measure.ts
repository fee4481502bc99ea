// One measurement: load on a running proxy, and what it cost the proxy meanwhile.

import type { Clock } from '../../src/core/clock.ts';
import type { RunningProcess } from './child-process.ts';
import type { Case, Measurement } from './compare-plan.ts';
import type { LoadGenerator, LoadOutcome } from './load-generator.ts';
import { KEYS, loopbackPlan } from './loopback-plan.ts';
import { readMachineBusyMicros, readTreeUsage } from './proc-stat.ts';
import { KEY_HEADER } from './proxies/definition.ts';
import { runSenders } from './sender/run-senders.ts';

export interface MeasureOptions {
  readonly url: string;
  readonly process: RunningProcess;
  readonly case: Case;
  readonly connections: number;
  readonly seconds: number;
  readonly generator: LoadGenerator;
  readonly clock: Clock;
  readonly cores: number;
}

export type MeasureOutcome =
  | {
      readonly kind: 'done';
      readonly measurement: Omit<Measurement, 'section' | 'round' | 'subject' | 'case'>;
    }
  | { readonly kind: 'failed'; readonly why: string };

const ANSWER_LIMIT_MS = 10_000;

/** A fast answer of the wrong size would win every table: each case is looked at once before it counts. */
export async function checkAnswer(url: string, one: Case): Promise<string | null> {
  try {
    const response = await fetch(url + one.path, {
      method: one.method,
      headers: { [KEY_HEADER]: 'user-1' },
      signal: AbortSignal.timeout(ANSWER_LIMIT_MS),
      ...(one.bodyBytes > 0 ? { body: 'x'.repeat(one.bodyBytes) } : {}),
    });
    const { byteLength } = await response.arrayBuffer();
    if (response.status === 200 && byteLength === one.answerBytes) return null;
    return `${one.title} was answered ${response.status} with ${byteLength} bytes, not 200 with ${one.answerBytes}`;
  } catch (error) {
    const { message, cause } = error as Error;
    return `${one.title} got no answer: ${message} ${cause instanceof Error ? cause.message : ''}`.trim();
  }
}

export async function measure(options: MeasureOptions): Promise<MeasureOutcome> {
  const { clock } = options;
  const [machineBefore, ownBefore] = [readMachineBusyMicros(), ownCpuMicros()];
  const startMs = clock.monotonicMs();
  const before = options.process.usage();
  const outcome = await applyLoad(options);
  const after = options.process.usage();
  const elapsedMicros = (clock.monotonicMs() - startMs) * 1000;
  if (outcome.kind === 'failed') return outcome;
  if (options.process.hasExited())
    return { kind: 'failed', why: `it ended under load: ${options.process.output()}` };
  if (outcome.requests === 0) return { kind: 'failed', why: 'no request was answered' };
  const foreign = readMachineBusyMicros() - machineBefore - (ownCpuMicros() - ownBefore);
  return {
    kind: 'done',
    measurement: {
      requests: outcome.requests,
      seconds: outcome.seconds,
      requestsPerSecond: outcome.requests / outcome.seconds,
      cpuMicrosPerRequest:
        before === null || after === null
          ? Number.NaN
          : (after.cpuMicros - before.cpuMicros) / outcome.requests,
      p50Micros: outcome.p50Micros,
      p99Micros: outcome.p99Micros,
      rssBytes: after?.rssBytes ?? Number.NaN,
      errors: outcome.errors,
      badStatuses: outcome.badStatuses,
      foreignCpuShare: Math.max(0, foreign) / (elapsedMicros * options.cores),
    },
  };
}

/** Of the bench and all that it started: generator, origin, proxy. */
function ownCpuMicros(): number {
  return readTreeUsage(process.pid)?.cpuMicros ?? Number.NaN;
}

async function applyLoad(options: MeasureOptions): Promise<LoadOutcome> {
  const { url, connections, seconds, case: one } = options;
  if (one.rate !== null) return applyRate(options, one.rate);
  return options.generator.run({
    url: url + one.path,
    connections,
    seconds,
    method: one.method,
    bodyBytes: one.bodyBytes,
    keyHeader: KEY_HEADER,
    keys: KEYS,
  });
}

async function applyRate(options: MeasureOptions, rate: number): Promise<LoadOutcome> {
  const { url, connections, seconds, case: one } = options;
  const load = { connections, durationMs: seconds * 1000 };
  const kinds = [{ method: one.method, bodyBytes: one.bodyBytes, weight: 1 }];
  const senders = runSenders({ ...loopbackPlan(url, one.path, load), rate, kinds }, 1, () => undefined);
  const outcome = await senders.outcome;
  if (outcome.kind === 'failed') return outcome;
  const { counts, latency, elapsedMs } = outcome.result;
  const failed = Object.values(counts.failures).reduce((sum, count) => sum + count, 0);
  return {
    kind: 'done',
    requests: counts.answered,
    seconds: elapsedMs / 1000,
    p50Micros: latency.percentile(50),
    p99Micros: latency.percentile(99),
    errors: failed + counts.unsent,
    badStatuses: counts.answered - (counts.statuses[200] ?? 0),
  };
}
