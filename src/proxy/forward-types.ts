// What one attempt is given, whom it asks and what it comes to; see forward.ts for the attempt itself.

import type { AttemptFailure, Reason } from '../core/reasons.ts';
import type { Forward } from '../routing/decide.ts';
import type { RouteTimeouts, Server } from '../routing/snapshot.ts';
import type { WorkerColumn } from '../state/worker-column.ts';
import type { Downstream } from './downstream.ts';
import type { LoadReports } from './load-reports.ts';
import type { LongLivedStreams } from './long-lived.ts';
import type { TimerWheel } from './timer-wheel.ts';
import type { OutgoingRequest, Upstream } from './upstream.ts';

export type AttemptResult =
  /** The answer went to the client, whole. */
  | { readonly kind: 'relayed'; readonly status: number }
  /** The server answered with a status that the caller wants to retry; nothing went to the client. */
  | { readonly kind: 'status'; readonly status: number; readonly sent: AttemptFailure['sent'] }
  | AttemptFailure
  /** The answer had begun and cannot be completed; the client's connection was cut. */
  | { readonly kind: 'broken'; readonly status: number; readonly reason: Reason; readonly cause: string }
  | { readonly kind: 'client_gone'; readonly status: number | undefined }
  /** Another attempt has the answer. */
  | { readonly kind: 'overtaken' };

export interface AttemptInput {
  readonly client: Downstream;
  readonly server: Server;
  /** Why it goes there: asked again when its keys have moved. */
  readonly decision: Forward;
  readonly request: OutgoingRequest;
  readonly timeouts: RouteTimeouts;
  readonly trailerLimit: number;
  readonly acceptsTrailers: boolean;
  /** Lower-case names of fields that do not go to the client. */
  readonly scrub: readonly string[] | undefined;
  /** Further fields for the client. */
  readonly replyFields: readonly string[];
}

/** Who made the attempt, or two at a time: is asked once when the status is known, and told once how it ended. */
export interface AttemptOwner<A> {
  /**
   * True when an answer with this status shall be relayed, false to get it back as `status`.
   * @param sent `nothing` when a manager has said that no server has seen the request.
   */
  accepts(status: number, sent: AttemptFailure['sent'], by: A): boolean;
  ended(result: AttemptResult, by: A): void;
}

export interface AttemptTools {
  readonly upstream: Upstream;
  readonly wheel: TimerWheel;
  readonly column: WorkerColumn;
  readonly longLived: LongLivedStreams;
  readonly reports: LoadReports;
  /** Monotonic milliseconds. */
  now(): number;
}
