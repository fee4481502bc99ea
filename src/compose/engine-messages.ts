// What a proxy's main thread and its analytics thread say to each other. Everything is structured-cloneable.

import type { Sample } from '../analytics/ingest/sample.ts';
import type { Config } from '../config/schema.ts';
import type { EngineAnswer, EngineAsk } from '../control/engine-port.ts';
import type { Plan } from '../plan/plan.ts';
import type { ShardCounts } from '../plan/shard-counts.ts';
import type { Delta } from '../telemetry/deltas.ts';
import type { LoggerOptions } from '../telemetry/logger.ts';

export interface EngineStart {
  readonly config: Config;
  readonly folder: string;
  readonly logLevel: LoggerOptions['level'];
  /** Plan in force when the engine starts: its tables are moved on. */
  readonly plan: Plan | undefined;
}

export type ToEngine =
  | { readonly kind: 'samples'; readonly samples: readonly Sample[] }
  | { readonly kind: 'shard_counts'; readonly counts: ShardCounts }
  | { readonly kind: 'config'; readonly config: Config }
  | { readonly kind: 'ask'; readonly ticket: number; readonly ask: EngineAsk }
  | { readonly kind: 'stop' };

export type FromEngine =
  | { readonly kind: 'ready' }
  | { readonly kind: 'plan'; readonly plan: Plan }
  /** Evaluated anew, and the plan stays as it is. */
  | { readonly kind: 'evaluated' }
  | { readonly kind: 'deltas'; readonly deltas: readonly Delta[] }
  | { readonly kind: 'answer'; readonly ticket: number; readonly answer: EngineAnswer }
  | { readonly kind: 'stopped' };
