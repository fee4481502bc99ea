// What a sender is told and what it gives back: plain data that crosses to a worker thread and into the
// result file.

import type { RecordableHistogram } from 'node:perf_hooks';
import type { ArrivalKind } from './arrivals.ts';
import type { KeyPlan } from './keys.ts';
import type { RequestKind } from './request-mix.ts';

export interface SenderTarget {
  readonly secure: boolean;
  /** Address to connect to: resolved once, so that no request waits for DNS. */
  readonly address: string;
  readonly port: number;
  /** Host field. */
  readonly host: string;
  /** For TLS; '' for an address. */
  readonly serverName: string;
  /** Path and query; may hold `{key}`. */
  readonly path: string;
  /** Accept any certificate. */
  readonly insecure: boolean;
}

export interface SenderPlan {
  readonly target: SenderTarget;
  readonly connections: number;
  /** Requests/s of an open loop; null is a closed loop: each connection sends as soon as it is answered. */
  readonly rate: number | null;
  readonly arrivals: ArrivalKind;
  /** Part of the gap between two requests by which this sender is late, 0..1. */
  readonly phase: number;
  readonly durationMs: number;
  /** Requests at most; Infinity for none. */
  readonly requests: number;
  readonly kinds: readonly RequestKind[];
  readonly keys: KeyPlan;
  readonly keyHeader: string;
  /** Lines `name: value`. */
  readonly headers: readonly string[];
  readonly timeoutMs: number;
  readonly seed: number;
  /** Responses are counted by the value of this field; null does not look. */
  readonly countBy: { readonly header: string; readonly member: string } | null;
  /** Wait for due times in a busy loop: exact to microseconds, and takes a core. */
  readonly spin: boolean;
}

export type FailureKind = 'connect' | 'reset' | 'timeout' | 'malformed';

export interface SenderCounts {
  /** Requests written to a connection. */
  readonly sent: number;
  /** Answered in full, whatever the status. */
  readonly answered: number;
  /** Due in an open loop, but never sent: every connection was taken until the end. */
  readonly unsent: number;
  readonly bodyBytes: number;
  readonly statuses: Readonly<Record<string, number>>;
  readonly failures: Readonly<Record<FailureKind, number>>;
  /** By value of the counted field; '(none)' without one, '(other)' beyond 100 different values. */
  readonly groups: Readonly<Record<string, number>>;
}

export interface SenderInterval {
  /** End of the interval, milliseconds from the start. */
  readonly atMs: number;
  readonly answered: number;
  readonly failed: number;
  /** Answers with status 503. */
  readonly refused: number;
  readonly latency: RecordableHistogram;
}

export interface SenderResult {
  /** From the first request's due time to the last answer. */
  readonly elapsedMs: number;
  readonly counts: SenderCounts;
  /** Microseconds from the due time; timeouts and unsent requests are in it with the time they waited. */
  readonly latency: RecordableHistogram;
  /** Microseconds from the write; answers only. Equal to latency in a closed loop. */
  readonly service: RecordableHistogram;
  /** Microseconds from the write of answers with status 503: how fast the other side says no. */
  readonly refusal: RecordableHistogram;
  /** How late the sender itself was with a connection free, microseconds; the error of `latency`. */
  readonly lag: RecordableHistogram;
}

export type SenderMessage =
  | { readonly kind: 'interval'; readonly interval: SenderInterval }
  | { readonly kind: 'result'; readonly result: SenderResult }
  | { readonly kind: 'failed'; readonly why: string };
