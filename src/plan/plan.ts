// The plan: what the engine publishes and every proxy applies (contract, "Plan"). Here are its form, its
// validation and its digest. A plan is taken whole or not at all; what is wrong with it is said with the
// place of the first fault.

import { createHash } from 'node:crypto';
import { z } from 'zod';
import { NO_OWNER } from '../routing/shard-table.ts';

const id = z.string().min(1).max(63);
const instant = z.iso.datetime();
const unitShare = z.number().min(0).max(1);

const planRegion = z.looseObject({
  id,
  baseWeight: z.number().min(0).max(1000),
  weight: z.number().min(0).max(1000),
});

const planTable = z.looseObject({
  id: z.string().min(1).max(128),
  regions: z.array(id).min(1).max(512),
  critical: z.boolean(),
  shards: z.int().min(64).max(65_536),
  encoding: z.literal('u16le-base64'),
  owners: z.string().max(200_000),
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
  tables: z.array(planTable).min(1).max(32),
  digest: z.string().regex(/^[0-9a-f]{64}$/),
});

export type Plan = z.output<typeof planSchema>;
export type PlanTable = Plan['tables'][number];

export type PlanVerdict =
  | { readonly ok: true; readonly plan: Plan }
  | { readonly ok: false; readonly problem: string };

/** Checks form, references and digest of a plan that somebody else made. Never throws. */
export function validatePlan(document: unknown): PlanVerdict {
  const parsed = planSchema.safeParse(document);
  if (!parsed.success) {
    const issue = parsed.error.issues[0]!;
    return { ok: false, problem: `${issue.path.join('.') || 'plan'}: ${issue.message}` };
  }
  const plan = parsed.data;
  const problem = inconsistency(plan);
  if (problem !== undefined) return { ok: false, problem };
  const expected = planDigest(plan);
  if (expected !== plan.digest) {
    return { ok: false, problem: `digest: must be ${expected}, given ${plan.digest}` };
  }
  return { ok: true, plan };
}

function inconsistency(plan: Plan): string | undefined {
  const ids = plan.regions.map((region) => region.id);
  if (ids.some((id, i) => i > 0 && id <= ids[i - 1]!)) return 'regions: must be sorted by id and distinct';
  const sameRegions = [...plan.failoverOrder].sort().join() === ids.join();
  if (!sameRegions) return 'failoverOrder: must name every region once';
  for (const [i, table] of plan.tables.entries()) {
    const at = `tables.${i}`;
    if ((table.shards & (table.shards - 1)) !== 0)
      return `${at}.shards: must be a power of two, given ${table.shards}`;
    if (table.regions.some((id) => !ids.includes(id)))
      return `${at}.regions: names a region that the plan has not`;
    const owners = decodeOwners(table.owners);
    if (owners.length !== table.shards)
      return `${at}.owners: must hold ${table.shards} owners, has ${owners.length}`;
    const members = new Set(table.regions.map((id) => ids.indexOf(id)));
    const stray = owners.findIndex((owner) => owner !== NO_OWNER && !members.has(owner));
    if (stray !== -1)
      return `${at}.owners: shard ${stray} has owner ${owners[stray]}, not one of the table's`;
    const pairs = [...(table.shift?.moving ?? []), ...table.neutral];
    const wrong = pairs.find(
      ([shard, owner]) => shard >= table.shards || (owner !== NO_OWNER && !members.has(owner)),
    );
    if (wrong !== undefined) return `${at}: [${wrong}] is no [shard, owner] of this table`;
  }
  return undefined;
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

// Fields that say when and by whom, not what: two engines with the same inputs differ in these alone.
const NOT_DIGESTED = new Set([
  'digest',
  'incarnation',
  'generation',
  'issuedAt',
  'evaluatedAt',
  'now',
  'progress',
]);
const WEIGHTS = new Set(['weight', 'baseWeight']);

/** SHA-256, in hex, of the plan's RFC 8785 form without the fields above; weights rounded to 1e-6. */
export function planDigest(plan: Readonly<Record<string, unknown>>): string {
  return createHash('sha256').update(canonicalJson(plan)).digest('hex');
}

/** RFC 8785: members sorted by UTF-16 code units, numbers and strings as JSON.stringify writes them. */
function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (value === null || typeof value !== 'object') return JSON.stringify(value);
  const members = Object.entries(value)
    .filter(([name, member]) => member !== undefined && !NOT_DIGESTED.has(name))
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, member]) => {
      const rounded =
        WEIGHTS.has(name) && typeof member === 'number' ? Math.round(member * 1e6) / 1e6 : member;
      return `${JSON.stringify(name)}:${canonicalJson(rounded)}`;
    });
  return `{${members.join(',')}}`;
}
