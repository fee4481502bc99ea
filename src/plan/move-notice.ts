// Which key ranges are about to change hands, for owners that carry state (sharding.notify): the difference of two
// plans in the words of whoever keeps a cache or a lease by key. Shards are equal slices of the 64-bit key hash,
// so neighbours are one range. Pure.

import { NO_OWNER } from '../routing/shard-table.ts';
import { decodeOwners, type Plan, type PlanTable } from './plan.ts';

export interface RangeMove {
  /** Region ids; null = nobody. */
  readonly from: string | null;
  readonly to: string | null;
  /** First and last hash of each range, 16 hexadecimal digits, both included. */
  readonly ranges: readonly (readonly [first: string, last: string])[];
  readonly shards: number;
}

export interface MoveNotice {
  readonly table: string;
  /** Of the shift; null where everything moves at once. */
  readonly shift: string | null;
  /** RFC 3339: the first key moves, the last one has moved. */
  readonly startsAt: string;
  readonly endsAt: string;
  readonly moves: readonly RangeMove[];
}

/** What `after` moves that `before` did not. Empty where a plan only holds or resumes what was told already. */
export function moveNotices(before: Plan | undefined, after: Plan): MoveNotice[] {
  if (before === undefined) return [];
  return after.tables.flatMap((table) => {
    const former = before.tables.find(({ id, shards }) => id === table.id && shards === table.shards);
    return former === undefined ? [] : noticesOf(former, table, { before, after });
  });
}

interface Plans {
  readonly before: Plan;
  readonly after: Plan;
}

function noticesOf(former: PlanTable, table: PlanTable, plans: Plans): MoveNotice[] {
  const notices: MoveNotice[] = [];
  const owners = decodeOwners(table.owners);
  const formerOwners = decodeOwners(former.owners);
  const onRamp = new Set(table.shift?.moving.map(([shard]) => shard));
  const { shift } = table;
  const isTold = shift !== undefined && former.shift?.id === shift.id && !turnsBack(former, table);
  if (shift !== undefined && !isTold) {
    const isBack = shift.progress.at(-1)![1] === 0;
    const moves = shift.moving.map(([shard, from]): Moving => {
      const ends = [nameOf(plans.after, from), nameOf(plans.after, owners[shard]!)] as const;
      return isBack ? [shard, ends[1], ends[0]] : [shard, ...ends];
    });
    const { progress } = shift;
    notices.push(notice(table, shift.id, [progress[0]![0], progress.at(-1)![0]], moves));
  }
  const atOnce: Moving[] = [];
  owners.forEach((owner, shard) => {
    const from = nameOf(plans.before, formerOwners[shard]!);
    const to = nameOf(plans.after, owner);
    const wasComing = former.shift?.moving.some(([moving]) => moving === shard) ?? false;
    // The end of a revert gives the table its old owners back; their keys have come home before.
    if (from !== to && !onRamp.has(shard) && !(wasComing && turnedBack(former)))
      atOnce.push([shard, from, to]);
  });
  if (atOnce.length > 0)
    notices.push(notice(table, null, [plans.after.issuedAt, plans.after.issuedAt], atOnce));
  return notices;
}

type Moving = readonly [shard: number, from: string | null, to: string | null];

const turnedBack = ({ shift }: PlanTable): boolean => shift !== undefined && shift.progress.at(-1)![1] === 0;
const turnsBack = (former: PlanTable, table: PlanTable): boolean => turnedBack(table) && !turnedBack(former);

function nameOf(plan: Plan, owner: number): string | null {
  return owner === NO_OWNER ? null : (plan.regions[owner]?.id ?? null);
}

function notice(
  { id, shards }: PlanTable,
  shift: string | null,
  [startsAt, endsAt]: readonly [string, string],
  moving: readonly Moving[],
): MoveNotice {
  const byPair = Map.groupBy(moving, ([, from, to]) => `${from ?? ''}>${to ?? ''}`);
  const moves = [...byPair.values()].map((group): RangeMove => {
    const [, from, to] = group[0]!;
    const sorted = group.map(([shard]) => shard).sort((a, b) => a - b);
    return { from, to, shards: sorted.length, ranges: rangesOf(sorted, shards) };
  });
  return { table: id, shift, startsAt, endsAt, moves };
}

/** @param sorted shards, ascending. */
function rangesOf(sorted: readonly number[], shards: number): (readonly [string, string])[] {
  const width = 2n ** 64n / BigInt(shards);
  const hex = (hash: bigint): string => hash.toString(16).padStart(16, '0');
  const ranges: (readonly [string, string])[] = [];
  for (let i = 0; i < sorted.length; ) {
    let end = i;
    while (sorted[end + 1] === sorted[end]! + 1) end += 1;
    ranges.push([hex(BigInt(sorted[i]!) * width), hex(BigInt(sorted[end]! + 1) * width - 1n)]);
    i = end + 1;
  }
  return ranges;
}
