// From a decision to an answer: choose a server in the decided region, try it, and while rules, budget and
// targets allow, try another one elsewhere (placement.ts). The last attempt goes to another region when there
// is one, because what felled two servers of a region probably felled it, and earlier ones stay with the key's
// data.

import type { RegionIndex } from '../core/ids.ts';
import type { AttemptFailure, Reason } from '../core/reasons.ts';
import type { Forward } from '../routing/decide.ts';
import type { DataPlane, Taken } from './data-plane.ts';
import type { Downstream } from './downstream.ts';
import { Attempt, type AttemptOwner, type AttemptResult } from './forward.ts';
import { routeFieldValue } from './headers.ts';
import { type Placing, placeAttempt, placeRetry, type Target } from './placement.ts';
import type { ScreenedRequest } from './request-head.ts';
import { attemptTraceparent } from './request-ids.ts';
import { placeInReserve } from './reserve.ts';
import { type AttemptEnd, retryCause, retryDelayMs } from './retry-policy.ts';
import type { RequestTrace } from './trace.ts';
import type { OutgoingBody } from './upstream.ts';

/** A request that is decided and ready to go. */
export interface Dispatch {
  readonly client: Downstream;
  readonly request: ScreenedRequest;
  readonly decision: Forward;
  readonly body: OutgoingBody;
  /** Fields for every server, ours included but for `foreshard-route`. */
  readonly serverFields: readonly string[];
  /** Fields added to the answer. */
  readonly replyFields: readonly string[];
  readonly trace: RequestTrace;
  readonly taken: Taken;
  /** `foreshard-route` to pass on as it came; undefined where it is ours to make. */
  readonly routeField: string | undefined;
}

export type LoopEnd =
  | { readonly kind: 'answered'; readonly status: number }
  | { readonly kind: 'refuse'; readonly reason: Reason }
  | { readonly kind: 'broken'; readonly status: number; readonly reason: Reason }
  | { readonly kind: 'client_gone'; readonly status: number | undefined };

interface PlannedRetry extends Target {
  readonly cause: string;
}

export class AttemptLoop implements AttemptOwner {
  readonly #resolve: (end: LoopEnd) => void;
  readonly #plane: DataPlane;
  readonly #dispatch: Dispatch;
  readonly #triedRegions: RegionIndex[] = [];
  readonly #triedSlots: number[] = [];
  readonly #hasIdempotencyKey: boolean;
  #attempts = 0;
  #target: Target | undefined;
  /** Why the attempt under way was made; undefined for the first. */
  #cause: string | undefined;
  #planned: PlannedRetry | undefined;
  #current: Attempt | undefined;
  #expired = false;

  /** @param onEnd called once, when the client has its answer or can have none; maybe within `start`. */
  constructor(dispatch: Dispatch, plane: DataPlane, onEnd: (end: LoopEnd) => void) {
    this.#dispatch = dispatch;
    this.#plane = plane;
    this.#hasIdempotencyKey = hasField(dispatch.request.fields, 'idempotency-key');
    this.#resolve = onEnd;
  }

  start(): void {
    const first = placeAttempt(this.#dispatch.decision.region, this.#placing());
    if (typeof first === 'string') this.#resolve({ kind: 'refuse', reason: first });
    else this.#try(first, undefined);
  }

  /** The request's total time is up: whatever is under way ends. */
  expire(): void {
    this.#expired = true;
    this.#current?.abort('deadline_exceeded', 'timeouts.total is used up');
  }

  #try(target: Target, cause: string | undefined): void {
    const { client, decision, trace, taken, request, body } = this.#dispatch;
    const { route } = decision;
    const { settings } = taken.snapshot;
    this.#attempts += 1;
    const routeField = this.#dispatch.routeField ?? this.#routeField(target);
    this.#target = target;
    this.#cause = cause;
    this.#triedSlots.push(target.server.slot);
    if (!this.#triedRegions.includes(target.region)) this.#triedRegions.push(target.region);
    trace.region = target.region;
    const fields = this.#dispatch.serverFields.slice();
    fields.push('foreshard-route', routeField);
    if (trace.span !== undefined) {
      fields[fields.indexOf('traceparent') + 1] = attemptTraceparent(trace.span, this.#attempts);
    }
    const attempt = new Attempt(
      {
        client,
        server: target.server,
        decision,
        request: {
          method: request.method,
          target: request.target,
          // HTTP/1.0 may name no host; HTTP/1.1 must.
          host: request.hostField === '' ? authorityOf(target.server.origin) : request.hostField,
          fields,
          acceptsTrailers: request.acceptsTrailers,
          body,
        },
        timeouts: route.timeouts,
        trailerLimit: settings.limits.trailerFields,
        acceptsTrailers: request.acceptsTrailers,
        scrub: settings.manager?.scrubResponse,
        replyFields: settings.debugHeaders
          ? [...this.#dispatch.replyFields, 'foreshard-route', routeField]
          : this.#dispatch.replyFields,
      },
      this,
      client.tunnel === null ? this.#plane.tools : this.#plane.upgradeTools,
    );
    this.#current = attempt;
    taken.context.budget.began(route.index, target.region, attempt.startedAt);
    if (this.#attempts === 1) trace.firstAttemptAt = attempt.startedAt;
    attempt.start();
    if (this.#expired) this.expire();
  }

  /** The attempt under way is over: answer, or go on elsewhere. */
  ended(end: AttemptResult): void {
    this.#record(end);
    switch (end.kind) {
      case 'relayed':
        return this.#resolve({ kind: 'answered', status: end.status });
      case 'client_gone':
      case 'broken':
        return this.#resolve(end);
      case 'failed':
        this.#planned = this.#planRetry(end);
        break;
      case 'status':
        // Planned when the head came, so that it was not relayed.
        break;
    }
    const next = this.#planned;
    this.#planned = undefined;
    if (next === undefined) {
      return this.#resolve({ kind: 'refuse', reason: end.kind === 'failed' ? end.reason : 'internal' });
    }
    const delay = retryDelayMs(this.#dispatch.decision.route.retry, this.#attempts, this.#plane.random);
    setTimeout(() => this.#retry(next), delay);
  }

  #retry(next: PlannedRetry): void {
    if (this.#expired) return this.#resolve({ kind: 'refuse', reason: 'deadline_exceeded' });
    if (this.#dispatch.client.isGone) return this.#resolve({ kind: 'client_gone', status: undefined });
    this.#try(next, next.cause);
  }

  #record(end: AttemptResult): void {
    const { region, server } = this.#target!;
    const { decision, trace, taken } = this.#dispatch;
    taken.context.budget.ended(decision.route.index, region);
    const isFailure = end.kind === 'failed' || end.kind === 'broken';
    trace.attempts.push({
      region,
      server: server.id,
      outcome: isFailure ? end.reason : (end.status ?? 'client_closed'),
      startedAt: this.#current!.startedAt,
      durationMs: this.#plane.tools.now() - this.#current!.startedAt,
      retryCause: this.#cause,
      cause: isFailure ? end.cause : undefined,
    });
    if (isFailure) this.#countFailure(region, end.reason);
  }

  /** Asked when a status is known and nothing was relayed: no, if another attempt shall follow. */
  accepts(status: number, sent: AttemptFailure['sent']): boolean {
    this.#planned = this.#planRetry({ kind: 'status', status, sent });
    return this.#planned === undefined;
  }

  #planRetry(end: AttemptEnd): PlannedRetry | undefined {
    const { decision, request, body, taken } = this.#dispatch;
    const { route } = decision;
    // Before anything else: also what is not tried again says when its server began to fail.
    const wasUnderWay = this.#wasUnderWay(end);
    if (this.#expired) return undefined;
    const wasTouched = body.kind === 'streamed' && !(end.kind === 'failed' && end.sent === 'nothing');
    const cause = retryCause(end, route.retry, {
      method: request.method,
      hasIdempotencyKey: this.#hasIdempotencyKey,
      canReplayBody: !wasTouched,
      attempts: this.#attempts,
    });
    if (cause === undefined) return undefined;
    const placing = this.#placing();
    const isMore = end.sent !== 'nothing';
    const target = placeRetry(this.#attempts, placing, isMore) ?? placeInReserve(placing, isMore);
    if (target === undefined) return undefined;
    const from = taken.snapshot.regions[this.#triedRegions.at(-1)!]!.id;
    const to = taken.snapshot.regions[target.region]!.id;
    // What never reached a server has cost none anything: sending it elsewhere is no further load, and a
    // region that cannot be reached would otherwise lose what the budget does not cover.
    const isFree = end.sent === 'nothing' || (wasUnderWay && route.retry.budget > 0);
    const now = this.#plane.tools.now();
    if (!isFree && !taken.context.budget.take(route.index, target.region, route.retry, now)) {
      this.#plane.metrics.counter('foreshard_retry_budget_spent_total', [route.id, to]).value += 1;
      return undefined;
    }
    this.#plane.metrics.counter('foreshard_retries_total', [cause, from, to]).value += 1;
    return { ...target, cause };
  }

  /** What a dead or hanging server, or a manager that lost one, had under way when that began. */
  #wasUnderWay(end: AttemptEnd): boolean {
    const isLoss = end.kind === 'failed' ? end.blamesServer : end.status === 502 || end.status === 504;
    if (!isLoss || end.sent === 'nothing') return false;
    const { tools, bursts } = this.#plane;
    return bursts.wasUnderWay(this.#target!.server.slot, this.#current!.startedAt, tools.now());
  }

  #placing(): Placing {
    return {
      snapshot: this.#dispatch.taken.snapshot,
      decision: this.#dispatch.decision,
      loads: this.#plane.serverLoads,
      regionLoads: this.#plane.deciding.loads,
      random: this.#plane.random,
      triedRegions: this.#triedRegions,
      triedSlots: this.#triedSlots,
    };
  }

  /** To be called before the target counts as tried. */
  #routeField(target: Target): string {
    const { decision, taken } = this.#dispatch;
    const path = this.#triedRegions.map((region) => taken.snapshot.regions[region]!.id);
    return routeFieldValue({
      region: taken.snapshot.regions[target.region]!.id,
      shard: decision.shard,
      generation: taken.snapshot.plan.generation,
      attempt: this.#attempts,
      path,
      origin: taken.snapshot.settings.originRegion,
      priority: decision.priority,
    });
  }

  #countFailure(region: RegionIndex, reason: Reason): void {
    const name = this.#dispatch.taken.snapshot.regions[region]!.id;
    this.#plane.metrics.counter('foreshard_attempt_failures_total', [name, reason]).value += 1;
  }
}

function authorityOf(origin: string): string {
  return origin.slice(origin.indexOf('//') + 2);
}

function hasField(fields: readonly string[], name: string): boolean {
  for (let i = 0; i < fields.length; i += 2) if (fields[i] === name) return true;
  return false;
}
