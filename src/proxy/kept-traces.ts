// The traces of one worker, bounded. What happened rarely and matters is kept always, the rest is sampled; each
// kind has a ring of its own, so that a flood of one (a region fails, a shift runs) does not push out the others.
// The oldest of a kind makes room.

import type { Clock } from '../core/clock.ts';
import type { RequestTrace } from './trace.ts';
import { KEPT_FOR, type KeptFor, type TracedUnder, type TraceRecord, traceRecord } from './trace-record.ts';

/** Conditions that all hold; absent ones do not count. */
export interface TraceQuery {
  readonly requestId?: string;
  /** Decided for, or tried. */
  readonly region?: string;
  /** One status, or the hundreds of a class (`5xx`). */
  readonly status?: number | { readonly hundreds: number };
  readonly keptFor?: KeptFor;
  /** Wall milliseconds; requests that began then or later. */
  readonly since?: number;
  /** Wall milliseconds, the second one excluded: requests that ended between them. */
  readonly keptWithin?: readonly [number, number];
  /** Most records of the answer. */
  readonly limit: number;
}

// Shares of `trace.keep`, of which every worker has its part.
const SHARES: Readonly<Record<KeptFor, number>> = {
  error: 0.3,
  retry: 0.2,
  moved: 0.15,
  slow: 0.15,
  sample: 0.2,
};

export class KeptTraces {
  readonly #clock: Clock;
  readonly #worker: number;
  readonly #workers: number;
  readonly #rings: Readonly<Record<KeptFor, Ring>>;

  constructor(clock: Clock, worker: number, workers: number) {
    this.#clock = clock;
    this.#worker = worker;
    this.#workers = workers;
    this.#rings = {
      error: new Ring(),
      retry: new Ring(),
      moved: new Ring(),
      slow: new Ring(),
      sample: new Ring(),
    };
  }

  /** Takes the end of a request; keeps it, or not. @returns its record when it is kept or exported. */
  offer(trace: RequestTrace, under: TracedUnder): TraceRecord | undefined {
    const { traceSlow, traceKeep } = under.snapshot.settings;
    const keptFor = reasonToKeep(trace, traceSlow);
    if (keptFor === undefined || (traceKeep === 0 && trace.span === undefined)) return undefined;
    const keptAt = this.#clock.wallMs();
    const at = Math.round(keptAt - (this.#clock.monotonicMs() - trace.startedAt));
    const record = traceRecord(trace, under, { keptFor, worker: this.#worker, at, keptAt });
    if (traceKeep === 0) return record;
    const capacity = Math.max(1, Math.floor((traceKeep * SHARES[keptFor]) / this.#workers));
    this.#rings[keptFor].push(record, capacity);
    return record;
  }

  /** Newest first within each kind. */
  find(query: TraceQuery): TraceRecord[] {
    const kinds = query.keptFor === undefined ? KEPT_FOR : [query.keptFor];
    return kinds.flatMap((kind) => this.#rings[kind].find((record) => matches(record, query), query.limit));
  }
}

function reasonToKeep(trace: RequestTrace, slowMs: number): KeptFor | undefined {
  if (trace.status >= 500 || (trace.reason !== undefined && trace.status !== 404)) return 'error';
  if (trace.isRetried) return 'retry';
  if (trace.isMoving) return 'moved';
  // A tunnel is open for as long as its ends like.
  if (slowMs > 0 && trace.status !== 101 && trace.endedAt - trace.startedAt >= slowMs) return 'slow';
  return trace.isSampled || trace.span !== undefined ? 'sample' : undefined;
}

function matches(record: TraceRecord, { requestId, region, status, since, keptWithin }: TraceQuery): boolean {
  if (requestId !== undefined && record.requestId !== requestId) return false;
  if (since !== undefined && record.at < since) return false;
  if (keptWithin !== undefined && !(record.keptAt >= keptWithin[0] && record.keptAt < keptWithin[1]))
    return false;
  if (typeof status === 'number' && record.status !== status) return false;
  if (typeof status === 'object' && Math.floor(record.status / 100) !== status.hundreds) return false;
  if (region === undefined) return true;
  return record.decision?.region === region || record.attempts.some((attempt) => attempt.region === region);
}

class Ring {
  #records: TraceRecord[] = [];
  /** Where the next one goes once the ring is full: the oldest is there. */
  #next = 0;

  push(record: TraceRecord, capacity: number): void {
    if (this.#records.length > capacity) this.#shrink(capacity);
    if (this.#records.length < capacity) {
      if (this.#next !== 0) this.#shrink(this.#records.length);
      this.#records.push(record);
      return;
    }
    this.#records[this.#next] = record;
    this.#next = (this.#next + 1) % capacity;
  }

  find(isWanted: (record: TraceRecord) => boolean, limit: number): TraceRecord[] {
    const found: TraceRecord[] = [];
    const count = this.#records.length;
    for (let back = 1; back <= count && found.length < limit; back++) {
      const record = this.#records[(this.#next - back + count) % count]!;
      if (isWanted(record)) found.push(record);
    }
    return found;
  }

  /** Oldest first again, and no more than `capacity`: a reload has changed how many are kept. */
  #shrink(capacity: number): void {
    const inOrder = [...this.#records.slice(this.#next), ...this.#records.slice(0, this.#next)];
    this.#records = inOrder.slice(-capacity);
    this.#next = 0;
  }
}
