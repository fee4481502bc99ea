// The shard manager: after every evaluation of the engine, and at once when a region becomes unavailable, one
// planning round; its plan goes to whoever publishes it. Holds what is carried from round to round and what an
// operator has said (freeze, accept, rollback). Runs where the engine runs; deciding is plan/planner.ts.

import type { Engine } from '../analytics/engine.ts';
import type { Sample } from '../analytics/ingest/sample.ts';
import type { Config } from '../config/schema.ts';
import type { Clock } from '../core/clock.ts';
import { adoptPlan } from '../plan/adopt-plan.ts';
import {
  type DemotionLedger,
  EMPTY_LEDGER,
  falseShiftRate,
  observeDemotions,
} from '../plan/demotion-ledger.ts';
import { moveNotices } from '../plan/move-notice.ts';
import type { Plan } from '../plan/plan.ts';
import { newPlannerState, planRound, rollBack } from '../plan/planner.ts';
import type {
  PlannerInput,
  PlannerRegion,
  PlannerResult,
  PlannerState,
  PlannerTable,
} from '../plan/planner-types.ts';
import type { ShardCounts } from '../plan/shard-counts.ts';
import { criticalKey, regionSetKey, thresholdsKey } from '../routing/build-snapshot.ts';
import { SharedTables } from '../state/shared-tables.ts';
import type { Logger } from '../telemetry/logger.ts';
import { ownershipOf, unmovedOwnershipOf } from './engine-feed.ts';
import { HealthBook } from './health-book.ts';
import type { PlanSpans } from './plan-spans.ts';
import {
  demotedByForecast,
  demotedRegions,
  expectedDemand,
  plannerRegions,
  plannerRules,
  scoreOf,
  troubledRegions,
} from './planner-input.ts';
import { ShardLoadBook } from './shard-load-book.ts';
import { type TableRequest, tableRequests } from './table-requests.ts';
import { Webhook } from './webhook.ts';

export interface ShardManagerTools {
  readonly engine: Engine;
  readonly clock: Clock;
  readonly log: Logger;
  /** ULID of this engine; the greater one wins. */
  readonly incarnation: string;
  /** Called after every round. @param isNew more than the stamps differ from the plan before. */
  onPlan(plan: Plan, isNew: boolean): void;
  count(metric: string, labels: readonly string[], by: number): void;
  /** Where the steps of rounds are told as spans. */
  readonly spans?: PlanSpans;
}

/** What of a shard manager survives a restart, beside the plan. */
export interface KeptDecisions {
  readonly frozen: boolean;
}

export class ShardManager {
  readonly #tools: ShardManagerTools;
  readonly #tables = new SharedTables();
  readonly #health: HealthBook;
  readonly #loads: ShardLoadBook;
  #config: Config;
  /** Tables that the configuration asks for; ten thousand routes are not gone through at every round. */
  #requests: readonly TableRequest[];
  #state: PlannerState;
  #ledger: DemotionLedger = EMPTY_LEDGER;
  #frozen: boolean;
  /** For one round: what is proposed now shall be. */
  #accepted = false;
  #last: PlannerResult | undefined;
  #told = '';
  #notify: Webhook | undefined;

  constructor(config: Config, tools: ShardManagerTools, previous: Plan | undefined, kept: KeptDecisions) {
    this.#config = config;
    this.#tools = tools;
    this.#requests = tableRequests(config, this.#tables);
    this.#frozen = kept.frozen;
    tools.spans?.configure(config.otlp);
    this.#notify = this.#newNotify();
    this.#health = new HealthBook(config.pae.evaluateEvery);
    this.#loads = new ShardLoadBook(config.pae.evaluateEvery);
    this.#state =
      previous === undefined ? newPlannerState(tools.incarnation) : adoptPlan(tools.incarnation, previous);
  }

  get config(): Config {
    return this.#config;
  }

  /** undefined before the first round. */
  get plan(): Plan | undefined {
    return this.#last?.plan;
  }

  get frozen(): boolean {
    return this.#frozen;
  }

  /** The last round, with what every step of it made of the weights. */
  get last(): PlannerResult | undefined {
    return this.#last;
  }

  /** How it judges itself: needless demotions and the days over which they were counted. */
  get falseShifts(): { readonly falseShiftsPerDay: number; readonly observedDays: number } {
    return falseShiftRate(this.#ledger, this.#tools.clock.wallMs());
  }

  reload(config: Config): void {
    const isMoved = config.sharding.notify !== this.#config.sharding.notify;
    this.#config = config;
    this.#requests = tableRequests(config, this.#tables);
    this.#tools.spans?.configure(config.otlp);
    if (isMoved) {
      this.#notify?.close();
      this.#notify = this.#newNotify();
    }
    this.round();
  }

  close(): void {
    this.#notify?.close();
  }

  /** Health in samples on their way to the engine: a region that is gone must not wait for the next evaluation. */
  note(samples: readonly Sample[]): void {
    if (this.#health.take(samples, this.#tools.clock.monotonicMs())) this.round();
  }

  /** Servers that a region has, as the proxies say. */
  registered(region: string): number | undefined {
    return this.#health.registered(region);
  }

  takeCounts(counts: ShardCounts): void {
    this.#loads.take(counts, this.#tools.clock.monotonicMs());
  }

  setFrozen(frozen: boolean): void {
    this.#frozen = frozen;
    this.round();
  }

  /** Takes what is proposed now. Meant for advisory mode. */
  accept(): void {
    this.#accepted = true;
    this.round();
  }

  /**
   * Back to earlier weights, and frozen there.
   * @returns false when no such plan is remembered.
   */
  rollBack(generation?: number): boolean {
    const state = rollBack(this.#state, generation);
    if (state === undefined) return false;
    this.#state = state;
    this.setFrozen(true);
    return true;
  }

  /** Weights that a rollback can bring back, the newest last. */
  get past(): PlannerState['past'] {
    return this.#state.past;
  }

  round(): void {
    const { engine, clock, onPlan } = this.#tools;
    const config = this.#config;
    if (config.pae.mode === 'off') return;
    const now = clock.wallMs();
    const begunAt = clock.monotonicMs();
    const at = (): number => now + clock.monotonicMs() - begunAt;
    const regions = this.#regions();
    const before = this.#last?.plan;
    const result = planRound(this.#state, this.#input(regions, now));
    this.#accepted = false;
    this.#state = result.state;
    this.#last = result;
    const troubled = troubledRegions(engine, regions);
    const demoted = demotedByForecast(result.weights, regions, troubled);
    this.#ledger = observeDemotions(this.#ledger, demoted, { now, horizon: config.pae.horizon, troubled });
    engine.setOwnership(ownershipOf(result.plan), unmovedOwnershipOf(result.plan));
    // What thresholds of some routes' own have demoted is no false shift of the engine's, but nobody sees how those
    // regions would have done with all of their load.
    const demotedIds = demotedRegions(result.weights).map(({ id }) => id);
    engine.setActed(new Set([...demotedIds, ...result.demotedForSome]));
    this.#tell(result);
    if (result.isNew) this.#announce(before, result.plan);
    const plannedAt = at();
    onPlan(result.plan, result.isNew);
    const publish = { startMs: plannedAt, endMs: at() };
    this.#tools.spans?.told({ ...result, round: { startMs: now, endMs: plannedAt }, publish });
  }

  #newNotify(): Webhook | undefined {
    const { notify } = this.#config.sharding;
    if (notify === '') return undefined;
    const { log, count } = this.#tools;
    const onResult = (result: string): void => count('foreshard_move_notices_total', [result], 1);
    return new Webhook({ url: notify, log, onResult });
  }

  #announce(before: Plan | undefined, after: Plan): void {
    if (this.#notify === undefined) return;
    const { incarnation, generation } = after;
    for (const notice of moveNotices(before, after)) {
      this.#notify.send({ incarnation, generation, ...notice });
    }
  }

  #regions(): PlannerRegion[] {
    const now = this.#tools.clock.monotonicMs();
    return plannerRegions(this.#tools.engine, this.#config, {
      healthyShare: (region) => this.#health.healthyShare(region, now),
    });
  }

  #input(regions: readonly PlannerRegion[], now: number): PlannerInput {
    const { engine } = this.#tools;
    const { mode } = this.#config.pae;
    return {
      now,
      mode,
      regions,
      tables: this.#plannerTables(),
      demand: expectedDemand(engine),
      medianDemand: engine.demandOutlook()?.p50,
      rules: plannerRules(this.#config),
      score: scoreOf(engine, falseShiftRate(this.#ledger, now)),
      accepted: this.#accepted,
      frozen: this.#frozen,
    };
  }

  #plannerTables(): PlannerTable[] {
    const now = this.#tools.clock.monotonicMs();
    const { shards } = this.#config.sharding;
    return this.#requests.map((request) => {
      const set = thresholdsKey(regionSetKey(request.regionIds), request.thresholds);
      const loads = this.#loads.loadsOf(request.critical ? criticalKey(set) : set, shards, now);
      return { ...request, loads };
    });
  }

  #tell({ moves, notes, plan, weights }: PlannerResult): void {
    const { log, count } = this.#tools;
    for (const [reason, shards] of Object.entries(moves)) {
      count('foreshard_shard_moves_total', [reason], shards);
    }
    if (Object.keys(moves).length > 0) {
      const desired = Object.fromEntries(weights.map((weight) => [weight.id, weight.desired]));
      log.info({ generation: plan.generation, moves, desired }, 'shards move');
    }
    const lowered = weights.flatMap(({ id, reason }) => (reason === undefined ? [] : [`${id}: ${reason}`]));
    // What stays as it is is told once.
    const told = [...notes, ...lowered].join('; ');
    if (told !== this.#told && told !== '') log.info({ mode: plan.mode, lowered, notes }, 'planned');
    this.#told = told;
  }
}
