// The Predictive Analytics Engine as one object: takes samples and events, closes slots as time goes on, sends
// their rows down the walk (tick.ts), and answers what is known. Owns all state between ticks; does no I/O:
// who fetches, who keeps history and who serves is decided in compose/.

import type { Clock } from '../core/clock.ts';
import type { Logger } from '../telemetry/logger.ts';
import { CampaignLearner } from './campaign-learner.ts';
import { type CapacityForecast, CapacityForecaster } from './capacity-forecast.ts';
import { ClockJumps } from './clock-jumps.ts';
import type { Resumption } from './engine-state.ts';
import { type DriftKind, type EntityWatch, newWatch, type RegionWatch, type World } from './entity-watch.ts';
import { HOUR_MS, type HourlyMean } from './forecast/hourly-demand.ts';
import type { HourlyRequest } from './forecast/hourly-fit.ts';
import type { TrainedMethod } from './forecast/method-sets.ts';
import { EventCalendar, type EventsNear } from './ingest/event-calendar.ts';
import type { ExternalEvent } from './ingest/external-event.ts';
import { type DropReason, type Intake, IntakeCount } from './ingest/intake-count.ts';
import { type Entity, entityOfKey, regionEntity, type Sample } from './ingest/sample.ts';
import type { LoadOutlook, Models } from './models.ts';
import type { OutcomeKind } from './outcome.ts';
import { OwnedDemand, type OwnedShares } from './owned-demand.ts';
import { type Row, SeriesStore, type Verdict } from './series-store.ts';
import { tick } from './tick.ts';

export interface EngineSettings {
  /** Milliseconds of a slot, i.e. between evaluations. */
  readonly stepMs: number;
  readonly horizonMs: number;
  /** Fitted beside the naive ones for hours ahead. */
  readonly hourlyMethods: readonly TrainedMethod[];
  readonly regions: readonly { readonly id: string; readonly capacity: number | undefined }[];
}

export interface EngineTools {
  readonly clock: Clock;
  readonly log: Logger;
  readonly models: Models;
  /** Called with every row that was seen, to be kept. */
  onRow(row: Row): void;
  /** A model of the entity has got worse. */
  onDrift(entity: Entity, what: DriftKind): void;
}

// Samples older than this are late unless they come as backfill: an agent that was cut off must not make the
// engine live through an hour again.
const LATEST_SLOTS = 20;
// Samples of a slot may come this much after its end; a proxy posts every 5 s.
const GRACE_SHARE = 0.2;
const MOST_GRACE_MS = 6000;
// Between two posts of a backfill an entity is held back at most so long.
const HELD_MS = 60_000;
// Eight hours of 30 s rows in memory; the rest is in the history.
const RING_SLOTS = 960;
const MAX_ENTITIES = 2560;
const MAX_COLUMNS = 12_000;
const SILENT_SLOTS = 960;

export class Engine {
  readonly calendar = new EventCalendar();
  readonly capacity: CapacityForecaster;
  readonly settings: EngineSettings;
  readonly #tools: EngineTools;
  readonly #store: SeriesStore;
  readonly #watches = new Map<string, EntityWatch>();
  /** Entity -> monotonic milliseconds of its last backfill. */
  readonly #backfilledAt = new Map<string, number>();
  readonly #campaigns: CampaignLearner;
  readonly #demand: OwnedDemand;
  #dropped: Partial<Record<DropReason, number>> = {};
  #lastClosed = Number.NEGATIVE_INFINITY;
  readonly #jumps: ClockJumps;
  readonly counts = { accepted: 0, clockJumps: 0, nonFinite: 0, modelFailures: 0, ticks: 0, rows: 0 };
  /** Milliseconds that the last tick took. */
  lastTickMs = 0;

  constructor(settings: EngineSettings, tools: EngineTools) {
    this.settings = settings;
    this.capacity = new CapacityForecaster(settings.hourlyMethods);
    this.#demand = new OwnedDemand(tools.models, (key) => this.#watches.get(key));
    this.#tools = tools;
    this.#store = new SeriesStore({
      stepMs: settings.stepMs,
      slots: RING_SLOTS,
      maxEntities: MAX_ENTITIES,
      maxColumns: MAX_COLUMNS,
    });
    this.#campaigns = new CampaignLearner(
      this.calendar,
      this.#store,
      (region) => this.#watches.get(regionEntity(region).key)?.hourly,
    );
    this.#jumps = new ClockJumps(tools.clock.wallMs(), tools.clock.monotonicMs());
    for (const { id } of settings.regions) this.#watchOf(regionEntity(id));
  }

  get horizonSteps(): number {
    return Math.max(1, Math.round(this.settings.horizonMs / this.settings.stepMs));
  }

  get dropped(): Readonly<Partial<Record<DropReason, number>>> {
    return this.#dropped;
  }

  get memory(): { readonly entities: number; readonly columns: number } {
    return { entities: this.#watches.size, columns: this.#store.columnCount };
  }

  isRegion(id: string): boolean {
    return this.settings.regions.some((region) => region.id === id);
  }

  watches(): Iterable<EntityWatch> {
    return this.#watches.values();
  }

  recent(key: string, metric: string, count: number): Float64Array {
    return this.#store.recent(key, metric, count);
  }

  /** Live samples; late ones are dropped and counted. */
  ingest(samples: readonly Sample[]): Intake {
    const now = this.#tools.clock.wallMs();
    const oldest = now - LATEST_SLOTS * this.settings.stepMs;
    const intake = new IntakeCount();
    for (const sample of samples) {
      if (sample.at < oldest) intake.count('late');
      else intake.count(this.#take(sample, now));
    }
    return this.#counted(intake);
  }

  /** History of a new installation, any order within one call: the engine lives through it slot by slot. */
  backfill(samples: readonly Sample[]): Intake {
    const now = this.#tools.clock.wallMs();
    const { stepMs } = this.settings;
    const intake = new IntakeCount();
    const keys = new Set(samples.map(({ entity }) => entity.key));
    for (const key of keys) this.#backfilledAt.set(key, this.#tools.clock.monotonicMs());
    let slot = Number.NEGATIVE_INFINITY;
    for (const sample of samples.toSorted((a, b) => a.at - b.at)) {
      const next = Math.floor(sample.at / stepMs);
      if (next > slot) this.#closeOf(keys, next);
      slot = Math.max(slot, next);
      intake.count(this.#take(sample, now));
    }
    // A past that reaches the present is told: what is measured from now on must not wait for another post of it.
    const recent = now - LATEST_SLOTS * stepMs;
    for (const { entity, at } of samples) if (at >= recent) this.#backfilledAt.delete(entity.key);
    return this.#counted(intake);
  }

  /** Readers of pages and answers tell what they had to leave out. */
  countDropped(reason: DropReason, count = 1): void {
    if (count > 0) this.#dropped[reason] = (this.#dropped[reason] ?? 0) + count;
  }

  /** @param unmoved what regions would own by base weights alone. */
  setOwnership(shares: OwnedShares, unmoved: OwnedShares = shares): void {
    this.#demand.shares = shares;
    this.#demand.unmoved = unmoved;
  }

  /** @param regions those whose traffic was moved because of what was predicted: their outcomes are censored. */
  setActed(regions: ReadonlySet<string>): void {
    for (const { watch, servers } of this.#regions()) {
      const isActed = regions.has(watch.entity.id);
      for (const one of [watch, ...servers]) {
        one.acted = isActed;
        one.models.failure?.setActedUpon(isActed);
      }
    }
  }

  /** Demand over all shard groups; undefined while none was measured. */
  demandOutlook(): LoadOutlook | undefined {
    return this.#demand.total();
  }

  /** A failure that the metrics did not show, or not yet: predictions before it are judged by it, and learn from it. */
  confirmIncident({ regions, start, end }: ExternalEvent): void {
    const ids = regions.length === 0 ? this.settings.regions.map(({ id }) => id) : regions;
    for (const id of ids) {
      const { scores, models } = this.#watchOf(regionEntity(id));
      scores.failure.confirmed(start, this.settings.horizonMs);
      // One that lasts is seen by the next row.
      if (end <= this.#tools.clock.wallMs()) models.failure?.confirmed(start);
    }
  }

  /** Demand of the next 24 hours, as of the last fits. @param now wall milliseconds. */
  capacityForecast(now: number): CapacityForecast {
    const regions = this.settings.regions.map(({ id }) => id);
    return this.capacity.document({ now, regions, shares: this.#demand.shares, calendar: this.calendar });
  }

  /** Slices of demand whose hours should be fitted anew, at most `most` of them. @param now wall milliseconds. */
  capacityDue(now: number, most: number): HourlyRequest[] {
    return this.capacity.due(this.watches(), Math.floor(now / HOUR_MS), most, this.#demand.shares.size > 0);
  }

  /** Hours that were kept, by the key of the entity: for a start. */
  loadHours(hours: ReadonlyMap<string, readonly HourlyMean[]>): void {
    for (const [key, means] of hours) {
      const entity = entityOfKey(key);
      if (entity === undefined || (entity.region !== '' && !this.isRegion(entity.region))) continue;
      // Slices that were silent for long are forgotten, not called back.
      if (this.#watches.has(key)) this.#watchOf(entity).hourly?.load(means);
    }
  }

  /** Closes what is complete and evaluates it; to be called several times a step. @returns whether it did. */
  advance(): boolean {
    const { clock } = this.#tools;
    const now = clock.wallMs();
    this.#noteJump(now);
    const { stepMs } = this.settings;
    const grace = Math.min(MOST_GRACE_MS, stepMs * GRACE_SHARE);
    const slot = Math.floor((now - grace) / stepMs);
    if (slot <= this.#lastClosed) return false;
    const startedAt = clock.monotonicMs();
    this.#lastClosed = slot;
    // Who is being told its past must not be aged to the present between two posts of it.
    for (const [key, at] of this.#backfilledAt) if (startedAt - at > HELD_MS) this.#backfilledAt.delete(key);
    const rows = this.#store.close(slot, (key) => this.#backfilledAt.has(key));
    this.#run(rows, slot * stepMs);
    this.#campaigns.learn(
      now,
      this.settings.regions.map(({ id }) => id),
    );
    this.calendar.forget(now - 86_400_000);
    this.#forgetSilent(now);
    this.lastTickMs = clock.monotonicMs() - startedAt;
    this.counts.ticks += 1;
    return true;
  }

  /** Lives through kept rows again, oldest first, after a restart; each entity takes its saved state in passing. */
  replay(rows: readonly Row[], resumption: Resumption): void {
    for (const row of rows) this.#store.adopt(row);
    this.#tickBySlot(rows, {
      before: (row) => resumption.before(row, () => this.#watchOf(row.entity)),
      after: () => {},
    });
  }

  /** All kept rows were lived through: states that no row came after are taken. */
  finishReplay(resumption: Resumption): void {
    const oldest = this.#tools.clock.wallMs() - SILENT_SLOTS * this.settings.stepMs;
    resumption.finish(oldest, (key) => {
      const entity = entityOfKey(key);
      const isKnown = entity !== undefined && (entity.region === '' || this.isRegion(entity.region));
      return isKnown ? this.#watchOf(entity) : undefined;
    });
  }

  #take(sample: Sample, now: number): Verdict | 'unknown_region' {
    const { region } = sample.entity;
    // A misspelt region would be watched for ever and asked for by nobody.
    if (region !== '' && !this.isRegion(region)) return 'unknown_region';
    return this.#store.add(sample, now);
  }

  #counted(intake: IntakeCount): Intake {
    this.counts.accepted += intake.accepted;
    for (const [reason, count] of Object.entries(intake.dropped)) {
      this.countDropped(reason as DropReason, count);
    }
    return intake;
  }

  #closeOf(keys: ReadonlySet<string>, slot: number): void {
    const rows = [...keys].flatMap((key) => this.#store.closeOf(key, slot));
    if (rows.length > 0) this.#run(rows, undefined);
  }

  #run(rows: readonly Row[], end: number | undefined): void {
    this.#tickBySlot(rows, { before: () => {}, after: (row) => this.#tools.onRow(row) });
    // Regions are assessed also when nothing at all was measured: events are known without metrics.
    if (end !== undefined && rows.at(-1)?.at !== end) tick([], this.#world(end));
  }

  #tickBySlot(
    rows: readonly Row[],
    each: { readonly before: (row: Row) => void; readonly after: (row: Row) => void },
  ): void {
    const sorted = rows.toSorted((a, b) => a.slot - b.slot);
    for (let from = 0; from < sorted.length; ) {
      let to = from + 1;
      while (to < sorted.length && sorted[to]!.slot === sorted[from]!.slot) to += 1;
      const slice = sorted.slice(from, to);
      for (const row of slice) each.before(row);
      this.#demand.push(slice);
      tick(slice, this.#world(slice[0]!.at));
      for (const row of slice) each.after(row);
      this.counts.rows += slice.length;
      from = to;
    }
  }

  #world(now: number): World {
    const { stepMs, horizonMs, regions } = this.settings;
    const events = new Map<string, EventsNear>();
    const capacities = new Map(regions.flatMap(({ id, capacity }) => (capacity ? [[id, capacity]] : [])));
    return {
      settings: { stepMs, horizonMs, horizonSteps: this.horizonSteps, capacities },
      now,
      eventsNear: (region) => {
        const found = events.get(region) ?? this.calendar.near(region, now, horizonMs);
        events.set(region, found);
        return found;
      },
      watchOf: (entity) => this.#watchOf(entity),
      regions: () => this.#regions(),
      loadOf: (region) => this.#loadOf(region),
      unmovedLoadOf: (region) => this.#demand.unmovedOf(region),
      guard: (watch, work) => this.#guard(watch, work),
      onOutcome: (watch, kind, at) => this.#onOutcome(watch, kind, at),
      onDrift: (watch, what) => this.#tools.onDrift(watch.entity, what),
      onNonFinite: () => {
        this.counts.nonFinite += 1;
      },
    };
  }

  *#regions(): Generator<RegionWatch> {
    const servers = Map.groupBy(
      [...this.#watches.values()].filter(({ entity }) => entity.kind === 'server'),
      ({ entity }) => entity.region,
    );
    for (const { id } of this.settings.regions) {
      yield { watch: this.#watchOf(regionEntity(id)), servers: servers.get(id) ?? [] };
    }
  }

  /** By the demand that a region owns where that is known and measured, else by its own past load. */
  #loadOf(region: string): LoadOutlook | undefined {
    return this.#demand.of(region) ?? this.#watches.get(regionEntity(region).key)?.outlook;
  }

  #watchOf(entity: Entity): EntityWatch {
    let watch = this.#watches.get(entity.key);
    if (watch === undefined) {
      watch = newWatch(entity, this.#tools.models.create(entity));
      this.#watches.set(entity.key, watch);
    }
    return watch;
  }

  #guard(watch: EntityWatch, work: () => void): void {
    try {
      work();
    } catch (error) {
      this.counts.modelFailures += 1;
      const why = error instanceof Error ? (error.stack ?? error.message) : String(error);
      this.#tools.log.error({ entity: watch.entity.key, error: why }, 'a model failed and begins anew');
      watch.models = this.#tools.models.create(watch.entity);
    }
  }

  #onOutcome(watch: EntityWatch, kind: OutcomeKind, at: number): void {
    const foreseen = watch.risk?.risk ?? watch.failure?.probability ?? 0;
    const fields = { entity: watch.entity.key, at: new Date(at).toISOString(), foreseen };
    this.#tools.log.info(fields, `${kind} observed`);
  }

  #noteJump(wall: number): void {
    const by = this.#jumps.jumpedBy(wall, this.#tools.clock.monotonicMs());
    if (by === 0) return;
    this.counts.clockJumps += 1;
    this.#tools.log.warn({ byMs: Math.round(by) }, 'the wall clock jumped');
    if (by > 0) return;
    const slot = Math.floor(wall / this.settings.stepMs);
    this.#store.rewind(slot);
    this.#lastClosed = Math.min(this.#lastClosed, slot);
  }

  #forgetSilent(now: number): void {
    for (const key of this.#store.forget(now - SILENT_SLOTS * this.settings.stepMs)) {
      // Regions are configured: they stay, silent or not.
      if (key.startsWith('region/')) continue;
      this.#watches.delete(key);
    }
  }
}
