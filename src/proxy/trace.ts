// The record of one request: one field per step of the walk. The access line is made from it, the metrics
// are, and the traces that are kept (kept-traces.ts). Never holds a key or a query.

import type { RegionIndex } from '../core/ids.ts';
import type { Priority } from '../core/model.ts';
import type { Reason } from '../core/reasons.ts';

import type { Forward } from '../routing/decide.ts';
import type { Choice } from '../routing/fallbacks.ts';
import type { Route } from '../routing/snapshot.ts';
import type { DecisionInputs } from './decision-recorder.ts';
import type { SpanIds } from './request-ids.ts';

/** `retryCause` of a second try beside the first. */
export const HEDGE = 'hedge';

export interface AttemptRecord {
  /** From 1, in the order in which they began; the one that was answered is the last of the record. */
  readonly number: number;
  readonly region: RegionIndex;
  readonly server: string;
  /** What came of it: a status, or a reason; `overtaken` when another attempt had the answer. */
  readonly outcome: number | Reason | 'overtaken';
  /** Monotonic milliseconds. */
  readonly startedAt: number;
  /** Milliseconds from its start. */
  readonly durationMs: number;
  /** Why the attempt was made: undefined for the first. */
  readonly retryCause: string | undefined;
  /** For the log; never for the client. */
  readonly cause: string | undefined;
}

export class RequestTrace {
  /** Ours, or the one that a proxy has given (manager-hop.ts). */
  requestId: string;
  /** Monotonic milliseconds. */
  readonly startedAt: number;
  readonly method: string;
  /** Belongs to the share of `trace.sample`, drawn before anything was known of the request. */
  readonly isSampled: boolean;
  /** Path with key segments blanked. */
  path = '';
  route: Route | undefined;
  shard = -1;
  priority: Priority = 'normal';
  /** The key's shard was between two regions. */
  isMoving = false;
  hadKey = true;
  decision: Forward | undefined;
  /** What the decision read; of sampled requests. */
  inputs: DecisionInputs | undefined;
  /** Set when the request is exported as a span. */
  span: SpanIds | undefined;
  choice: Choice | undefined;
  picked: RegionIndex | undefined;
  region: RegionIndex | undefined;
  planGeneration = 0;
  readonly attempts: AttemptRecord[] = [];
  /** Status sent to the client; 0 when none was. */
  status = 0;
  /** Reason of a local reply or of an answer that broke off. */
  reason: Reason | undefined;
  detail: string | undefined;
  /** Milliseconds spent waiting for the client's body before the first attempt. */
  bodyWaitMs = 0;
  /** Monotonic milliseconds. */
  endedAt = 0;
  /** Monotonic milliseconds of the first attempt; 0 when there was none. */
  firstAttemptAt = 0;

  constructor(requestId: string, startedAt: number, method: string, isSampled: boolean) {
    this.requestId = requestId;
    this.startedAt = startedAt;
    this.method = method;
    this.isSampled = isSampled;
  }

  /** Tried again after a failure. A second try beside the first is none: it is meant for a share of healthy requests. */
  get isRetried(): boolean {
    return (
      this.attempts.length > 1 &&
      this.attempts.some(({ retryCause }) => retryCause !== undefined && retryCause !== HEDGE)
    );
  }
}

/** Path for a log: without query, and with the segments that are shard key replaced. */
export function loggablePath(rawPath: string, secretSegments: readonly number[]): string {
  if (secretSegments.length === 0) return rawPath;
  return rawPath
    .split('/')
    .map((segment, i) => (secretSegments.includes(i) && segment !== '' ? ':key' : segment))
    .join('/');
}
