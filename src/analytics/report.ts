// What the engine shows of itself: the document of GET /risk_scores, one field per step of the walk, and the
// values of its metrics. Pure; numbers are rounded for people, and what is not known is left out.

import type { Delta } from '../telemetry/deltas.ts';
import type { ForecastFigures, ProbabilityFigures } from './accuracy.ts';
import type { Engine } from './engine.ts';
import type { EntityWatch } from './entity-watch.ts';
import type { LoadOutlook, ModelSet } from './models.ts';
import { regionCapacity } from './region-capacity.ts';

export interface ReportFacts {
  readonly mode: string;
  /** Wall milliseconds. */
  readonly now: number;
  /** Without shard groups and routes. */
  readonly regionsOnly?: boolean;
}

export function riskReport(
  engine: Engine,
  { mode, now, regionsOnly = false }: ReportFacts,
): Record<string, unknown> {
  const watches = [...engine.watches()];
  const of = (kind: EntityWatch['entity']['kind']): EntityWatch[] =>
    watches.filter(({ entity }) => entity.kind === kind);
  const regions = of('region').sort((a, b) => (a.entity.id < b.entity.id ? -1 : 1));
  return {
    now: iso(now),
    mode,
    horizonSeconds: engine.settings.horizonMs / 1000,
    regions: regions.map((watch) => ({
      ...regionReport(watch, engine),
      servers: of('server')
        .filter(({ entity }) => entity.region === watch.entity.id)
        .map(partReport),
    })),
    ...(!regionsOnly && {
      shardGroups: of('group')
        .sort((a, b) => Number(a.entity.id) - Number(b.entity.id))
        .map(partReport),
      routes: of('route').map(partReport),
    }),
    telemetry: { accepted: engine.counts.accepted, dropped: engine.dropped },
  };
}

function regionReport(watch: EntityWatch, engine: Engine): Record<string, unknown> {
  const { risk, load, scores, assessedAt, failure, entity, models } = watch;
  const configured = engine.settings.regions.find(({ id }) => id === entity.id)?.capacity;
  const capacity = regionCapacity(watch, configured);
  return {
    id: entity.id,
    evaluatedAt: assessedAt === undefined ? undefined : iso(assessedAt),
    risk: round(risk?.risk),
    failureProbability: round(risk?.failureProbability),
    overloadProbability: round(risk?.overloadProbability),
    confidence: round(risk?.confidence),
    reasons: risk?.reasons ?? [],
    anomaly: anomalyReport(watch),
    forecast: forecastReport(load),
    actual: actualReport(watch),
    capacity:
      capacity === undefined
        ? undefined
        : {
            value: round(capacity.value, 1),
            isLearnt: capacity.source === 'learnt',
            source: capacity.source,
          },
    failing: watch.outcome.since.failure !== undefined,
    model: failure?.model,
    accuracy: {
      failure: probabilityReport(scores.failure.figures()),
      overload: probabilityReport(scores.overload.figures()),
      forecast: forecastFigures(scores.demand.figures()),
      models: standingsReport(models),
    },
  };
}

function partReport(watch: EntityWatch): Record<string, unknown> {
  const { entity, failure, scores, outlook, models } = watch;
  return {
    id: entity.id,
    risk: round(failure?.probability),
    confidence: round(failure?.confidence),
    reasons: failure?.reasons.map(({ text }) => text) ?? [],
    anomaly: anomalyReport(watch),
    forecast: forecastReport(outlook),
    actual: actualReport(watch),
    failing: watch.outcome.since.failure !== undefined,
    model: failure?.model,
    accuracy: {
      failure: failure === undefined ? undefined : probabilityReport(scores.failure.figures()),
      forecast: outlook === undefined ? undefined : forecastFigures(scores.demand.figures()),
      models: standingsReport(models),
    },
  };
}

function anomalyReport({ anomaly }: EntityWatch): object | undefined {
  return anomaly === undefined ? undefined : { score: round(anomaly.score), metrics: anomaly.causes };
}

function forecastReport(load: LoadOutlook | undefined): object | undefined {
  if (load === undefined) return undefined;
  const { method, confidence, p50, p90, last } = load;
  return {
    method,
    confidence: round(confidence),
    p50: round(p50, 1),
    p90: round(p90, 1),
    atHorizon: { value: round(last.value, 1), lower: round(last.lower, 1), upper: round(last.upper, 1) },
  };
}

function actualReport({ row }: EntityWatch): object | undefined {
  if (row === undefined) return undefined;
  return {
    at: iso(row.at),
    ...Object.fromEntries([...row.values].map(([metric, value]) => [metric, round(value)])),
  };
}

function probabilityReport(figures: ProbabilityFigures): object {
  const { scored, censored, events, foreseen, brier, skill, baseRate, leadMs, falseAlarmsPerDay } = figures;
  return {
    scored,
    censored,
    events,
    foreseen,
    brier: round(brier, 4),
    skill: round(skill),
    baseRate: round(baseRate, 4),
    leadSeconds: leadMs === undefined ? undefined : Math.round(leadMs / 1000),
    falseAlarmsPerDay: round(falseAlarmsPerDay, 2),
  };
}

function forecastFigures({ scored, mase, overPersistence, coverage }: ForecastFigures): object {
  return { scored, mase: round(mase), overPersistence: round(overPersistence), coverage: round(coverage) };
}

/** All that compete for a word, not only the one that has it. */
function standingsReport({ failure, demand }: ModelSet): object {
  return {
    failure: failure?.standings().map(({ model, skill, brier, outcomes }) => ({
      model,
      skill: round(skill),
      brier: round(brier, 4),
      outcomes,
    })),
    forecast: demand?.standings().map(({ method, overNaive }) => ({ method, overNaive: round(overNaive) })),
  };
}

/** Gauges of the engine as it is now; counters are the host's. */
export function engineGauges(engine: Engine): Delta[] {
  // Whose label is what speaks now, is not there any more when another does.
  const gauges: Delta[] = [{ kind: 'reset', metric: 'foreshard_forecast_error' }];
  const set = (metric: string, labels: readonly string[], value: number | undefined): void => {
    if (value !== undefined && Number.isFinite(value)) gauges.push({ kind: 'gauge', metric, labels, value });
  };
  for (const { entity, risk, scores, load, outlook, models } of engine.watches()) {
    if (entity.kind !== 'region') continue;
    const failure = scores.failure.figures();
    const demand = scores.demand.figures();
    set('foreshard_risk', [entity.id], risk?.risk);
    set('foreshard_failure_probability', [entity.id], risk?.failureProbability);
    set('foreshard_overload_probability', [entity.id], risk?.overloadProbability);
    set('foreshard_anomaly', [entity.id], risk?.anomaly);
    set('foreshard_forecast_load', [entity.id, '0.5'], load?.p50);
    set('foreshard_forecast_load', [entity.id, '0.9'], load?.p90);
    set('foreshard_forecast_error', [entity.id, outlook?.method ?? 'none'], demand.mase);
    set('foreshard_forecast_coverage', [entity.id], demand.coverage);
    set('foreshard_brier', [entity.id], failure.brier);
    set('foreshard_brier_skill', [entity.id], failure.skill);
    for (const { model, skill } of models.failure?.standings() ?? []) {
      set('foreshard_model_skill', [entity.id, model], skill);
    }
    set(
      'foreshard_lead_seconds',
      [entity.id],
      failure.leadMs === undefined ? undefined : failure.leadMs / 1000,
    );
    set('foreshard_false_alarms_per_day', [entity.id], failure.falseAlarmsPerDay);
  }
  set('foreshard_engine_tick_seconds', [], engine.lastTickMs / 1000);
  set('foreshard_engine_series', ['entities'], engine.memory.entities);
  set('foreshard_engine_series', ['metrics'], engine.memory.columns);
  return gauges;
}

const iso = (ms: number): string => new Date(ms).toISOString();

function round(value: number | undefined, digits = 3): number | undefined {
  if (value === undefined || !Number.isFinite(value)) return undefined;
  return Math.round(value * 10 ** digits) / 10 ** digits;
}
