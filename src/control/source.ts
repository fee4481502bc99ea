// What the control API reads: one interface that compose/ fills, so that no handler knows where a fact
// comes from.

import type { Plan } from '../plan/plan.ts';
import type { ExplainRequest, Explanation } from '../routing/explain.ts';
import type { MetricsRegistry } from '../telemetry/registry.ts';

export interface ControlSource {
  readonly metrics: MetricsRegistry;
  plan(): Plan;
  regions(): readonly RegionReport[];
  /** A sentence when the proxy should get no new traffic, undefined when it is ready. */
  notReady(): string | undefined;
  explain(request: ExplainRequest): Explanation;
  /** Brings the workers' counts into the registry. */
  refreshMetrics(): Promise<void>;
  /** Resolves when another plan is in force, or after `waitMs`. */
  planAfter(waitMs: number): Promise<void>;
  /** Longest wait of a long poll, milliseconds. */
  longestWaitMs(): number;
}

export interface RegionReport {
  readonly id: string;
  readonly weight: { readonly base: number; readonly desired: number; readonly effective: number };
  readonly capacity: number | undefined;
  readonly requestsPerSecond: number;
  readonly utilisation: number | undefined;
  readonly registered: number;
  readonly healthy: number;
  readonly servers: readonly object[];
}
