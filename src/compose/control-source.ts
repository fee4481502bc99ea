// Fills the control API's view of a proxy from the parts that know.

import type { EnginePort } from '../control/engine-port.ts';
import type { ControlSource, ManagerReport, RegionReport } from '../control/source.ts';
import { systemClock } from '../core/clock.ts';
import { ownOf } from '../core/own.ts';
import { systemRandom } from '../core/random.ts';
import type { HealthMonitor } from '../health/monitor.ts';
import { decodeOwners, type Plan } from '../plan/plan.ts';
import { INTERVALS_PER_POLL } from '../plan/plan-exchange.ts';
import { tokenVerifier } from '../proxy/token-verifier.ts';
import type { LoadMeter } from '../region/load-meter.ts';
import { buildSnapshotAtOnce } from '../routing/build-snapshot.ts';
import { idleContext } from '../routing/decide.ts';
import { healthFactor } from '../routing/eligibility.ts';
import { explain } from '../routing/explain.ts';
import { readUnverifiedClaim } from '../routing/shard-key.ts';
import type { Snapshot } from '../routing/snapshot.ts';
import type { LiveCells } from '../state/live-cells.ts';
import { buildLiveView, healthyBehind } from '../state/live-view.ts';
import type { SharedTables } from '../state/shared-tables.ts';
import type { LoopDelay } from '../telemetry/loop-delay.ts';
import type { MetricsRegistry } from '../telemetry/registry.ts';
import { assessedPlan } from './assessed-plan.ts';
import type { ControlDesk } from './control-desk.ts';
import { effectiveWeights, shiftProgress } from './effective-weights.ts';
import type { PlanPolls } from './plan-polls.ts';
import { previewPolicies } from './policy-preview.ts';
import type { RecentPlans } from './recent-plans.ts';
import type { ReportedRegions } from './reported-regions.ts';
import type { Published, RoutingPublisher } from './routing-publisher.ts';
import { isLedElsewhere } from './table-requests.ts';
import type { WorkerPool } from './worker-pool.ts';

export interface ControlParts {
  readonly publisher: RoutingPublisher;
  readonly monitor: HealthMonitor;
  readonly meter: LoadMeter;
  readonly metrics: MetricsRegistry;
  readonly cells: LiveCells;
  readonly workers: WorkerPool;
  readonly reported: ReportedRegions;
  readonly polls: PlanPolls;
  readonly desk: ControlDesk;
  readonly tables: SharedTables;
  readonly recentPlans: RecentPlans;
  readonly loopDelay: LoopDelay;
  engine(): EnginePort | undefined;
  /** Milliseconds since the plan in force was last said to be right; 0 where no engine makes it. */
  planAgeMs(): number;
  isDraining(): boolean;
}

export function controlSource(parts: ControlParts): ControlSource {
  const { publisher, cells, metrics, workers } = parts;
  // The main thread needs a snapshot of its own for explanations only, so it is made when asked for.
  let explained: { readonly of: Published; readonly snapshot: Snapshot } | undefined;
  const snapshot = (): Snapshot => {
    if (explained?.of !== publisher.current) {
      explained = { of: publisher.current, snapshot: buildSnapshotAtOnce(publisher.current.input) };
    }
    return explained.snapshot;
  };
  return {
    metrics,
    engine: () => parts.engine(),
    plan: () => {
      const now = systemClock.wallMs();
      const evaluatedAt = new Date(now - parts.planAgeMs()).toISOString();
      return { ...publisher.current.plan, evaluatedAt, now: new Date(now).toISOString() };
    },
    planAgeMs: () => parts.planAgeMs(),
    regions: () => regionReports(parts),
    notReady: () => {
      if (parts.isDraining()) return 'shutting down';
      return workers.readyCount === 0 ? 'no worker serves yet' : undefined;
    },
    explain: (request) => {
      const current = snapshot();
      const live = buildLiveView(current, cells, cells.version);
      return explain(
        current,
        live,
        request,
        idleContext(systemRandom(), readUnverifiedClaim, tokenVerifier()),
      );
    },
    refreshMetrics: () => refreshMetrics(parts),
    desk: parts.desk,
    overrideScope: () => (isLedElsewhere(publisher.current.config) ? 'this_proxy' : 'plan'),
    previewOf: async (after) => {
      // What routes have had of the requests is counted by the workers.
      await workers.flush();
      return previewPolicies({
        before: publisher.current.config,
        after,
        plan: await assessedPlan(publisher.current.plan, parts.engine()),
        tables: parts.tables,
        regions: regionReports(parts),
        routeShares: await metrics.shares('foreshard_requests_total', 'route'),
      });
    },
    shards: () => shardTables(publisher.current.plan),
    now: () => systemClock.wallMs(),
    traces: (query) => workers.traces(query),
    plannedRegions: (plan) => parts.recentPlans.regionsOf(plan),
    planAfter: (waitMs) => parts.polls.next(waitMs),
    longestWaitMs: () => INTERVALS_PER_POLL * publisher.current.config.paeUpdateInterval,
  };
}

async function refreshMetrics(parts: ControlParts): Promise<void> {
  const { publisher, cells, metrics, workers } = parts;
  metrics.reset('foreshard_retry_budget_remaining');
  await workers.flush();
  metrics.apply(parts.loopDelay.take());
  metrics.set('foreshard_connections', [], cells.connections());
  metrics.set('foreshard_requests_in_flight', [], cells.requestsInFlight());
  metrics.set('foreshard_plan_age_seconds', [], parts.planAgeMs() / 1000);
  metrics.set('foreshard_plan_stale', [], cells.staleSince === Number.POSITIVE_INFINITY ? 0 : 1);
  metrics.set('foreshard_shift_progress', [], shiftProgress(publisher.current, systemClock.monotonicMs()));
  metrics.reset('foreshard_region_weight');
  for (const { id, weight, healthy, registered } of regionReports(parts)) {
    metrics.set('foreshard_region_weight', [id, 'base'], weight.base);
    metrics.set('foreshard_region_weight', [id, 'risk'], weight.risk);
    metrics.set('foreshard_region_weight', [id, 'health'], healthFactor(healthy, registered));
    metrics.set('foreshard_region_weight', [id, 'desired'], weight.desired);
    metrics.set('foreshard_region_weight', [id, 'effective'], weight.effective);
  }
}

function regionReports({ publisher, monitor, meter, reported, desk }: ControlParts): RegionReport[] {
  const { plan, input } = publisher.current;
  const servers = monitor.report();
  const effective = effectiveWeights(publisher.current, systemClock.monotonicMs());
  return plan.regions.map((region, index) => {
    const own = servers.filter((server) => server.region === region.id);
    const seen = own.filter((server) => !server.ejected && server.health !== 'unhealthy').length;
    const counts = reported.counts(region.id);
    const registered = counts?.registered ?? own.length;
    const healthy = healthyBehind(seen, counts);
    const manager = managerReport(reported, region.id);
    // Nothing, where an operator has said so here and the engine elsewhere does not know of it.
    const desired = input.plan.weights[region.id] ?? region.weight;
    const capacity = publisher.current.config.regions.find(({ id }) => id === region.id)?.capacity;
    const requestsPerSecond = Math.round(meter.rate(index) * 10) / 10;
    return {
      id: region.id,
      weight: {
        base: region.baseWeight,
        risk: region.riskWeight ?? region.baseWeight,
        desired,
        effective:
          (desired === 0 && region.weight > 0 ? 0 : effective[index]!) * healthFactor(healthy, registered),
      },
      configuredWeight: desk.written.regions.find(({ id }) => id === region.id)?.weight ?? region.baseWeight,
      override: ownOf(desk.overrides, region.id),
      capacity,
      requestsPerSecond,
      utilisation: capacity === undefined ? undefined : requestsPerSecond / capacity,
      registered,
      healthy,
      servers: own,
      ...(manager !== undefined && { manager }),
    };
  });
}

function managerReport(reported: ReportedRegions, region: string): ManagerReport | undefined {
  if (!reported.has(region)) return undefined;
  const report = reported.report(region);
  const measured = reported.measured(region);
  return {
    isHeard: reported.counts(region) !== undefined,
    epoch: report?.epoch,
    draining: report?.draining ?? false,
    servers: measured?.servers ?? [],
    telemetry: measured?.telemetry ?? {},
  };
}

/** Owners by region id, and what is on the move. */
function shardTables(plan: Plan): object {
  return {
    plan: { incarnation: plan.incarnation, generation: plan.generation },
    regions: plan.regions.map(({ id }) => id),
    tables: plan.tables.map(({ owners, ...table }) => {
      const decoded = [...decodeOwners(owners)];
      return {
        ...table,
        // Positions in `regions`; 65535 = nobody.
        owners: decoded,
        owned: Object.fromEntries(
          plan.regions.map(({ id }, index) => [id, decoded.filter((owner) => owner === index).length]),
        ),
      };
    }),
  };
}
