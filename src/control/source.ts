// What the control API reads: one interface that compose/ fills, so that no handler knows where a fact
// comes from.

import type { Config } from '../config/schema.ts';
import type { Plan } from '../plan/plan.ts';
import type { TraceQuery } from '../proxy/kept-traces.ts';
import type { TraceRecord } from '../proxy/trace-record.ts';
import type { ExplainRequest, Explanation } from '../routing/explain.ts';
import type { RegionOverride } from '../state/region-overrides.ts';
import type { MetricsRegistry } from '../telemetry/registry.ts';
import type { DeskPort, PolicyPreview } from './desk-port.ts';
import type { EnginePort } from './engine-port.ts';
import type { PlannedRegion } from './trace-document.ts';

/** What every process of ours tells of itself. */
export interface ProcessSource {
  readonly metrics: MetricsRegistry;
  /** A sentence when the process should get no new traffic, undefined when it is ready. */
  notReady(): string | undefined;
  /** Brings the workers' counts into the registry. */
  refreshMetrics(): Promise<void>;
}

/** The plan of a process and how it becomes known. */
export interface PlanSource {
  /** In force; undefined where none is made. */
  plan(): Plan | undefined;
  /** Milliseconds since the engine last evaluated. */
  planAgeMs(): number;
  /** Resolves when another plan is in force, or after `waitMs`. */
  planAfter(waitMs: number): Promise<void>;
  /** Longest wait of a long poll, milliseconds. */
  longestWaitMs(): number;
}

/** What is said of regions by hand, and how far it reaches. */
export interface OverrideSource {
  readonly desk: Pick<DeskPort, 'overrides' | 'written' | 'override' | 'note' | 'audit'>;
  /** this_proxy: the plan is an engine's elsewhere, which does not know of it. */
  overrideScope(): 'plan' | 'this_proxy';
  /** Wall milliseconds. */
  now(): number;
}

export interface ControlSource extends ProcessSource, PlanSource, OverrideSource {
  /** The embedded engine; undefined when none runs in this process. */
  engine(): EnginePort | undefined;
  regions(): readonly RegionReport[];
  explain(request: ExplainRequest): Explanation;
  readonly desk: DeskPort;
  /** What it would do to serve by this configuration instead. */
  previewOf(config: Config): Promise<PolicyPreview>;
  /** Tables of the plan in force and how far its shifts are. */
  shards(): object;
  /** Newest first. */
  traces(query: TraceQuery): Promise<readonly TraceRecord[]>;
  /** What a plan that was in force said of regions; undefined when it is too old to be known. */
  plannedRegions(plan: TraceRecord['plan']): readonly PlannedRegion[] | undefined;
}

export interface RegionReport {
  readonly id: string;
  /** risk: after what is predicted. desired: after capacity, too. effective: as far as shifts have come, and healthy. */
  readonly weight: {
    readonly base: number;
    readonly risk: number;
    readonly desired: number;
    readonly effective: number;
  };
  /** As the file says it. */
  readonly configuredWeight: number;
  /** What an operator has said, if anything. */
  readonly override?: RegionOverride | undefined;
  readonly capacity: number | undefined;
  readonly requestsPerSecond: number;
  readonly utilisation: number | undefined;
  readonly registered: number;
  readonly healthy: number;
  readonly servers: readonly object[];
  /** Where a manager looks after the region. */
  readonly manager?: ManagerReport;
}

/** What a region's manager last said. */
export interface ManagerReport {
  /** Its word counts: it was heard of lately. */
  readonly isHeard: boolean;
  readonly epoch: number | undefined;
  readonly draining: boolean;
  readonly servers: readonly object[];
  readonly telemetry: object;
}
