// Counts what a sender saw. One histogram of microseconds per question; those of the interval are handed
// over and begun anew each second.

import { createHistogram, type RecordableHistogram } from 'node:perf_hooks';
import type { FailureKind, SenderCounts, SenderInterval, SenderPlan, SenderResult } from './plan.ts';
import type { ResponseReader } from './response-reader.ts';

/** An hour: longer than any run waits. Three figures: values are exact to 0.1 %. */
const HIGHEST_MICROS = 3_600_000_000;
const FIGURES = 3;
const MAX_GROUPS = 100;
/** The status with which a proxy sheds. */
const UNAVAILABLE = 503;

export function latencyHistogram(): RecordableHistogram {
  return createHistogram({ lowest: 1, highest: HIGHEST_MICROS, figures: FIGURES });
}

const newInterval = () => ({ latency: latencyHistogram(), answered: 0, failed: 0, refused: 0 });

function toMicros(ms: number): number {
  return Math.min(HIGHEST_MICROS, Math.max(1, Math.round(ms * 1000)));
}

export class Tally {
  sent = 0;
  answered = 0;
  #bodyBytes = 0;
  #failed = 0;
  readonly #statuses = new Map<number, number>();
  readonly #failures: Record<FailureKind, number> = { connect: 0, reset: 0, timeout: 0, malformed: 0 };
  readonly #groups = new Map<string, number>();
  readonly #latency = latencyHistogram();
  readonly #service = latencyHistogram();
  readonly #refusal = latencyHistogram();
  readonly #lag = latencyHistogram();
  readonly #groupOf: ((head: string) => string) | null;
  #interval = newInterval();

  constructor(countBy: SenderPlan['countBy']) {
    this.#groupOf = countBy === null ? null : groupReader(countBy.header, countBy.member);
  }

  noteAnswer(reader: ResponseReader, latencyMs: number, serviceMs: number): void {
    const micros = toMicros(latencyMs);
    this.answered += 1;
    this.#interval.answered += 1;
    this.#bodyBytes += reader.bodyBytes;
    this.#latency.record(micros);
    this.#interval.latency.record(micros);
    this.#service.record(toMicros(serviceMs));
    if (reader.status === UNAVAILABLE) {
      this.#refusal.record(toMicros(serviceMs));
      this.#interval.refused += 1;
    }
    this.#statuses.set(reader.status, (this.#statuses.get(reader.status) ?? 0) + 1);
    if (this.#groupOf !== null) this.#noteGroup(this.#groupOf(reader.head));
  }

  /** `waitedMs` of a timeout goes into the latencies: leaving it out would hide the worst of them. */
  noteFailure(kind: FailureKind, waitedMs: number): void {
    this.#failures[kind] += 1;
    this.#failed += 1;
    this.#interval.failed += 1;
    if (kind === 'timeout') this.noteWait(waitedMs);
  }

  /** A request that was due and got no answer: it waited at least this long. */
  noteWait(waitedMs: number): void {
    this.#latency.record(toMicros(waitedMs));
    this.#interval.latency.record(toMicros(waitedMs));
  }

  noteLag(lagMs: number): void {
    this.#lag.record(toMicros(lagMs));
  }

  takeInterval(atMs: number): SenderInterval {
    const interval = { atMs, ...this.#interval };
    this.#interval = newInterval();
    return interval;
  }

  get failed(): number {
    return this.#failed;
  }

  result(elapsedMs: number, unsent: number): SenderResult {
    const counts: SenderCounts = {
      sent: this.sent,
      answered: this.answered,
      unsent,
      bodyBytes: this.#bodyBytes,
      statuses: Object.fromEntries(this.#statuses),
      failures: { ...this.#failures },
      groups: Object.fromEntries(this.#groups),
    };
    return {
      elapsedMs,
      counts,
      latency: this.#latency,
      service: this.#service,
      refusal: this.#refusal,
      lag: this.#lag,
    };
  }

  #noteGroup(name: string): void {
    const known = this.#groups.has(name) || this.#groups.size < MAX_GROUPS;
    const group = known ? name : '(other)';
    this.#groups.set(group, (this.#groups.get(group) ?? 0) + 1);
  }
}

/** Value of a response field, or of one member of it when it is an RFC 9651 dictionary. */
function groupReader(header: string, member: string): (head: string) => string {
  const field = new RegExp(`^${escapePattern(header)}:[ \\t]*(.*?)[ \\t]*$`, 'im');
  const part = new RegExp(`(?:^|,)[ \\t]*${escapePattern(member)}=("[^"]*"|[^,;]*)`);
  return (head) => {
    const value = field.exec(head)?.[1];
    if (value === undefined) return '(none)';
    return member === '' ? value : (part.exec(value)?.[1]?.trim() ?? '(none)');
  };
}

function escapePattern(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&');
}
