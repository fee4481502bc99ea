// A finished request as it is kept: names instead of indices, so that it outlives its snapshot, and what many
// requests share (the candidates under one state of health) made once. Never a key, a query or a part of a path
// that is key.

import type { RegionIndex } from '../core/ids.ts';
import type { PolicyKind, Priority } from '../core/model.ts';
import type { Reason } from '../core/reasons.ts';
import type { Forward } from '../routing/decide.ts';
import type { LiveView, SetView } from '../routing/eligibility.ts';
import type { Choice } from '../routing/fallbacks.ts';
import type { EligibleSet, Snapshot } from '../routing/snapshot.ts';
import type { DecisionInputs } from './decision-recorder.ts';
import type { SpanIds } from './request-ids.ts';
import type { AttemptRecord, RequestTrace } from './trace.ts';

/** Why a trace is kept; the first that holds. */
export const KEPT_FOR = ['error', 'retry', 'moved', 'slow', 'sample'] as const;
export type KeptFor = (typeof KEPT_FOR)[number];

/** A region as the decision saw it. */
export interface TracedRegion {
  readonly region: string;
  readonly baseWeight: number;
  /** Of the plan. */
  readonly weight: number;
  readonly healthy: number;
  readonly registered: number;
  /** Share of its own requests that it keeps, 0..1; the rest spills. 0 = may not be chosen. */
  readonly keeps: number;
  readonly removed?: { readonly stage: 'route' | 'filter' | 'gate'; readonly reason: string };
}

export interface TracedDecision {
  readonly route: string;
  readonly policy: PolicyKind;
  readonly shard: number;
  /** Where the key may be, never what it is. */
  readonly keyKinds: readonly string[];
  /** `made`: the request had none, onMissing gave it one; `drawn`: it has none. */
  readonly key: 'found' | 'made' | 'drawn';
  /** Regions of the table that was asked. */
  readonly table: readonly string[];
  readonly isMoving: boolean;
  readonly isPanic: boolean;
  readonly regions: readonly TracedRegion[];
  readonly picked: string | null;
  readonly choice: Choice;
  readonly region: string;
  /** Sampled requests only. */
  readonly inputs: DecisionInputs | undefined;
}

export interface TracedAttempt {
  /** From 1, in the order in which they began; the last of the record is the one that was answered. */
  readonly number: number;
  readonly region: string;
  readonly server: string;
  readonly outcome: AttemptRecord['outcome'];
  /** Milliseconds after the request's start. */
  readonly startMs: number;
  readonly durationMs: number;
  readonly retryCause: string | undefined;
  readonly cause: string | undefined;
}

export interface TraceRecord {
  readonly requestId: string;
  /** Wall milliseconds of its start. */
  readonly at: number;
  /** Wall milliseconds of its end. */
  readonly keptAt: number;
  readonly durationMs: number;
  /** Until the first attempt began, without what the client took for its body; undefined without an attempt. */
  readonly decidedMs: number | undefined;
  readonly bodyWaitMs: number;
  readonly method: string;
  readonly path: string;
  readonly status: number;
  readonly reason: Reason | undefined;
  readonly detail: string | undefined;
  readonly priority: Priority;
  readonly route: string | undefined;
  readonly keptFor: KeptFor;
  readonly worker: number;
  readonly configGeneration: number;
  readonly plan: { readonly incarnation: string; readonly generation: number };
  readonly decision: TracedDecision | undefined;
  readonly attempts: readonly TracedAttempt[];
  /** Of requests that are exported as spans. */
  readonly span: SpanIds | undefined;
}

/** The state of things that a request was decided under. */
export interface TracedUnder {
  readonly snapshot: Snapshot;
  readonly live: LiveView;
}

export interface TraceStamp {
  readonly keptFor: KeptFor;
  readonly worker: number;
  /** Wall milliseconds, of the request's start. */
  readonly at: number;
  /** Wall milliseconds, of its end. */
  readonly keptAt: number;
}

// Lengths in characters: a trace has a bounded size.
const MAX_PATH = 256;
const MAX_DETAIL = 512;

export function traceRecord(trace: RequestTrace, under: TracedUnder, stamp: TraceStamp): TraceRecord {
  const { snapshot } = under;
  return {
    keptFor: stamp.keptFor,
    worker: stamp.worker,
    at: stamp.at,
    keptAt: stamp.keptAt,
    requestId: trace.requestId,
    durationMs: roundMs(trace.endedAt - trace.startedAt),
    decidedMs:
      trace.firstAttemptAt === 0
        ? undefined
        : roundMs(trace.firstAttemptAt - trace.startedAt - trace.bodyWaitMs),
    bodyWaitMs: roundMs(trace.bodyWaitMs),
    method: trace.method,
    path: trace.path.slice(0, MAX_PATH),
    status: trace.status,
    reason: trace.reason,
    detail: trace.detail?.slice(0, MAX_DETAIL),
    priority: trace.priority,
    route: trace.route?.id,
    configGeneration: snapshot.configGeneration,
    plan: snapshot.plan,
    decision: trace.decision === undefined ? undefined : tracedDecision(trace.decision, trace.inputs, under),
    span: trace.span,
    attempts: trace.attempts.map((attempt) => ({
      region: nameOf(snapshot, attempt.region)!,
      number: attempt.number,
      server: attempt.server,
      outcome: attempt.outcome,
      startMs: roundMs(attempt.startedAt - trace.startedAt),
      durationMs: roundMs(attempt.durationMs),
      retryCause: attempt.retryCause,
      cause: attempt.cause?.slice(0, MAX_DETAIL),
    })),
  };
}

function tracedDecision(
  decision: Forward,
  inputs: DecisionInputs | undefined,
  under: TracedUnder,
): TracedDecision {
  const { snapshot } = under;
  const { route, set, view, hadKey, isKeyed } = decision;
  return {
    route: route.id,
    policy: route.policy,
    shard: decision.shard,
    keyKinds: keyKindsOf(decision),
    key: hadKey ? 'found' : isKeyed ? 'made' : 'drawn',
    table: tableOf(set, snapshot),
    isMoving: decision.isMoving,
    isPanic: view.panic,
    regions: regionsOf(decision, under),
    picked: nameOf(snapshot, decision.picked) ?? null,
    choice: decision.choice,
    region: nameOf(snapshot, decision.region)!,
    inputs,
  };
}

function nameOf(snapshot: Snapshot, index: RegionIndex): string | undefined {
  return snapshot.regions[index]?.id;
}

const kindsByRoute = new WeakMap<object, readonly string[]>();

function keyKindsOf({ route }: Forward): readonly string[] {
  let kinds = kindsByRoute.get(route);
  if (kinds === undefined) {
    const plans = [route.key, ...route.keyPerType.values()];
    kinds = [...new Set(plans.flatMap(({ sources }) => sources.map(({ kind }) => kind)))];
    kindsByRoute.set(route, kinds);
  }
  return kinds;
}

const tables = new WeakMap<EligibleSet, readonly string[]>();

function tableOf(set: EligibleSet, snapshot: Snapshot): readonly string[] {
  let table = tables.get(set);
  if (table === undefined) {
    table = [...set.members].map((index) => snapshot.regions[index]!.id);
    tables.set(set, table);
  }
  return table;
}

// One list per state of health: thousands of traces of a failing region refer to the same one.
const lists = new WeakMap<SetView, readonly TracedRegion[]>();

function regionsOf({ set, view }: Forward, { snapshot, live }: TracedUnder): readonly TracedRegion[] {
  const known = lists.get(view);
  if (known !== undefined) return known;
  const list = snapshot.regions.map((region): TracedRegion => {
    const removal = set.members.includes(region.index)
      ? view.removed.find((one) => one.region === region.index)
      : ({ stage: 'route', reason: 'not_in_route' } as const);
    return {
      region: region.id,
      baseWeight: region.baseWeight,
      weight: set.weights[region.index]!,
      healthy: live.healthy[region.index]!,
      registered: live.registered[region.index]!,
      keeps: view.keeps[region.index]!,
      ...(removal !== undefined && { removed: { stage: removal.stage, reason: removal.reason } }),
    };
  });
  lists.set(view, list);
  return list;
}

/** To a microsecond. */
function roundMs(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}
