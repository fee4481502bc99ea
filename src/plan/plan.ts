// The plan: what the engine publishes and every proxy applies (contract, "Plan"). Here are its form, its
// validation and its digest. A plan is taken whole or not at all; what is wrong with it is said with the
// place of the first fault.

import { createHash } from 'node:crypto';
import { z } from 'zod';
import { MAX_TABLES } from '../core/model.ts';
import { thresholdsName } from '../core/route-thresholds.ts';
import { NO_OWNER } from '../routing/shard-table.ts';

const id = z.string().min(1).max(63);
const instant = z.iso.datetime();
const unitShare = z.number().min(0).max(1);

const planRegion = z.looseObject({
  id,
  baseWeight: z.number().min(0).max(1000),
  weight: z.number().min(0).max(1000),
  healthFactor: unitShare.optional(),
  /** Base weight after what is predicted, before health and capacity. */
  riskWeight: z.number().min(0).max(1000).optional(),
  /** Risk as it is acted upon, with dwell: what an engine that takes over goes on from. */
  actedRisk: unitShare.optional(),
});

const planTable = z.looseObject({
  id: z.string().min(1).max(128),
  regions: z.array(id).min(1).max(512),
  critical: z.boolean(),
  /** Of the routes that use it, where they are not those of all. */
  thresholds: z
    .looseObject({ low: unitShare, high: unitShare, evict: unitShare, critical: unitShare })
    .optional(),
  /** By region, where they are others than the plan's: thresholds of its own, or what critical requests avoid. */
  weights: z.record(id, z.number().min(0).max(1000)).optional(),
  shards: z.int().min(64).max(65_536),
  encoding: z.literal('u16le-base64'),
  owners: z
    .string()
    .max(200_000)
    // Node's decoder skips what is no base64 instead of refusing it.
    .regex(/^[A-Za-z0-9+/]*={0,2}$/, 'must be base64'),
  shift: z
    .looseObject({
      id: z.string().min(1).max(64),
      moving: z.array(z.tuple([z.int().min(0), z.int().min(0)])).max(65_536),
      progress: z
        .array(z.tuple([instant, unitShare]))
        .min(1)
        .max(1000),
    })
    .optional(),
  lends: z
    .array(z.looseObject({ shard: z.int().min(0), to: z.int().min(0), share: unitShare, until: instant }))
    .max(65_536)
    .default([]),
  neutral: z
    .array(z.tuple([z.int().min(0), z.int().min(0)]))
    .max(65_536)
    .default([]),
});

export const planSchema = z.looseObject({
  incarnation: z.string().min(1).max(64),
  generation: z.int().min(1),
  issuedAt: instant,
  evaluatedAt: instant,
  now: instant,
  ttlSeconds: z
    .number()
    .positive()
    .max(86_400 * 7),
  mode: z.enum(['off', 'shadow', 'advisory', 'auto']),
  regions: z.array(planRegion).min(1).max(512),
  failoverOrder: z.array(id).max(512),
  tables: z.array(planTable).min(1).max(MAX_TABLES),
  digest: z.string().regex(/^[0-9a-f]{64}$/),
});

export type Plan = z.output<typeof planSchema>;
export type PlanTable = Plan['tables'][number];

export type PlanVerdict =
  | { readonly ok: true; readonly plan: Plan }
  | { readonly ok: false; readonly problem: string };

/** Checks form, references and digest of a plan that somebody else made. Never throws. */
export function validatePlan(document: unknown): PlanVerdict {
  if (isDeeperThan(document, MAX_DEPTH)) {
    return { ok: false, problem: `plan: must not be nested deeper than ${MAX_DEPTH} levels` };
  }
  const parsed = planSchema.safeParse(document);
  if (!parsed.success) {
    const issue = parsed.error.issues[0]!;
    return { ok: false, problem: `${issue.path.join('.') || 'plan'}: ${issue.message}` };
  }
  const plan = parsed.data;
  const problem = inconsistency(plan);
  if (problem !== undefined) return { ok: false, problem };
  // Of the document as it came: the parsed one has our defaults in place of what was left out.
  const expected = planDigest(document as Record<string, unknown>);
  if (expected !== plan.digest) {
    return { ok: false, problem: `digest: must be ${expected}, given ${plan.digest}` };
  }
  return { ok: true, plan };
}

// A plan has seven levels; fields that we do not know may have more, but the digest walks all of them, and
// a tower of brackets must not end the process.
const MAX_DEPTH = 32;

function isDeeperThan(value: unknown, depth: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return depth === 0 || Object.values(value).some((child) => isDeeperThan(child, depth - 1));
}

function inconsistency(plan: Plan): string | undefined {
  const ids = plan.regions.map((region) => region.id);
  if (ids.some((id, i) => i > 0 && id <= ids[i - 1]!)) return 'regions: must be sorted by id and distinct';
  const sameRegions = [...plan.failoverOrder].sort().join() === ids.join();
  if (!sameRegions) return 'failoverOrder: must name every region once';
  const sets = new Set<string>();
  for (const [i, table] of plan.tables.entries()) {
    const problem = tableProblem(table, ids);
    if (problem !== undefined) return `tables.${i}.${problem}`;
    const set = `${[...table.regions].sort().join()} ${table.critical} ${thresholdsName(table.thresholds)}`;
    if (sets.has(set)) return `tables.${i}.regions: another table has the same regions`;
    sets.add(set);
  }
  return undefined;
}

/** What is wrong with a table, behind the name of its field. */
function tableProblem(table: PlanTable, ids: readonly string[]): string | undefined {
  const { shards } = table;
  if ((shards & (shards - 1)) !== 0) return `shards: must be a power of two, given ${shards}`;
  if (table.regions.some((id) => !ids.includes(id))) return 'regions: names a region that the plan has not';
  if (new Set(table.regions).size !== table.regions.length) return 'regions: names a region twice';
  const stranger = Object.keys(table.weights ?? {}).find((id) => !table.regions.includes(id));
  if (stranger !== undefined) return `weights: ${stranger} is not one of the table's regions`;
  const owners = decodeOwners(table.owners);
  if (owners.length !== shards) return `owners: must hold ${shards} owners, has ${owners.length}`;
  const members = new Set(table.regions.map((id) => ids.indexOf(id)));
  const stray = owners.findIndex((owner) => owner !== NO_OWNER && !members.has(owner));
  if (stray !== -1) return `owners: shard ${stray} has owner ${owners[stray]}, not one of the table's`;
  return (
    pairsProblem('shift.moving', table.shift?.moving ?? [], shards, members) ??
    pairsProblem('neutral', table.neutral, shards, members) ??
    lendsProblem(table, members) ??
    progressProblem(table.shift?.progress ?? [])
  );
}

/** Pairs of a shard and an owner: both exist, and no shard comes twice. */
function pairsProblem(
  name: string,
  pairs: readonly (readonly [number, number])[],
  shards: number,
  members: ReadonlySet<number>,
): string | undefined {
  const seen = new Set<number>();
  for (const [shard, owner] of pairs) {
    const isOwner = owner === NO_OWNER || members.has(owner);
    if (shard >= shards || !isOwner) return `${name}: [${shard},${owner}] is no [shard, owner] of this table`;
    if (seen.has(shard)) return `${name}: names shard ${shard} twice`;
    seen.add(shard);
  }
  return undefined;
}

/** A shard may be lent to several, but not to a region that may not have it. */
function lendsProblem({ lends, shards }: PlanTable, members: ReadonlySet<number>): string | undefined {
  const wrong = lends.findIndex(({ shard, to }) => shard >= shards || !members.has(to));
  return wrong === -1 ? undefined : `lends.${wrong}: is no shard and region of this table`;
}

function progressProblem(progress: readonly (readonly [string, number])[]): string | undefined {
  const times = progress.map(([at]) => Date.parse(at));
  const wrong = times.findIndex((at, i) => i > 0 && at <= times[i - 1]!);
  return wrong === -1 ? undefined : `shift.progress.${wrong}: must be later than the point before it`;
}

/** Owners on the wire: unsigned 16-bit numbers, little-endian, in base64. */
export function encodeOwners(owners: Uint16Array): string {
  const bytes = Buffer.alloc(owners.length * 2);
  owners.forEach((owner, shard) => {
    bytes.writeUInt16LE(owner, shard * 2);
  });
  return bytes.toString('base64');
}

export function decodeOwners(text: string): Uint16Array {
  const bytes = Buffer.from(text, 'base64');
  const owners = new Uint16Array(bytes.length >>> 1);
  for (let shard = 0; shard < owners.length; shard++) owners[shard] = bytes.readUInt16LE(shard * 2);
  return owners;
}

// Fields of the plan itself that say when and by whom, not what: two engines with the same inputs differ in
// these alone.
const STAMPS = ['digest', 'incarnation', 'generation', 'issuedAt', 'evaluatedAt', 'now'];

/** SHA-256, in hex, of the plan's RFC 8785 form without stamps and shift points; weights rounded to 1e-6. */
export function planDigest(plan: Readonly<Record<string, unknown>>): string {
  const rest = without(plan, STAMPS);
  const what = {
    ...rest,
    ...(isList(rest.regions) && { regions: rest.regions.map(withRoundWeights) }),
    ...(isList(rest.tables) && { tables: rest.tables.map(withoutProgress) }),
  };
  return createHash('sha256').update(canonicalJson(what)).digest('hex');
}

const isList = (value: unknown): value is unknown[] => Array.isArray(value);
const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function without(
  record: Readonly<Record<string, unknown>>,
  names: readonly string[],
): Record<string, unknown> {
  return Object.fromEntries(Object.entries(record).filter(([name]) => !names.includes(name)));
}

function withRoundWeights(region: unknown): unknown {
  if (!isRecord(region)) return region;
  const copy = { ...region };
  for (const name of ['weight', 'baseWeight']) {
    const value = copy[name];
    if (typeof value === 'number') copy[name] = Math.round(value * 1e6) / 1e6;
  }
  return copy;
}

function withoutProgress(table: unknown): unknown {
  if (!isRecord(table)) return table;
  const { shift, weights } = table;
  return {
    ...table,
    ...(isRecord(weights) && { weights: Object.fromEntries(Object.entries(weights).map(roundedMember)) }),
    ...(isRecord(shift) && { shift: without(shift, ['progress']) }),
  };
}

const roundedMember = ([name, value]: [string, unknown]): [string, unknown] => [
  name,
  typeof value === 'number' ? Math.round(value * 1e6) / 1e6 : value,
];

/** RFC 8785: members sorted by UTF-16 code units, numbers and strings as JSON.stringify writes them. */
function canonicalJson(value: unknown): string {
  if (isList(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (!isRecord(value)) return JSON.stringify(value);
  const members = Object.entries(value)
    .filter(([, member]) => member !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, member]) => `${JSON.stringify(name)}:${canonicalJson(member)}`);
  return `{${members.join(',')}}`;
}
