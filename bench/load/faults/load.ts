// Load of our own sender on a proxy in a fault scenario: started, and awaited apart, because faults happen
// meanwhile.

import type { Clock } from '../../../src/core/clock.ts';
import { loopbackPlan } from '../loopback-plan.ts';
import type { RunningProxy } from '../rig.ts';
import type { SenderInterval, SenderPlan, SenderResult } from '../sender/plan.ts';
import { runSenders } from '../sender/run-senders.ts';

export interface AppliedLoad {
  readonly result: SenderResult;
  readonly intervals: readonly SenderInterval[];
  /** Clock time of the first request's due time, milliseconds. */
  readonly startMs: number;
}

export type LoadPlan = Pick<SenderPlan, 'connections' | 'durationMs'> & Partial<SenderPlan>;

/** Throws when not one connection could be opened. */
export async function applyLoad(proxy: RunningProxy, plan: LoadPlan, clock: Clock): Promise<AppliedLoad> {
  let startMs = Number.NaN;
  const senders = runSenders({ ...loopbackPlan(proxy.url, '/1k', plan), ...plan }, 1, ({ atMs }) => {
    if (Number.isNaN(startMs)) startMs = clock.monotonicMs() - atMs;
  });
  const outcome = await senders.outcome;
  if (outcome.kind === 'failed') throw new Error(`the load could not be applied: ${outcome.why}`);
  return { result: outcome.result, intervals: outcome.intervals, startMs };
}

/** Requests without an answer, whatever the reason. */
export function countLost({ counts }: SenderResult): number {
  return counts.unsent + Object.values(counts.failures).reduce((sum, count) => sum + count, 0);
}

/** Answers with another status than these. */
export function countOther({ counts }: SenderResult, ...statuses: readonly number[]): number {
  return Object.entries(counts.statuses)
    .filter(([status]) => !statuses.includes(Number(status)))
    .reduce((sum, [, count]) => sum + count, 0);
}
