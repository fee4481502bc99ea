// From a decision to an answer: choose a server in the decided region, try it, and while rules, budget and
// targets allow, try another one elsewhere (placement.ts). The last attempt goes to another region when there
// is one, because what felled two servers of a region probably felled it, and earlier ones stay with the key's
// data. Where the route hedges, a safe request that waits too long is tried a second time beside the first: the first
// good answer is taken, and the other attempt ends.

import type { RegionIndex } from '../core/ids.ts';
import type { AttemptFailure, Reason } from '../core/reasons.ts';
import type { Forward } from '../routing/decide.ts';
import type { RouteHedge } from '../routing/snapshot.ts';
import type { DataPlane, Taken } from './data-plane.ts';
import type { Downstream, DownstreamListener } from './downstream.ts';
import { Attempt } from './forward.ts';
import type { AttemptOwner, AttemptResult } from './forward-types.ts';
import { routeFieldValue } from './headers.ts';
import { type Placing, placeAttempt, placeHedge, placeRetry, type Target } from './placement.ts';
import type { ScreenedRequest } from './request-head.ts';
import { attemptTraceparent } from './request-ids.ts';
import { placeInReserve } from './reserve.ts';
import { type AttemptEnd, isSafe, retryCause, retryDelayMs, type StatusEnd } from './retry-policy.ts';
import { type AttemptRecord, HEDGE, type RequestTrace } from './trace.ts';
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

/** An attempt under way. */
interface Running {
  readonly attempt: Attempt;
  readonly target: Target;
  /** From 1. */
  readonly number: number;
  /** Why it was made; undefined for the first. */
  readonly cause: string | undefined;
}

const NONE: readonly Running[] = [];

export class AttemptLoop implements AttemptOwner<Attempt>, DownstreamListener {
  readonly #resolve: (end: LoopEnd) => void;
  readonly #plane: DataPlane;
  readonly #dispatch: Dispatch;
  readonly #triedRegions: RegionIndex[] = [];
  readonly #triedSlots: number[] = [];
  readonly #hasIdempotencyKey: boolean;
  #attempts = 0;
  /** Between tries none; two from the moment when a request is hedged until one of them has the answer or fails. */
  #running: readonly Running[] = NONE;
  #planned: PlannedRetry | undefined;
  #hedgeTimer: NodeJS.Timeout | undefined;
  /** A server had the request beside the attempt that failed last. */
  #wasWork = false;
  /** Second tries beside the first that reached no server: they take no retry away. */
  #unspent = 0;
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
    const { hedge } = this.#dispatch.decision.route;
    if (hedge !== null && this.#running.length > 0 && this.#mayBeHedged()) {
      this.#hedgeTimer = setTimeout(() => this.#hedge(hedge), hedge.after);
    }
  }

  /** The request's total time is up: whatever is under way ends. */
  expire(): void {
    this.#expired = true;
    for (const { attempt } of this.#running) attempt.abort('deadline_exceeded', 'timeouts.total is used up');
  }

  #try(target: Target, cause: string | undefined): void {
    const { client, decision, trace, taken, request, body } = this.#dispatch;
    const { route } = decision;
    const { settings } = taken.snapshot;
    this.#attempts += 1;
    const routeField = this.#dispatch.routeField ?? this.#routeField(target);
    this.#triedSlots.push(target.server.slot);
    if (!this.#triedRegions.includes(target.region)) this.#triedRegions.push(target.region);
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
    const running = { attempt, target, cause, number: this.#attempts };
    this.#running = this.#running.length === 0 ? [running] : [...this.#running, running];
    taken.context.budget.began(route.index, target.region, attempt.startedAt);
    if (this.#attempts === 1) trace.firstAttemptAt = attempt.startedAt;
    attempt.start();
    if (cause === HEDGE) this.#listen();
    if (this.#expired) this.expire();
  }

  /** An answer of a second try is as good as one of the first only where asking changes nothing. */
  #mayBeHedged(): boolean {
    const { request, body, client } = this.#dispatch;
    return isSafe(request.method) && body.kind !== 'streamed' && client.tunnel === null;
  }

  #hedge(hedge: RouteHedge): void {
    // The timer ends with the first attempt: that still waits, and a second try is allowed (checkHedge).
    const { decision, taken } = this.#dispatch;
    const { route } = decision;
    const target = placeHedge(this.#placing(), hedge.toRegion);
    if (target === undefined) return;
    if (!taken.context.budget.take(route.index, target.region, hedge, this.#plane.tools.now())) return;
    this.#try(target, HEDGE);
  }

  /** The client speaks to the attempt under way, or to both. */
  #listen(): void {
    const { client } = this.#dispatch;
    const [only] = this.#running;
    client.listener = this.#running.length > 1 ? this : (only?.attempt ?? null);
  }

  onGone(): void {
    for (const { attempt } of this.#running) attempt.onGone();
  }

  onDrain(): void {
    for (const { attempt } of this.#running) attempt.onDrain();
  }

  /** An attempt under way is over: answer, wait for the other one, or go on elsewhere. */
  ended(end: AttemptResult, by: Attempt): void {
    const over = this.#of(by);
    clearTimeout(this.#hedgeTimer);
    this.#running = this.#running.length === 1 ? NONE : this.#running.filter((other) => other !== over);
    this.#record(end, over);
    if (this.#running.length > 0 || end.kind === 'overtaken') {
      this.#listen();
      if (end.kind === 'failed' || end.kind === 'status') this.#lost(end, over);
      return;
    }
    switch (end.kind) {
      case 'relayed':
        return this.#resolve({ kind: 'answered', status: end.status });
      case 'client_gone':
      case 'broken':
        return this.#resolve(end);
      case 'failed':
        this.#planned = this.#planRetry(end, over);
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

  #of(attempt: Attempt): Running {
    return this.#running.find((one) => one.attempt === attempt)!;
  }

  #record(end: AttemptResult, { attempt, target, number, cause }: Running): void {
    const { region, server } = target;
    const { decision, trace, taken } = this.#dispatch;
    // Of two the one that counts is recorded last.
    trace.region = region;
    taken.context.budget.ended(decision.route.index, region);
    const isFailure = end.kind === 'failed' || end.kind === 'broken';
    trace.attempts.push({
      number,
      region,
      server: server.id,
      outcome: outcomeOf(end),
      startedAt: attempt.startedAt,
      durationMs: this.#plane.tools.now() - attempt.startedAt,
      retryCause: cause,
      cause: isFailure ? end.cause : undefined,
    });
    if (isFailure) this.#countFailure(region, end.reason);
    if (cause === HEDGE) this.#countHedge(region, end.kind === 'relayed' ? 'won' : 'lost');
  }

  /** Asked when a status is known and nothing was relayed: no, if another attempt shall follow. */
  accepts(status: number, sent: AttemptFailure['sent'], by: Attempt): boolean {
    const own = this.#of(by);
    const end: StatusEnd = { kind: 'status', status, sent };
    if (this.#running.length > 1) {
      if (!this.#isGood(end, own)) return false;
      for (const other of this.#running) if (other !== own) other.attempt.giveWay();
      return true;
    }
    clearTimeout(this.#hedgeTimer);
    this.#planned = this.#planRetry(end, own);
    return this.#planned === undefined;
  }

  /**
   * Whether an answer ends the wait for the other one. What another region does not have the first one may have, so of
   * that only what was asked for is taken.
   */
  #isGood(end: StatusEnd, { cause, target }: Running): boolean {
    const isElsewhere = cause === HEDGE && target.region !== this.#running[0]!.target.region;
    return isElsewhere ? end.status < 400 : this.#causeOf(end, 1) === undefined;
  }

  /** Word for why another attempt should follow, if there were more of them than `attempts`. */
  #causeOf(end: AttemptEnd, attempts: number): string | undefined {
    const { decision, request, body } = this.#dispatch;
    const wasTouched = body.kind === 'streamed' && !(end.kind === 'failed' && end.sent === 'nothing');
    return retryCause(end, decision.route.retry, {
      method: request.method,
      hasIdempotencyKey: this.#hasIdempotencyKey,
      canReplayBody: !wasTouched,
      attempts,
    });
  }

  #planRetry(end: AttemptEnd, of: Running): PlannedRetry | undefined {
    const { decision, taken } = this.#dispatch;
    const { route } = decision;
    // Before anything else: also what is not tried again says when its server began to fail.
    const wasUnderWay = this.#wasUnderWay(end, of);
    if (this.#expired) return undefined;
    const attempts = this.#attempts - this.#unspent;
    const cause = this.#causeOf(end, attempts);
    if (cause === undefined) return undefined;
    const placing = this.#placing();
    const isMore = end.sent !== 'nothing' || this.#wasWork;
    const target = placeRetry(attempts, placing, isMore) ?? placeInReserve(placing, isMore);
    if (target === undefined) return undefined;
    const from = taken.snapshot.regions[of.target.region]!.id;
    const to = taken.snapshot.regions[target.region]!.id;
    // What never reached a server has cost none anything: sending it elsewhere is no further load, and a
    // region that cannot be reached would otherwise lose what the budget does not cover.
    const isFree = !isMore || (wasUnderWay && route.retry.budget > 0);
    const now = this.#plane.tools.now();
    if (!isFree && !taken.context.budget.take(route.index, target.region, route.retry, now)) {
      this.#plane.metrics.counter('foreshard_retry_budget_spent_total', [route.id, to]).value += 1;
      return undefined;
    }
    this.#plane.metrics.counter('foreshard_retries_total', [cause, from, to]).value += 1;
    return { ...target, cause };
  }

  /** One of two has failed: what that says of its server and of what the request may still cost. */
  #lost(end: AttemptEnd, over: Running): void {
    this.#wasUnderWay(end, over);
    if (end.sent !== 'nothing') this.#wasWork = true;
    else if (over.cause === HEDGE) this.#unspent += 1;
  }

  /** What a dead or hanging server, or a manager that lost one, had under way when that began. */
  #wasUnderWay(end: AttemptEnd, { attempt, target }: Running): boolean {
    const isLoss = end.kind === 'failed' ? end.blamesServer : end.status === 502 || end.status === 504;
    if (!isLoss || end.sent === 'nothing') return false;
    const { tools, bursts } = this.#plane;
    return bursts.wasUnderWay(target.server.slot, attempt.startedAt, tools.now());
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

  #countHedge(to: RegionIndex, result: 'won' | 'lost'): void {
    const { decision, taken } = this.#dispatch;
    const labels = [decision.route.id, taken.snapshot.regions[to]!.id, result];
    this.#plane.metrics.counter('foreshard_hedges_total', labels).value += 1;
  }

  #countFailure(region: RegionIndex, reason: Reason): void {
    const name = this.#dispatch.taken.snapshot.regions[region]!.id;
    this.#plane.metrics.counter('foreshard_attempt_failures_total', [name, reason]).value += 1;
  }
}

function outcomeOf(end: AttemptResult): AttemptRecord['outcome'] {
  switch (end.kind) {
    case 'failed':
    case 'broken':
      return end.reason;
    case 'overtaken':
      return 'overtaken';
    default:
      return end.status ?? 'client_closed';
  }
}

function authorityOf(origin: string): string {
  return origin.slice(origin.indexOf('//') + 2);
}

function hasField(fields: readonly string[], name: string): boolean {
  for (let i = 0; i < fields.length; i += 2) if (fields[i] === name) return true;
  return false;
}
