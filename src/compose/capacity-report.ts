// GET /capacity_forecast: what each region will have to carry, within the horizon and hour by hour, and how many
// servers that takes. A region's load is that of the shards it owns or is about to get, so that survivors can
// grow before traffic moves to them; a move takes what fits at once and the rest when the room is there
// (plan/capacity.ts).

import type { Engine } from '../analytics/engine.ts';
import { regionCapacity } from '../analytics/region-capacity.ts';
import type { Delta } from '../telemetry/deltas.ts';
import { regionWatches } from './planner-input.ts';
import type { ShardManager } from './shard-manager.ts';

interface Demand {
  /** Requests/s. */
  readonly p50: number;
  readonly p90: number;
}

export interface RegionCapacityReport {
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

/** @param now wall milliseconds. */
export function capacityReport(engine: Engine, shards: ShardManager, now: number): CapacityReport {
  const { config } = shards;
  const { targetUtilisation, horizon } = config.pae;
  const ahead = engine.capacityForecast(now);
  const regions: Record<string, RegionCapacityReport> = {};
  for (const watch of regionWatches(engine)) {
    const { id } = watch.entity;
    const configured = config.regions.find((region) => region.id === id)?.capacity;
    const capacity = regionCapacity(watch, configured);
    const servers = shards.registered(id);
    const each = capacity === undefined || !servers ? undefined : capacity.value / servers;
    const replicas = (p90: number): { recommendedReplicas?: number } =>
      each === undefined || !(each > 0)
        ? {}
        : { recommendedReplicas: Math.max(1, Math.ceil(p90 / (each * targetUtilisation))) };
    const demand = { p50: watch.load?.p50 ?? 0, p90: watch.load?.p90 ?? 0 };
    regions[id] = {
      demand: rounded(demand),
      ...(capacity === undefined ? {} : { capacity: round(capacity.value), capacitySource: capacity.source }),
      ...(servers === undefined ? {} : { servers }),
      ...(watch.load === undefined ? {} : replicas(demand.p90)),
      confidence: round(watch.load?.confidence ?? 0),
      hours: ahead.points
        .filter((point) => point.region === id)
        .map((point) => ({
          at: new Date(point.at).toISOString(),
          ...rounded(point),
          ...replicas(point.p90),
        })),
      hoursConfidence: round(ahead.confidence[id] ?? 0),
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

/** The same as gauges. */
export function capacityGauges({ regions }: CapacityReport): Delta[] {
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
