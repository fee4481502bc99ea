// What is asked of the engine -> status and body. Bad input answers 400 with the path of the first wrong field and
// changes nothing.

import { randomUUID } from 'node:crypto';
import type { ExternalEvent } from '../analytics/ingest/external-event.ts';
import { readEvent } from '../analytics/ingest/external-event.ts';
import { readDocuments } from '../analytics/ingest/telemetry-document.ts';
import { riskReport } from '../analytics/report.ts';
import type { EngineAnswer, EngineAsk } from '../control/engine-port.ts';
import { unreachable } from '../core/assert.ts';
import { systemClock } from '../core/clock.ts';
import { decodeShardCounts } from '../plan/shard-counts.ts';
import { capacityReport } from './capacity-report.ts';
import type { EngineHost } from './engine-host.ts';
import { obeyPlanCommand, planningReport } from './plan-commands.ts';

const MOST_HISTORY_MS = 14 * 86_400_000;
// What a chart can show; more points are thinned.
const MAX_POINTS = 1000;

export async function answerAsk(host: EngineHost, ask: EngineAsk): Promise<EngineAnswer> {
  switch (ask.kind) {
    case 'telemetry':
      return takeTelemetry(host, ask.body, ask.isBackfill);
    case 'shard_loads': {
      const counts = decodeShardCounts(ask.body);
      if (typeof counts === 'string') return { status: 400, body: counts };
      host.shards.takeCounts(counts);
      return { status: 202, body: { accepted: counts.tables.length } };
    }
    case 'capacity_forecast': {
      const now = systemClock.wallMs();
      return { status: 200, body: capacityReport(host.engine, host.shards, now) };
    }
    case 'plan_command':
      return obeyPlanCommand(host.shards, ask.command, ask.body);
    case 'risk_scores':
      if (ask.historyMs > 0 || ask.regionsOnly) return { status: 200, body: await riskScores(host, ask) };
      return { status: 200, body: host.riskText.of(() => riskNow(host, false)), isJsonText: true };
    case 'events':
      return { status: 200, body: { events: [...host.engine.calendar.all()].map(shownEvent) } };
    case 'add_event':
      return addEvent(host, ask.body);
    case 'remove_event':
      return removeEvent(host, ask.id);
    default:
      return unreachable(ask);
  }
}

function takeTelemetry(host: EngineHost, body: unknown, isBackfill: boolean): EngineAnswer {
  const read = readDocuments(body);
  if (!read.ok) {
    host.count('foreshard_telemetry_samples_total', ['refused_document'], 1);
    return { status: 400, body: `${read.path || 'body'}: ${read.problem}` };
  }
  const intake = host.ingest(read.samples, isBackfill);
  return { status: 202, body: intake };
}

function riskNow({ engine, config, shards }: EngineHost, regionsOnly: boolean): Record<string, unknown> {
  const now = systemClock.wallMs();
  const scores = riskReport(engine, { mode: config.pae.mode, now, regionsOnly });
  return { ...scores, planning: planningReport(shards) };
}

async function riskScores(
  host: EngineHost,
  { historyMs, regionsOnly = false }: Omit<EngineAsk & { readonly kind: 'risk_scores' }, 'kind'>,
): Promise<object> {
  const now = systemClock.wallMs();
  const report = riskNow(host, regionsOnly);
  if (historyMs === 0 || host.history === undefined) return report;
  const regions = report.regions as { id: string }[];
  const from = now - Math.min(MOST_HISTORY_MS, historyMs);
  const history = await Promise.all(regions.map(({ id }) => regionHistory(host, id, from, now)));
  return { ...report, regions: regions.map((region, i) => ({ ...region, history: history[i] })) };
}

async function regionHistory(host: EngineHost, id: string, from: number, to: number): Promise<object[]> {
  const entity = `region/${id}`;
  const of = (metric: string) => host.history!.query({ entity, metric, from, to: to + 1 });
  const [risk, failure, load, rps] = await Promise.all(
    ['engine.risk', 'engine.failure', 'engine.load', 'rps'].map(of),
  );
  const points = new Map<number, Record<string, unknown>>();
  for (const [name, values] of Object.entries({
    risk,
    failureProbability: failure,
    forecast: load,
    actual: rps,
  })) {
    for (const { at, value } of values!) {
      const point = points.get(at) ?? { at: new Date(at).toISOString() };
      point[name] = Math.round(value * 1000) / 1000;
      points.set(at, point);
    }
  }
  const sorted = [...points].sort(([a], [b]) => a - b).map(([, point]) => point);
  const every = Math.ceil(sorted.length / MAX_POINTS);
  return sorted.filter((_, i) => (sorted.length - 1 - i) % every === 0);
}

function addEvent(host: EngineHost, body: unknown): EngineAnswer {
  const { engine } = host;
  const read = readEvent(body, (id) => engine.isRegion(id));
  if (!read.ok) return { status: 400, body: `${read.path || 'body'}: ${read.problem}` };
  const event: ExternalEvent = { id: randomUUID(), ...read.event };
  const before = postedEvent(host, event.id);
  if (!engine.calendar.add(event))
    return { status: 507, body: 'there are too many events; remove some first' };
  if (event.kind === 'incident') engine.confirmIncident(event);
  host.saveCalendar();
  const shown = shownEvent(event);
  return { status: 201, body: shown, change: { target: event.id, from: before, to: shown } };
}

function removeEvent(host: EngineHost, id: string): EngineAnswer {
  const before = postedEvent(host, id);
  if (!host.engine.calendar.remove(id)) return { status: 404, body: `no posted event ${id}` };
  host.saveCalendar();
  return { status: 200, body: { removed: id }, change: { target: id, from: before, to: null } };
}

function postedEvent(host: EngineHost, id: string): object | null {
  const event = host.engine.calendar.posted().find((one) => one.id === id);
  return event === undefined ? null : shownEvent(event);
}

function shownEvent(event: ExternalEvent): object {
  return { ...event, start: new Date(event.start).toISOString(), end: new Date(event.end).toISOString() };
}
