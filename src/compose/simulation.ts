// What a plan would do if regions failed or had other weights, on paper: the planner's own round over the tables
// of a configuration or of a plan in force, with nobody to carry it out. Load is taken as spread evenly over the
// shards of the ordinary tables, because no document says how it lies.

import { z } from 'zod';
import type { Config } from '../config/schema.ts';
import { adoptPlan } from '../plan/adopt-plan.ts';
import { decodeOwners, type Plan, type PlanTable } from '../plan/plan.ts';
import { planRound } from '../plan/planner.ts';
import type { PlannerInput, PlannerRegion } from '../plan/planner-types.ts';
import { NO_OWNER } from '../routing/shard-table.ts';
import { SharedTables } from '../state/shared-tables.ts';
import { basePlan } from './base-plan.ts';
import { plannerRules } from './planner-input.ts';
import { misfit, type TableRequest, tableFor, tableRequests } from './table-requests.ts';

export interface SimulatedChange {
  /** Region ids. */
  readonly fail: readonly string[];
  /** Base weights that some regions shall have. */
  readonly weights: ReadonlyMap<string, number>;
  /** Requests/s over all regions; undefined = what the plan in force expects. */
  readonly demand: number | undefined;
}

export interface SimulatedRegion {
  readonly id: string;
  readonly weight: readonly [before: number, after: number];
  /** Of the key space of the ordinary tables. */
  readonly share: readonly [before: number, after: number];
  /** Requests/s; null where the demand is not known. */
  readonly load: readonly [before: number, after: number] | null;
  /** Requests/s; null = not known. */
  readonly capacity: number | null;
  /** load / capacity */
  readonly utilisation: readonly [before: number, after: number] | null;
}

export interface SimulatedTable {
  readonly id: string;
  readonly critical: boolean;
  /** For routes whose risk thresholds are their own; load and key space are counted over the others. */
  readonly hasOwnThresholds: boolean;
  readonly shards: number;
  readonly moved: number;
  /** Shards that nobody can serve afterwards. */
  readonly stranded: number;
  readonly moves: readonly { readonly from: string; readonly to: string; readonly shards: number }[];
}

export interface Simulation {
  readonly fail: readonly string[];
  readonly weights: Readonly<Record<string, number>>;
  readonly demand: number | null;
  readonly regions: readonly SimulatedRegion[];
  readonly tables: readonly SimulatedTable[];
  readonly moved: { readonly shards: number; readonly keyspace: number; readonly load: number | null };
  /** What an operator should know of it, in sentences. */
  readonly problems: readonly string[];
}

/** @param inForce whose tables and loads are taken; undefined = those of the configuration alone. */
export function simulate(
  config: Config,
  change: SimulatedChange,
  inForce: Plan | undefined,
): Simulation | string {
  if (inForce !== undefined) {
    const problem = misfit(inForce, config);
    if (problem !== undefined) return `the plan in force is not one for this configuration: ${problem}`;
  }
  const tables = new SharedTables();
  const stamp = { incarnation: 'none', generation: 1, at: '2026-01-01T00:00:00.000Z' };
  const before = settled(inForce ?? basePlan(config, { previous: undefined }, tables, stamp));
  const demand = change.demand ?? (demandOf(before) || undefined);
  const has = ({ critical, regionIds }: TableRequest): boolean =>
    before.tables.some((table) => table.critical === critical && table.regions.join() === regionIds.join());
  const requests = tableRequests(config, tables).filter(has);
  const after = roundOver(before, config, requests, { mode: 'auto', change, demand: demand ?? 0 });
  return report(config, { change, before, after, demand });
}

/** What an operator has said of regions is in the configuration; nothing else shall be different. */
export const NO_CHANGE: SimulatedChange = { fail: [], weights: new Map(), demand: undefined };

/** The plan of one planning round over the tables of another, by what that one says of its regions. */
export function roundOver(
  before: Plan,
  config: Config,
  requests: readonly TableRequest[],
  { mode, change, demand }: Pick<PlannerInput, 'mode' | 'demand'> & { readonly change: SimulatedChange },
): Plan {
  const figures = new Map(before.regions.map((region) => [region.id, regionFigures.parse(region)]));
  const input: PlannerInput = {
    now: Date.parse(before.evaluatedAt),
    mode,
    regions: config.regions
      .map((region, listed) => plannerRegion(region, figures.get(region.id)!, { change, listed }))
      .sort((a, b) => (a.id < b.id ? -1 : 1)),
    tables: requests.map((request) => ({ ...request, loads: undefined })),
    demand,
    rules: plannerRules(config),
    score: { brierSkill: undefined, falseShiftsPerDay: 0, observedDays: 0 },
    accepted: mode === 'auto',
    frozen: false,
  };
  return planRound(adoptPlan('simulated', settled(before)), input).plan;
}

/** Requests/s over all regions that a plan expects; 0 where it says nothing of it. */
export function demandOf(plan: Plan): number {
  return plan.regions.reduce((sum, region) => sum + (regionFigures.parse(region).load?.p90 ?? 0), 0);
}

/** What plans tell of a region beside what proxies act upon. */
const regionFigures = z.looseObject({
  load: z.looseObject({ p50: z.number(), p90: z.number() }).optional(),
  capacity: z.number().optional(),
  risk: z.number().optional(),
  failureProbability: z.number().optional(),
  confidence: z.number().optional(),
  healthFactor: z.number().optional(),
  admin: z.enum(['active', 'drain', 'maintenance']).optional(),
});

/** With the shifts under way at their end: what is asked for comes after them. */
function settled(plan: Plan): Plan {
  return { ...plan, tables: plan.tables.map(({ shift: _, ...table }) => ({ ...table, lends: [] })) };
}

function plannerRegion(
  { id, weight, capacity }: Config['regions'][number],
  figures: z.output<typeof regionFigures>,
  { change, listed }: { readonly change: SimulatedChange; readonly listed: number },
): PlannerRegion {
  const { load, risk, failureProbability = 0, confidence = 0 } = figures;
  const isKnown = load !== undefined && risk !== undefined;
  return {
    id,
    baseWeight: weight,
    admin: figures.admin ?? 'active',
    weightOverride: change.weights.get(id),
    healthFactor: change.fail.includes(id) ? 0 : (figures.healthFactor ?? 1),
    capacity: figures.capacity ?? capacity,
    assessment: isKnown ? { risk, failureProbability, load, confidence, anomaly: 0, reasons: [] } : undefined,
    isFailing: false,
    isErring: false,
    signals: undefined,
    listed,
  };
}

interface Outcome {
  readonly change: SimulatedChange;
  readonly before: Plan;
  readonly after: Plan;
  readonly demand: number | undefined;
}

function report(config: Config, { change, before, after, demand }: Outcome): Simulation {
  const canServe = new Set(
    after.regions.flatMap(({ id, weight }) => (weight > 0 && !change.fail.includes(id) ? [id] : [])),
  );
  const tables = after.tables.map((table) => tableReport(table, { before, canServe }));
  const [had, has] = [sharesOf(before), sharesOf(after)];
  const regions = after.regions.map((region, i): SimulatedRegion => {
    const { capacity } = regionFigures.parse(region);
    const share = [had[i]!, has[i]!] as const;
    const load = demand === undefined ? null : ([share[0] * demand, share[1] * demand] as const);
    const isMeasured = load !== null && capacity !== undefined && capacity > 0;
    return {
      id: region.id,
      weight: [before.regions[i]!.weight, region.weight],
      share,
      load,
      capacity: capacity ?? null,
      utilisation: isMeasured ? [load[0] / capacity, load[1] / capacity] : null,
    };
  });
  const ordinary = tables.filter(({ critical, hasOwnThresholds }) => !critical && !hasOwnThresholds);
  const shards = ordinary.reduce((sum, { moved }) => sum + moved, 0);
  const keyspace = shards / ordinary.reduce((sum, table) => sum + table.shards, 0);
  return {
    fail: change.fail,
    weights: Object.fromEntries(change.weights),
    demand: demand ?? null,
    regions,
    tables,
    moved: { shards, keyspace, load: demand === undefined ? null : keyspace * demand },
    problems: problemsOf(config, { tables, regions, fail: change.fail }),
  };
}

function tableReport(
  table: PlanTable,
  { before, canServe }: { readonly before: Plan; readonly canServe: ReadonlySet<string> },
): SimulatedTable {
  const nameOf = (owner: number): string => (owner === NO_OWNER ? 'nobody' : before.regions[owner]!.id);
  const former =
    before.tables.find(({ id }) => id === table.id) ?? tableFor(before, table.regions, undefined);
  const has = decodeOwners(table.owners);
  const had = former === undefined ? has : decodeOwners(former.owners);
  const pairs = new Map<string, { from: string; to: string; shards: number }>();
  let moved = 0;
  let stranded = 0;
  has.forEach((owner, shard) => {
    if (!canServe.has(nameOf(owner))) stranded += 1;
    if (owner === had[shard]) return;
    moved += 1;
    const [from, to] = [nameOf(had[shard]!), nameOf(owner)];
    const pair = pairs.get(`${from}>${to}`) ?? { from, to, shards: 0 };
    pair.shards += 1;
    pairs.set(`${from}>${to}`, pair);
  });
  const moves = [...pairs.values()].sort(
    (a, b) => b.shards - a.shards || (a.from + a.to < b.from + b.to ? -1 : 1),
  );
  const { id, critical, shards, thresholds } = table;
  return { id, critical, hasOwnThresholds: thresholds !== undefined, shards, moved, stranded, moves };
}

/** Share of each region of the key space of the ordinary tables, which count alike. */
function sharesOf({ regions, tables }: Plan): number[] {
  const ordinary = tables.filter(({ critical, thresholds }) => !critical && thresholds === undefined);
  const sums = regions.map(() => 0);
  for (const table of ordinary) {
    for (const owner of decodeOwners(table.owners)) {
      if (owner !== NO_OWNER) sums[owner]! += 1 / table.shards / ordinary.length;
    }
  }
  return sums;
}

function problemsOf(
  config: Config,
  { tables, regions, fail }: Pick<Simulation, 'tables' | 'regions' | 'fail'>,
): string[] {
  const problems: string[] = [];
  const { targetUtilisation, mode } = config.pae;
  if (mode === 'off' || mode === 'shadow') {
    problems.push(
      `pae.mode is ${mode}: no plan follows a failure, requests fall back one by one; this is what advisory or auto would do`,
    );
  }
  for (const { id, stranded, shards } of tables) {
    if (stranded > 0)
      problems.push(`table ${id}: ${stranded} of ${shards} shards have no region that can serve them`);
  }
  for (const { id, load, capacity, utilisation } of regions) {
    if (load === null || utilisation === null || capacity === null || fail.includes(id)) continue;
    const now = `${Math.round(load[1])} requests/s of ${capacity}`;
    if (utilisation[1] > 1) {
      problems.push(`${id} would be above its capacity: ${now}, ${Math.round(load[1] - capacity)} too many`);
    } else if (utilisation[1] > targetUtilisation + 1 / tables[0]!.shards) {
      problems.push(`${id} would be above pae.targetUtilisation (${targetUtilisation}): ${now}`);
    }
  }
  return problems;
}
