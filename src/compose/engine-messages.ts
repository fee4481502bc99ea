// What a proxy's main thread and its analytics thread say to each other. Everything is structured-cloneable.

import type { Sample } from '../analytics/ingest/sample.ts';
import type { Config } from '../config/schema.ts';
import type { EngineAnswer, EngineAsk } from '../control/engine-port.ts';
import type { Delta } from '../telemetry/deltas.ts';
import type { LoggerOptions } from '../telemetry/logger.ts';

export interface EngineStart {
  readonly config: Config;
  readonly folder: string;
  readonly logLevel: LoggerOptions['level'];
}

export type ToEngine =
  | { readonly kind: 'samples'; readonly samples: readonly Sample[] }
  /** Region -> share of each shard group that it owns. */
  | { readonly kind: 'ownership'; readonly shares: ReadonlyMap<string, Float64Array> }
  | { readonly kind: 'ask'; readonly ticket: number; readonly ask: EngineAsk }
  | { readonly kind: 'stop' };

export type FromEngine =
  | { readonly kind: 'ready' }
  | { readonly kind: 'deltas'; readonly deltas: readonly Delta[] }
  | { readonly kind: 'answer'; readonly ticket: number; readonly answer: EngineAnswer }
  | { readonly kind: 'stopped' };
