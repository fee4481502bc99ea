// The second walk of the design on one screen: rows of one slot -> what truly happened -> demand forecast ->
// anomaly -> failure -> risk. Live rows, replayed history and recorded data take this same way, one slot after
// the other; nothing here looks ahead, reads a clock or does I/O.

import type { ProbabilityFigures } from './accuracy.ts';
import type { EntityWatch, RegionWatch, World } from './entity-watch.ts';
import type { EventsNear } from './ingest/event-calendar.ts';
import type { AnomalyReading, FailureReading, LoadOutlook } from './models.ts';
import { observeOutcome } from './outcome.ts';
import { type RegionCapacity, regionCapacity } from './region-capacity.ts';
import { regionFailure } from './region-failure.ts';
import { assessRisk, type RiskReason } from './risk.ts';
import type { Row } from './series-store.ts';

const CALM: AnomalyReading = { score: 0, causes: [] };
const NOTHING_KNOWN: FailureReading = { probability: 0, confidence: 0, model: 'none', reasons: [] };
// Without a measured outcome nobody knows how good a model is.
const UNPROVEN_CONFIDENCE = 0.5;
// One error of a hundred times the naive one is no drift.
const MOST_RATIO = 10;
// Rows without a measured load for which the last one still counts.
const STALE_STEPS = 4;

/** @param rows of one slot, of any entities. */
export function tick(rows: readonly Row[], world: World): void {
  for (const row of rows) {
    const watch = world.watchOf(row.entity);
    world.guard(watch, () => observe(watch, row, world));
  }
  for (const region of world.regions()) world.guard(region.watch, () => assess(region, world));
}

/** One entity takes its row: first the outcome of what was predicted, then what is to be expected. */
function observe(watch: EntityWatch, row: Row, world: World): void {
  const { demand, anomaly, failure } = watch.models;
  watch.row = row;
  watch.freshness += 0.25 * ((row.values.size > 0 ? 1 : 0) - watch.freshness);
  settleOutcome(watch, row, world);
  if (demand !== undefined) {
    const rps = row.values.get('rps');
    const wasScored = watch.scores.demand.actual(row.slot, rps);
    const ratio = wasScored ? watch.scores.demand.recentRatio(1) : undefined;
    if (ratio !== undefined && watch.drift.observe(Math.min(MOST_RATIO, ratio))) {
      world.onDrift(watch, 'demand');
    }
    demand.push(rps ?? Number.NaN);
    watch.hourly?.push(row.at, rps ?? Number.NaN);
    watch.outlook = demand.outlook();
    if (watch.outlook !== undefined && rps !== undefined) {
      const slot = row.slot + world.settings.horizonSteps;
      watch.scores.demand.predicted({ slot, naive: rps, ...watch.outlook.last });
    }
  }
  watch.anomaly = anomaly?.observe(row) ?? CALM;
  const isFailing = watch.outcome.since.failure !== undefined;
  // Maintenance that stops what it should stop is no failure that could be learnt from.
  const isLesson = !(isFailing && watch.isExcused);
  const reading = isLesson ? failure?.observe(row, watch.anomaly, isFailing) : undefined;
  watch.failure = finite(reading ?? NOTHING_KNOWN, world);
  // What was said without any measurement is nobody's forecast.
  if (watch.entity.kind !== 'region' && failure !== undefined && isSkill(watch, row, world)) {
    const until = row.at + world.settings.horizonMs;
    watch.scores.failure.predicted(row.at, until, watch.failure.probability, watch.acted);
  }
}

/** Whether maintenance of the entity's region is under way, or begins within `withinMs`. */
function isAnnounced({ entity }: EntityWatch, at: number, withinMs: number, world: World): boolean {
  if (entity.region === '') return false;
  const { events } = world.eventsNear(entity.region);
  return events.some(({ kind, start }) => kind === 'maintenance' && start <= at + withinMs);
}

/** To foresee what was announced takes none, and nothing is foreseen without a measurement. */
function isSkill(watch: EntityWatch, row: Row, world: World): boolean {
  return row.values.size > 0 && !isAnnounced(watch, row.at, world.settings.horizonMs, world);
}

/** What happened is told to the scores and to the models, before anything new is predicted. */
function settleOutcome(watch: EntityWatch, row: Row, world: World): void {
  const before = watch.outcome;
  const isConfirmed =
    watch.entity.kind === 'region' &&
    world
      .eventsNear(watch.entity.region)
      .events.some(({ kind, start }) => kind === 'incident' && start <= row.at);
  const capacity = capacityOf(watch, world);
  const facts = {
    capacity: capacity?.value,
    statedCapacity: capacity?.source === 'learnt' ? undefined : capacity?.value,
    isConfirmed,
    stepMs: world.settings.stepMs,
  };
  const { state, began } = observeOutcome(before, row, facts);
  watch.capacity.observe(row.values);
  watch.outcome = state;
  for (const { kind, began: at } of began) {
    const isExcused = isAnnounced(watch, at, 0, world);
    if (kind === 'failure') watch.isExcused = isExcused;
    if (isExcused) watch.scores[kind].excuse(at);
    else watch.scores[kind].eventBegan(at);
    world.onOutcome(watch, kind, at);
  }
  for (const kind of ['failure', 'overload'] as const) {
    if (before.since[kind] !== undefined && state.since[kind] === undefined) watch.scores[kind].eventEnded();
    watch.scores[kind].pass(row.at);
    for (const error of watch.scores[kind].takeErrors()) {
      if (watch.drifts[kind].observe(error)) world.onDrift(watch, kind);
    }
  }
}

/** A region's risk from its own signs, those of its servers, its load to come, and what is announced. */
function assess({ watch, servers }: RegionWatch, world: World): void {
  const { settings, now } = world;
  const until = now + settings.horizonMs;
  const events = world.eventsNear(watch.entity.region);
  const own = watch.failure ?? NOTHING_KNOWN;
  const raw = Math.max(
    own.probability,
    regionFailure(servers.map((server) => server.failure?.probability ?? 0)),
  );
  const failing = watch.outcome.since;
  const figures = watch.scores.failure.figures();
  const failure = failing.failure === undefined ? trusted(raw, figures) : 1;
  const load = world.loadOf(watch.entity.region);
  const over = overloadOf(watch, world, load, events);
  const overload = failing.overload === undefined ? trusted(over.p, watch.scores.overload.figures()) : 1;
  watch.load = load;
  watch.risk = assessRisk(
    {
      failure,
      overload,
      anomaly: Math.max(watch.anomaly?.score ?? 0, ...servers.map((server) => server.anomaly?.score ?? 0)),
      // What is failing now is seen, not foreseen.
      confidence:
        failing.failure === undefined
          ? confidenceOf(loudest(own, servers), figures, freshest(watch, servers))
          : 1,
      reasons: [
        ...(failing.failure === undefined ? [] : [{ text: 'it is failing now', weight: 1 }]),
        ...own.reasons,
        ...servers.flatMap((server) => serverReasons(server, servers.length)),
        ...over.reasons,
      ],
      events: events.events,
    },
    now,
  );
  watch.assessedAt = now;
  if (watch.row?.at !== now || !isSkill(watch, watch.row, world)) return;
  watch.scores.failure.predicted(now, until, raw, watch.acted);
  watch.scores.overload.predicted(now, until, over.p, watch.acted);
}

/** Only a region has one. */
function capacityOf(watch: EntityWatch, world: World): RegionCapacity | undefined {
  if (watch.entity.kind !== 'region') return undefined;
  return regionCapacity(watch, world.settings.capacities.get(watch.entity.region));
}

/** By the load as it comes, and by the demand that the region will own, as far as that forecast is proven. */
function overloadOf(
  watch: EntityWatch,
  world: World,
  load: LoadOutlook | undefined,
  events: EventsNear,
): { readonly p: number; readonly reasons: readonly RiskReason[] } {
  const { now, settings } = world;
  const { row, over } = watch;
  const capacity = capacityOf(watch, world)?.value;
  const rps = row?.at === now ? row.values.get('rps') : undefined;
  if (capacity === undefined || !(capacity > 0)) return { p: 0, reasons: [] };
  // Measurements stall first where a region drowns: what was seen last counts for a while.
  const isFresh = over !== undefined && Math.abs(now - over.at) <= STALE_STEPS * settings.stepMs;
  if (rps === undefined) return isFresh ? over : { p: 0, reasons: [] };
  const limit = (capacity * healthyShareOf(watch, world)) / events.loadFactor;
  const own = watch.models.overload?.observe(rps, limit, watch.outlook) ?? { probability: 0, reasons: [] };
  // A region that was relieved is still in danger while it would drown unmoved: judged by what is left to it,
  // it would get everything back, and be relieved again, for ever.
  const foreseen = Math.max(
    foreseenOver(load, limit),
    foreseenOver(world.unmovedLoadOf(watch.entity.region), limit),
  );
  const p = Math.max(own.probability, Number.isFinite(foreseen) ? foreseen : 0);
  const reasons = [...own.reasons, ...loadReasons(load, capacity, foreseen, events)];
  watch.over = { p, reasons, at: now };
  return watch.over;
}

function foreseenOver(load: LoadOutlook | undefined, limit: number): number {
  return load === undefined ? 0 : load.above(limit) * load.confidence;
}

/** A configured capacity is that of all servers; a learnt one follows what is there by itself. */
function healthyShareOf(watch: EntityWatch, world: World): number {
  if (!world.settings.capacities.has(watch.entity.region)) return 1;
  const share = watch.row?.values.get('healthy_share');
  // Without any healthy server it has failed, which is another matter than too much load.
  return share === undefined || !(share > 0) ? 1 : share;
}

/** A model that was worse than its base rate over at least five events is not listened to. */
function trusted(p: number, { skill, baseRate }: ProbabilityFigures): number {
  return skill !== undefined && skill <= 0 ? (baseRate ?? 0) : p;
}

function confidenceOf(own: FailureReading, { skill }: ProbabilityFigures, freshness: number): number {
  const proven = skill === undefined ? UNPROVEN_CONFIDENCE : Math.max(0.2, Math.min(1, 0.5 + skill));
  const claimed = skill === undefined ? Math.min(UNPROVEN_CONFIDENCE, own.confidence) : own.confidence;
  return Math.min(proven, claimed) * freshness;
}

/** Whose probability the region's is: its own, or that of one of its servers. */
function loudest(own: FailureReading, servers: readonly EntityWatch[]): FailureReading {
  return servers.reduce(
    (best, { failure }) => (failure !== undefined && failure.probability > best.probability ? failure : best),
    own,
  );
}

function freshest(watch: EntityWatch, servers: readonly EntityWatch[]): number {
  return Math.max(watch.freshness, ...servers.map(({ freshness }) => freshness));
}

function serverReasons(server: EntityWatch, count: number): RiskReason[] {
  const { failure, outcome, entity } = server;
  if (failure === undefined) return [];
  if (outcome.since.failure !== undefined) {
    return [{ text: `server ${entity.id} is failing`, weight: 1 / count }];
  }
  // A reason's weight is what the region loses by it: one of ten servers is a tenth.
  return failure.reasons.map(({ text, weight }) => ({
    text: count === 1 ? text : `${text} (server ${entity.id})`,
    weight: weight / Math.sqrt(count),
  }));
}

function loadReasons(
  load: LoadOutlook | undefined,
  capacity: number | undefined,
  overload: number,
  { events, loadFactor }: EventsNear,
): RiskReason[] {
  const reasons: RiskReason[] = [];
  if (load !== undefined && capacity !== undefined && overload > 0.1) {
    const [p50, p90] = [load.p50 * loadFactor, load.p90 * loadFactor].map(Math.round);
    const text = `load is forecast at ${p50} to ${p90} requests/s, capacity is ${Math.round(capacity)}`;
    reasons.push({ text, weight: overload });
  }
  const campaign = events.find(({ kind }) => kind === 'campaign');
  if (campaign !== undefined && loadFactor > 1.05) {
    const text = `campaign "${campaign.title}" multiplies the load by ${loadFactor.toFixed(1)}`;
    reasons.push({ text, weight: Math.max(overload, 0.1) });
  }
  return reasons;
}

function finite(reading: FailureReading, world: World): FailureReading {
  const { probability, confidence } = reading;
  if (probability >= 0 && probability <= 1 && confidence >= 0 && confidence <= 1) return reading;
  world.onNonFinite('failure');
  return NOTHING_KNOWN;
}
