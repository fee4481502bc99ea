// What goes into a planning round and what comes out of it; see planner.ts for the round itself.

import type { OwnThresholds } from '../core/route-thresholds.ts';
import type { PreferenceOrders } from '../routing/ring.ts';
import type { ActedRisk, RiskDamping } from './acted-risk.ts';
import type { EngineScore, GuardLimits, GuardState, RegionSignals } from './guardrails.ts';
import type { Plan } from './plan.ts';
import type { Lend } from './rebalance.ts';
import type { TableState } from './shift.ts';
import type { Trust } from './slow-return.ts';
import type { RiskThresholds } from './weights.ts';

/** What an operator has said of a region; wins over every prediction. */
export type AdminState = 'active' | 'drain' | 'maintenance';

/** What the engine says of a region. */
export interface RiskAssessment {
  /** 0..1 */
  readonly risk: number;
  readonly failureProbability: number;
  /** Requests/s forecast for the region as it is loaded now. */
  readonly load: { readonly p50: number; readonly p90: number };
  readonly confidence: number;
  readonly anomaly: number;
  readonly reasons: readonly string[];
}

export interface PlannerRegion {
  readonly id: string;
  readonly baseWeight: number;
  readonly admin: AdminState;
  /** Base weight set by an operator at run time; undefined = the configured one. */
  readonly weightOverride: number | undefined;
  /** min(1, 1.4 x healthy / registered) */
  readonly healthFactor: number;
  /** Requests/s that its healthy servers can take, configured or learnt; undefined = unknown. */
  readonly capacity: number | undefined;
  readonly assessment: RiskAssessment | undefined;
  /** It has failed, and not recovered. */
  readonly isFailing: boolean;
  /** Of its last requests a share failed that is a failure. */
  readonly isErring: boolean;
  readonly signals: RegionSignals | undefined;
  /** Position in the operator's list. */
  readonly listed: number;
}

export interface PlannerTable {
  /** Sorted. */
  readonly regionIds: readonly string[];
  readonly critical: boolean;
  /** Of the routes that use it; undefined = those of the rules. */
  readonly thresholds?: OwnThresholds | undefined;
  readonly orders: PreferenceOrders;
  /** Requests/s per shard; undefined while too little was measured to go by. */
  readonly loads: Float64Array | undefined;
}

export interface PlannerRules extends RiskDamping {
  readonly thresholds: RiskThresholds & { readonly critical: number };
  readonly maxDemoted: number;
  readonly targetUtilisation: number;
  /** Milliseconds. */
  readonly shiftPeriod: number;
  readonly evaluateEvery: number;
  /** Milliseconds that owners are told before a shift begins; 0 = nobody is told. */
  readonly notice: number;
  readonly guards: GuardLimits;
  /** Shares of the key space. */
  readonly churn: { readonly perRound: number; readonly perHour: number };
  readonly shards: number;
  readonly ttlSeconds: number;
}

export interface PlannerInput {
  /** Wall clock, milliseconds. */
  readonly now: number;
  readonly mode: Plan['mode'];
  /** Sorted by id. */
  readonly regions: readonly PlannerRegion[];
  readonly tables: readonly PlannerTable[];
  /** Requests/s over all regions that may come: forecast, and as much of its interval as its confidence is worth. */
  readonly demand: number;
  /** Requests/s over all regions that are expected; undefined = not known apart from `demand`. */
  readonly medianDemand?: number | undefined;
  readonly rules: PlannerRules;
  readonly score: EngineScore;
  /** An operator has accepted what advisory mode proposes. */
  readonly accepted: boolean;
  /** Nothing more is set in motion but what is unavailable; ramps under way end. */
  readonly frozen: boolean;
}

export interface PlannedTable extends TableState {
  /** Weights of the table's regions that `owners` follow; undefined = owners are to be looked at anew. */
  readonly madeFor: ReadonlyMap<string, number> | undefined;
  readonly lends: readonly (Lend & { readonly until: number })[];
  /** Of its regions: those that its routes' thresholds make, less what critical requests avoid. */
  readonly weights: ReadonlyMap<string, number>;
}

/** What thresholds of their own have made of the weights, beside those of all; by the name of the thresholds. */
export interface OwnWeights {
  readonly weights: ReadonlyMap<string, number>;
  readonly held: ReadonlyMap<string, HeldWeight>;
  readonly atRisk: ReadonlySet<string>;
  readonly weightsBefore: ReadonlyMap<string, number>;
}

/** Carried from round to round; the plan is the only part that must survive a restart. */
export interface PlannerState {
  readonly incarnation: string;
  readonly generation: number;
  readonly plan: Plan | undefined;
  readonly acted: ReadonlyMap<string, ActedRisk>;
  /** P(failure), the part of the risk that is not too much load, damped in the same way. */
  readonly actedFailure: ReadonlyMap<string, ActedRisk>;
  /** 1 - health factor, damped like risk: a flapping region must not move its keys twice a second. */
  readonly actedIllness: ReadonlyMap<string, ActedRisk>;
  /** Regions that failed, and how much of their weight they may have again. */
  readonly trust: ReadonlyMap<string, Trust>;
  /** Demand that the last rounds expected, the latest last (room.ts). */
  readonly medians: readonly number[];
  /** Region ids of `tables`' indices; they change with the configuration. */
  readonly regionIds: readonly string[];
  readonly tables: ReadonlyMap<string, PlannedTable>;
  /** Desired weights in force, by region. */
  readonly weights: ReadonlyMap<string, number>;
  /** What a hold keeps: a region's weight when it could last serve, and its health (0..1) then. */
  readonly held: ReadonlyMap<string, HeldWeight>;
  /** Regions that critical requests are kept away from. */
  readonly atRisk: ReadonlySet<string>;
  /** The same for tables whose routes have thresholds of their own, by thresholdsName. */
  readonly own: ReadonlyMap<string, OwnWeights>;
  readonly guard: GuardState;
  /** Signals of the regions before the shift under way began. */
  readonly baseline: ReadonlyMap<string, RegionSignals>;
  /** Weights before that shift: what a revert goes back to. */
  readonly weightsBefore: ReadonlyMap<string, number>;
  /** After a revert no new shift begins before this, wall milliseconds. */
  readonly suppressedUntil: number;
  /** Weights that were in force before, oldest first; for a rollback. */
  readonly past: readonly PastWeights[];
  /** Shards moved for balance: wall milliseconds and share of the key space. */
  readonly churned: readonly (readonly [number, number])[];
}

export interface HeldWeight {
  readonly weight: number;
  readonly health: number;
}

export interface PastWeights {
  readonly generation: number;
  /** Wall milliseconds of the plan that brought them. */
  readonly at: number;
  readonly weights: ReadonlyMap<string, number>;
  /** By thresholdsName. */
  readonly own: ReadonlyMap<string, ReadonlyMap<string, number>>;
}

export type MoveReason = 'risk' | 'health' | 'human' | 'balance' | 'revert';

/** Why a region has the weight it has, and what the mode made of it. */
export interface WeightRecord {
  readonly id: string;
  readonly base: number;
  readonly risk: number;
  readonly health: number;
  readonly projected: number;
  readonly desired: number;
  readonly actedRisk: number;
  /** 0..1, below 1 while the region comes back from a failure. */
  readonly trust: number;
  readonly reason: string | undefined;
}

export interface PlannerResult {
  readonly state: PlannerState;
  readonly plan: Plan;
  /** The plan differs from the one before in more than its stamps. */
  readonly isNew: boolean;
  readonly weights: readonly WeightRecord[];
  /** Regions that thresholds of some routes' own have demoted: what they would have done unmoved nobody sees. */
  readonly demotedForSome: ReadonlySet<string>;
  /** Shards whose owner was changed in this round, by reason. */
  readonly moves: Readonly<Partial<Record<MoveReason, number>>>;
  /** What happened, in words, for the log: held, reverted, distrusted, ... */
  readonly notes: readonly string[];
}
