// What the main thread and its workers say to each other. Everything is structured-cloneable; tables and
// cells travel as shared memory.

import type { Reason } from '../core/reasons.ts';
import type { TraceQuery } from '../proxy/kept-traces.ts';
import type { LoadReport } from '../proxy/load-reports.ts';
import type { TraceRecord } from '../proxy/trace-record.ts';
import type { SnapshotInput } from '../routing/build-snapshot.ts';
import type { ServedReport } from '../state/served-tally.ts';
import type { Delta } from '../telemetry/deltas.ts';
import type { LoggerOptions } from '../telemetry/logger.ts';

export interface WorkerStart {
  readonly worker: number;
  readonly workers: number;
  readonly cells: SharedArrayBuffer;
  /** `foreshard-<instance>`, the same in all workers. */
  readonly pseudonym: string;
  readonly logLevel: LoggerOptions['level'];
  readonly input: SnapshotInput;
  readonly listen: readonly ListenPlan[];
}

/** Where to listen; a port of 0 is replaced by what the first worker got. */
export type ListenPlan = { readonly host: string; readonly port: number } | { readonly path: string };

export type ToWorker =
  | { readonly kind: 'snapshot'; readonly input: SnapshotInput }
  | { readonly kind: 'log_level'; readonly level: LoggerOptions['level'] }
  | { readonly kind: 'flush'; readonly ticket: number }
  | { readonly kind: 'traces'; readonly ticket: number; readonly query: TraceQuery }
  /** Close tunnels and event streams of these servers, spread over the time. */
  | { readonly kind: 'release_streams'; readonly slots: readonly number[]; readonly withinMs: number }
  /** Finish what is under way; idle connections are kept until their next request or the grace is over. */
  | { readonly kind: 'drain'; readonly graceMs: number }
  | { readonly kind: 'stop' };

export type FromWorker =
  | { readonly kind: 'listening'; readonly listen: readonly ListenPlan[] }
  | { readonly kind: 'cannot_listen'; readonly problem: string }
  | { readonly kind: 'applied'; readonly configGeneration: number }
  | {
      readonly kind: 'deltas';
      readonly ticket: number;
      readonly deltas: readonly Delta[];
      readonly reports: readonly LoadReport[];
      readonly served: ServedReport;
    }
  | { readonly kind: 'traces'; readonly ticket: number; readonly records: readonly TraceRecord[] }
  /** Finished requests that are exported as spans. */
  | { readonly kind: 'spans'; readonly records: readonly TraceRecord[] }
  | { readonly kind: 'refused'; readonly reason: Reason; readonly detail: string }
  | { readonly kind: 'drained' };
