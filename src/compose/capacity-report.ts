// GET /capacity_forecast: what each region will have to carry, within the horizon and hour by hour, and how many
// servers that takes. A region's load is that of the shards it owns or is about to get, so that survivors can
// grow before traffic moves to them; a move takes what fits at once and the rest when the room is there
// (plan/capacity.ts).

import type { Engine } from '../analytics/engine.ts';
import type { EntityWatch } from '../analytics/entity-watch.ts';
import { type RegionCapacity, regionCapacity } from '../analytics/region-capacity.ts';
import type { Delta } from '../telemetry/deltas.ts';
import { regionWatches } from './planner-input.ts';
import type { ShardManager } from './shard-manager.ts';

interface Demand {
  /** Requests/s. */
  readonly p50: number;
  readonly p90: number;
}

/** What a region has to carry within the horizon. */
export interface RegionCapacityNow {
  /** The most of the horizon. */
  readonly demand: Demand;
  /** Requests/s of all its servers; absent while nobody knows. */
  readonly capacity?: number;
  readonly capacitySource?: string;
  readonly servers?: number;
  /** Servers that carry p90 at target utilisation; absent while the capacity of one is not known. */
  readonly recommendedReplicas?: number;
  /** 0..1 of the forecast within the horizon. */
  readonly confidence: number;
}

interface RegionCapacityReport extends RegionCapacityNow {
  readonly hours: readonly (Demand & { readonly at: string; readonly recommendedReplicas?: number })[];
  /** 0..1 of the hours. */
  readonly hoursConfidence: number;
}

export interface CapacityReport {
  readonly now: string;
  readonly horizonSeconds: number;
  readonly targetUtilisation: number;
  /** By id: KEDA's metrics-api reads `regions.ID.recommendedReplicas`. */
  readonly regions: Readonly<Record<string, RegionCapacityReport>>;
  readonly total?: Demand;
}

/** By region. Asked after every evaluation: the hours ahead, which cost a sum over all groups each, are left out. */
export function capacityNow(engine: Engine, shards: ShardManager): Record<string, RegionCapacityNow> {
  return Object.fromEntries(
    regionWatches(engine).map((watch) => [watch.entity.id, regionNow(watch, shards)] as const),
  );
}

/** @param now wall milliseconds. */
export function capacityReport(engine: Engine, shards: ShardManager, now: number): CapacityReport {
  const { targetUtilisation, horizon } = shards.config.pae;
  const { points, confidence } = engine.capacityForecast(now);
  const hours = Map.groupBy(points, ({ region }) => region);
  const regions: Record<string, RegionCapacityReport> = {};
  for (const watch of regionWatches(engine)) {
    const { id } = watch.entity;
    regions[id] = {
      ...regionNow(watch, shards),
      hours: (hours.get(id) ?? []).map((point) => ({
        at: new Date(point.at).toISOString(),
        ...rounded(point),
        ...replicasFor(point.p90, watch, shards),
      })),
      hoursConfidence: round(confidence[id] ?? 0),
    };
  }
  const total = engine.demandOutlook();
  return {
    now: new Date(now).toISOString(),
    horizonSeconds: horizon / 1000,
    targetUtilisation,
    regions,
    ...(total === undefined ? {} : { total: rounded(total) }),
  };
}

function regionNow(watch: EntityWatch, shards: ShardManager): RegionCapacityNow {
  const { load } = watch;
  const capacity = capacityOf(watch, shards);
  const servers = shards.registered(watch.entity.id);
  return {
    demand: rounded({ p50: load?.p50 ?? 0, p90: load?.p90 ?? 0 }),
    ...(capacity === undefined ? {} : { capacity: round(capacity.value), capacitySource: capacity.source }),
    ...(servers === undefined ? {} : { servers }),
    ...(load === undefined ? {} : replicasFor(load.p90, watch, shards)),
    confidence: round(load?.confidence ?? 0),
  };
}

function capacityOf(watch: EntityWatch, { config }: ShardManager): RegionCapacity | undefined {
  const configured = config.regions.find(({ id }) => id === watch.entity.id)?.capacity;
  return regionCapacity(watch, configured);
}

/** @param p90 requests/s. */
function replicasFor(
  p90: number,
  watch: EntityWatch,
  shards: ShardManager,
): { readonly recommendedReplicas?: number } {
  const capacity = capacityOf(watch, shards);
  const servers = shards.registered(watch.entity.id);
  if (capacity === undefined || !servers || !(capacity.value > 0)) return {};
  const each = (capacity.value / servers) * shards.config.pae.targetUtilisation;
  return { recommendedReplicas: Math.max(1, Math.ceil(p90 / each)) };
}

/** The same as gauges. */
export function capacityGauges(regions: Readonly<Record<string, RegionCapacityNow>>): Delta[] {
  return Object.entries(regions).flatMap(([id, { demand, recommendedReplicas }]) => {
    const gauge = (metric: string, labels: string[], value: number): Delta => ({
      kind: 'gauge',
      metric,
      labels,
      value,
    });
    return [
      gauge('foreshard_capacity_demand', [id, '0.5'], demand.p50),
      gauge('foreshard_capacity_demand', [id, '0.9'], demand.p90),
      ...(recommendedReplicas === undefined
        ? []
        : [gauge('foreshard_recommended_replicas', [id], recommendedReplicas)]),
    ];
  });
}

const round = (value: number): number => Math.round(value * 100) / 100;
const rounded = ({ p50, p90 }: Demand): Demand => ({ p50: round(p50), p90: round(p90) });
