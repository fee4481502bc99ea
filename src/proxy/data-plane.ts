// What one worker has to serve requests with, and what belongs to one snapshot of it. The walk
// (handle-request.ts) gets this as its only tool; tests put one together from parts of their own.

import type { Clock } from '../core/clock.ts';
import { PRIORITIES, type Priority } from '../core/model.ts';
import type { Random } from '../core/random.ts';
import type { Reason } from '../core/reasons.ts';
import type { ServerLoads } from '../region/choose-server.ts';
import type { DecideContext } from '../routing/decide.ts';
import type { LiveView } from '../routing/eligibility.ts';
import type { Cursors } from '../routing/policies/policy.ts';
import type { Route, Snapshot } from '../routing/snapshot.ts';
import type { SnapshotStore } from '../state/snapshot-store.ts';
import type { WorkerColumn } from '../state/worker-column.ts';
import type { CounterCell, HistogramCell, MetricDeltas } from '../telemetry/deltas.ts';
import { DecisionRecorder } from './decision-recorder.ts';
import type { FailureBursts } from './failure-bursts.ts';
import type { AttemptTools } from './forward-types.ts';
import type { HopIdentity } from './headers.ts';
import type { RequestIds } from './request-ids.ts';
import { RetryBudget } from './retry-budget.ts';
import type { RequestTrace } from './trace.ts';
import { TrustedPeers } from './trusted-peers.ts';

export interface DataPlane {
  readonly store: SnapshotStore;
  readonly column: WorkerColumn;
  /** For plain requests. */
  readonly tools: AttemptTools;
  /** For websocket upgrades: the same with another upstream. */
  readonly upgradeTools: AttemptTools;
  readonly clock: Clock;
  readonly random: Random;
  /** Everything a decision needs but the cursors, which belong to a snapshot. */
  readonly deciding: Omit<DecideContext, 'cursors'>;
  readonly metrics: MetricDeltas;
  readonly workers: number;
  /** Which of ours this is, for the metrics of refusals. */
  readonly stage: 'proxy' | 'rem';
  /** `foreshard-<instance>` */
  readonly pseudonym: string;
  readonly serverLoads: ServerLoads;
  readonly bursts: FailureBursts;
  readonly ids: RequestIds;
  /** Called once at the end of every request. */
  readonly record: (trace: RequestTrace, taken: Taken) => void;
}

const CODE_CLASSES = ['none', '1xx', '2xx', '3xx', '4xx', '5xx'] as const;

/** What lives as long as one snapshot: requests hold on to theirs until they end. */
export class SnapshotContext {
  readonly snapshot: Snapshot;
  readonly identity: HopIdentity;
  readonly trusted: TrustedPeers;
  readonly cursors: Cursors = new Map();
  readonly deciding: DecideContext;
  /** For sampled requests. */
  readonly recorder: DecisionRecorder;
  readonly budget: RetryBudget;
  readonly overhead: HistogramCell;
  readonly #metrics: MetricDeltas;
  readonly #requestCells: (CounterCell | undefined)[] = [];
  readonly #secondsCells: (HistogramCell | undefined)[] = [];
  readonly #keyMissingCells: (CounterCell | undefined)[] = [];

  /** @param before the one that this replaces. */
  constructor(snapshot: Snapshot, plane: Omit<DataPlane, 'store'>, before: SnapshotContext | undefined) {
    this.snapshot = snapshot;
    this.identity = {
      pseudonym: plane.pseudonym,
      forwardedHeader: snapshot.settings.forwardedHeader,
      originRegion: snapshot.settings.originRegion,
    };
    this.trusted = new TrustedPeers(snapshot.settings.trustedProxies);
    this.deciding = { ...plane.deciding, cursors: this.cursors };
    this.recorder = new DecisionRecorder(this.deciding);
    this.budget = new RetryBudget(snapshot.routes.length, snapshot.regions.length, plane.workers);
    if (before !== undefined) this.#inheritBudget(before);
    this.overhead = plane.metrics.histogram('foreshard_overhead_seconds', []);
    this.#metrics = plane.metrics;
  }

  /** Routes and regions have other indices now: what was counted follows their ids. */
  #inheritBudget({ snapshot, budget }: SnapshotContext): void {
    const regions = new Map(snapshot.regions.map(({ id, index }) => [id, index]));
    const routes = new Map(snapshot.routes.map(({ id, index }) => [id, index]));
    for (const route of this.snapshot.routes) {
      const formerRoute = routes.get(route.id);
      if (formerRoute === undefined) continue;
      for (const region of this.snapshot.regions) {
        const former = regions.get(region.id);
        if (former !== undefined)
          this.budget.inherit([route.index, region.index], budget, [formerRoute, former]);
      }
    }
  }

  /** Cell of requests_total; looked up once per route, region and class. */
  requests(trace: RequestTrace): CounterCell {
    const route = trace.route?.index ?? this.snapshot.routes.length;
    const region = trace.region ?? this.snapshot.regions.length;
    const codeClass = Math.min(5, Math.floor(trace.status / 100));
    const pair = route * (this.snapshot.regions.length + 1) + region;
    const index =
      (pair * PRIORITIES.length + PRIORITIES.indexOf(trace.priority)) * CODE_CLASSES.length + codeClass;
    let cell = this.#requestCells[index];
    if (cell === undefined) {
      const labels = [
        trace.route?.id ?? 'none',
        this.snapshot.regions[region]?.id ?? 'none',
        CODE_CLASSES[codeClass]!,
        trace.priority,
      ];
      cell = this.#metrics.counter('foreshard_requests_total', labels);
      this.#requestCells[index] = cell;
    }
    return cell;
  }

  keyMissing(route: Route): CounterCell {
    let cell = this.#keyMissingCells[route.index];
    if (cell === undefined) {
      cell = this.#metrics.counter('foreshard_key_missing_total', [route.id]);
      this.#keyMissingCells[route.index] = cell;
    }
    return cell;
  }

  seconds(trace: RequestTrace): HistogramCell {
    const route = trace.route?.index ?? this.snapshot.routes.length;
    let cell = this.#secondsCells[route];
    if (cell === undefined) {
      cell = this.#metrics.histogram('foreshard_request_seconds', [trace.route?.id ?? 'none']);
      this.#secondsCells[route] = cell;
    }
    return cell;
  }
}

/** Snapshot, health and per-snapshot tools, taken together by a request at its start. */
export interface Taken {
  readonly snapshot: Snapshot;
  readonly live: LiveView;
  readonly context: SnapshotContext;
}

export class ContextHolder {
  readonly #plane: Omit<DataPlane, 'store'>;
  #context: SnapshotContext | undefined;

  constructor(plane: Omit<DataPlane, 'store'>) {
    this.#plane = plane;
  }

  /** What is left of the retry budgets that were used since the snapshot came. */
  *retryBudgets(): Generator<{ route: string; region: string; remaining: number }> {
    if (this.#context === undefined) return;
    const { budget, snapshot } = this.#context;
    for (const { route: index, region } of budget.used()) {
      const route = snapshot.routes[index]!;
      const remaining = Math.floor(budget.remaining(index, region, route.retry, this.#plane.tools.now()));
      yield { route: route.id, region: snapshot.regions[region]!.id, remaining };
    }
  }

  take(store: SnapshotStore): Taken {
    const { snapshot, live } = store.current();
    let context = this.#context;
    if (context === undefined || context.snapshot !== snapshot) {
      context = new SnapshotContext(snapshot, this.#plane, context);
      this.#context = context;
    }
    return { snapshot, live, context };
  }
}

/** Counts what happens to requests beside their own end. */
export function countLocalReply(metrics: MetricDeltas, reason: Reason, priority: Priority = 'normal'): void {
  metrics.counter('foreshard_local_replies_total', [reason]).value += 1;
  if (reason === 'shed' || reason === 'no_healthy_server') {
    metrics.counter('foreshard_shed_total', [priority, reason]).value += 1;
  }
}
