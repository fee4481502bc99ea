// What the API asks of the engine, wherever it runs: in this process, in a thread of it, or not at all. Plain
// data both ways, so that a question can be posted to another thread as it is.

export type EngineAsk =
  | { readonly kind: 'telemetry'; readonly body: unknown; readonly isBackfill: boolean }
  /** With the history of so many milliseconds; 0 = none. Groups of shards and routes are nine tenths of it. */
  | { readonly kind: 'risk_scores'; readonly historyMs: number; readonly regionsOnly?: boolean }
  /** What a proxy has counted per shard. */
  | { readonly kind: 'shard_loads'; readonly body: unknown }
  | { readonly kind: 'capacity_forecast' }
  | { readonly kind: 'plan_command'; readonly command: PlanCommand; readonly body: unknown }
  | { readonly kind: 'events' }
  | { readonly kind: 'add_event'; readonly body: unknown }
  | { readonly kind: 'remove_event'; readonly id: string };

export const PLAN_COMMANDS = ['accept', 'freeze', 'unfreeze', 'rollback'] as const;
export type PlanCommand = (typeof PLAN_COMMANDS)[number];

export interface EngineAnswer {
  readonly status: number;
  /** The resource; for an error, its sentence. */
  readonly body: object | string;
  /** The body is the resource's JSON as text: made once for all who ask within a moment. */
  readonly isJsonText?: true;
  /** What was changed, for the audit log: there when something was. */
  readonly change?: EngineChange;
}

export interface EngineChange {
  /** The event, or the generation of the plan that it was said of. */
  readonly target: string;
  readonly from: unknown;
  readonly to: unknown;
}

export interface EnginePort {
  ask(ask: EngineAsk): Promise<EngineAnswer>;
}
