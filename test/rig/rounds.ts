// Planning rounds in virtual time: a site of a few regions, told by hand what the engine and the health checks
// say of them.

import type { OwnThresholds } from '../../src/core/route-thresholds.ts';
import { decodeOwners, type Plan, type PlanTable, validatePlan } from '../../src/plan/plan.ts';
import { newPlannerState, planRound } from '../../src/plan/planner.ts';
import type {
  PlannedTable,
  PlannerInput,
  PlannerRegion,
  PlannerResult,
  PlannerRules,
  PlannerState,
  PlannerTable,
  RiskAssessment,
  WeightRecord,
} from '../../src/plan/planner-types.ts';
import { progressAt } from '../../src/plan/shift.ts';
import { ordersOf } from './regions.ts';

export const ROUND_MS = 5000;

export const RULES: PlannerRules = {
  thresholds: { low: 0.3, high: 0.7, evict: 0.9, critical: 0.3 },
  hysteresis: 0.1,
  dwell: 60_000,
  maxDemoted: 0.34,
  targetUtilisation: 0.8,
  shiftPeriod: 60_000,
  evaluateEvery: ROUND_MS,
  notice: 0,
  guards: { errors: 0.02, p99: 2, utilisation: 0.9 },
  churn: { perRound: 0.02, perHour: 0.05 },
  shards: 256,
  ttlSeconds: 120,
};

const STARTED = Date.UTC(2026, 10, 1);
const WELL = { errorShare: 0, p99: 30, utilisation: 0.5, requests: 1000 };

/** What the engine says of a region, by its risk. */
export function assessed(risk: number, confidence = 0.9): RiskAssessment {
  const load = { p50: 80, p90: 100 };
  return { risk, failureProbability: risk, load, confidence, anomaly: 0, reasons: [] };
}

export interface RoundsOptions {
  readonly rules?: Partial<PlannerRules>;
  readonly incarnation?: string;
  /** Beside the table of all. */
  readonly critical?: boolean;
  /** Of routes with thresholds of their own: tables beside these. */
  readonly own?: OwnThresholds;
}

export class Rounds {
  now = STARTED;
  mode: Plan['mode'] = 'auto';
  demand = 0;
  /** What is expected, where that is not `demand`. */
  medianDemand: number | undefined;
  accepted = false;
  frozen = false;
  score: PlannerInput['score'] = { brierSkill: undefined, falseShiftsPerDay: 0, observedDays: 0 };
  rules: PlannerRules;
  state: PlannerState;
  loads: Float64Array | undefined;
  tables: (readonly string[])[];
  readonly critical: boolean;
  own: OwnThresholds | undefined;
  readonly regions = new Map<string, PlannerRegion>();
  #last: PlannerResult | undefined;

  constructor(ids: readonly string[] = ['a', 'b', 'c'], options: RoundsOptions = {}) {
    this.rules = { ...RULES, ...options.rules };
    this.state = newPlannerState(options.incarnation ?? '01JD0000000000000000000000');
    this.critical = options.critical ?? false;
    this.own = options.own;
    this.tables = [[...ids].sort()];
    ids.forEach((id, listed) => {
      this.regions.set(id, {
        id,
        baseWeight: 1,
        admin: 'active',
        weightOverride: undefined,
        healthFactor: 1,
        capacity: undefined,
        assessment: assessed(0),
        isFailing: false,
        isErring: false,
        signals: WELL,
        listed,
      });
    });
  }

  /** What is known of a region from now on. */
  say(id: string, change: Partial<PlannerRegion>): this {
    this.regions.set(id, { ...this.regions.get(id)!, ...change });
    return this;
  }

  risk(id: string, risk: number, confidence = 0.9): this {
    return this.say(id, { assessment: assessed(risk, confidence) });
  }

  signals(id: string, change: Partial<typeof WELL>): this {
    return this.say(id, { signals: { ...WELL, ...change } });
  }

  input(): PlannerInput {
    const { rules } = this;
    const [all] = this.tables;
    const requests: Omit<PlannerTable, 'orders' | 'loads'>[] = this.tables.map((regionIds) => ({
      regionIds,
      critical: false,
    }));
    if (this.critical) requests.push({ regionIds: all!, critical: true });
    if (this.own !== undefined) {
      requests.push({ regionIds: all!, critical: false, thresholds: this.own });
      if (this.critical) requests.push({ regionIds: all!, critical: true, thresholds: this.own });
    }
    return {
      now: this.now,
      mode: this.mode,
      regions: [...this.regions.values()].sort((a, b) => (a.id < b.id ? -1 : 1)),
      tables: requests.map((request) => ({
        ...request,
        orders: ordersOf(request.regionIds, rules.shards),
        loads: this.loads,
      })),
      demand: this.demand,
      medianDemand: this.medianDemand,
      rules,
      score: this.score,
      accepted: this.accepted,
      frozen: this.frozen,
    };
  }

  /** One round, now. Throws where its plan is one that proxies refuse. */
  plan(): PlannerResult {
    const result = planRound(this.state, this.input());
    this.state = result.state;
    this.#last = result;
    const verdict = validatePlan(JSON.parse(JSON.stringify(result.plan)));
    if (!verdict.ok) throw new Error(`a plan that proxies refuse: ${verdict.problem}`);
    return result;
  }

  /** Rounds at their pace until `ms` have passed; the last one at the end. */
  pass(ms: number): PlannerResult {
    const end = this.now + ms;
    while (this.now < end) {
      this.now = Math.min(end, this.now + this.rules.evaluateEvery);
      this.plan();
    }
    return this.last;
  }

  get last(): PlannerResult {
    if (this.#last === undefined) throw new Error('no round yet');
    return this.#last;
  }

  /** Desired weights, two digits. */
  get weights(): Record<string, number> {
    return Object.fromEntries(
      this.last.plan.regions.map(({ id, weight }) => [id, Math.round(weight * 100) / 100]),
    );
  }

  record(id: string): WeightRecord {
    return this.last.weights.find((record) => record.id === id)!;
  }

  table(id = 'all'): PlannedTable {
    return this.state.tables.get(id)!;
  }

  planned(id = 'all'): PlanTable {
    return this.last.plan.tables.find((table) => table.id === id)!;
  }

  /** Shards that each region owns or is about to. */
  owned(id = 'all'): Record<string, number> {
    const owners = decodeOwners(this.planned(id).owners);
    return Object.fromEntries(
      this.last.plan.regions.map((region, i) => [region.id, owners.filter((owner) => owner === i).length]),
    );
  }

  /** 0..1; undefined = no shift is under way. */
  progress(id = 'all'): number | undefined {
    const { shift } = this.table(id);
    return shift === undefined ? undefined : progressAt(shift.progress, this.now);
  }

  /** A region's share of the key space at this moment. */
  served(region: string, id = 'all'): number {
    const { owners, shift } = this.table(id);
    const index = this.state.regionIds.indexOf(region);
    const progress = this.progress(id) ?? 1;
    let sum = 0;
    owners.forEach((owner, shard) => {
      const before = shift?.moving.get(shard);
      if (before === undefined) sum += Number(owner === index);
      else sum += owner === index ? progress : before === index ? 1 - progress : 0;
    });
    return sum / owners.length;
  }
}

/** A site that has served in peace. */
export function inPeace(ids?: readonly string[], options?: RoundsOptions): Rounds {
  const site = new Rounds(ids, options);
  site.plan();
  return site;
}

/** As they are written in the plan. */
export const ownersOf = (site: Rounds, table = 'all'): string => site.planned(table).owners;

/** Shards of three equal regions. */
export const THIRDS = { a: 86, b: 85, c: 85 };
