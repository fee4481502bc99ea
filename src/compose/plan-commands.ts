// What an operator may do with plans: take what is proposed, hold everything, let go, go back. And what the last
// planning round made of every weight, for whoever wants to know why.

import type { EngineAnswer, PlanCommand } from '../control/engine-port.ts';
import { unreachable } from '../core/assert.ts';
import { progressAt } from '../plan/shift.ts';
import type { ShardManager } from './shard-manager.ts';

/** @param body of the request; only a rollback looks into it: `{ generation? }`. */
export function obeyPlanCommand(shards: ShardManager, command: PlanCommand, body: unknown): EngineAnswer {
  if (shards.plan === undefined) {
    return { status: 409, body: 'no plan is made here: pae.mode is off' };
  }
  const from = standing(shards);
  switch (command) {
    case 'accept':
      if (shards.plan.mode !== 'advisory') {
        return {
          status: 409,
          body: `nothing waits to be accepted: pae.mode is ${shards.plan.mode}, not advisory`,
        };
      }
      shards.accept();
      break;
    case 'freeze':
    case 'unfreeze':
      shards.setFrozen(command === 'freeze');
      break;
    case 'rollback': {
      const generation = generationOf(body);
      if (typeof generation === 'string') return { status: 400, body: generation };
      if (!shards.rollBack(generation)) {
        const known = shards.past.map((past) => past.generation).join(', ') || 'none';
        return { status: 409, body: `generation: must be one of ${known}, given ${generation ?? 'none'}` };
      }
      break;
    }
    default:
      return unreachable(command);
  }
  const change = { target: String(from.generation), from, to: standing(shards) };
  return { status: 200, body: planningReport(shards), change };
}

/** What a command may change, in short. */
function standing({ plan, frozen }: ShardManager) {
  const weights = Object.fromEntries(plan?.regions.map(({ id, weight }) => [id, weight]) ?? []);
  return { generation: plan?.generation, frozen, weights };
}

function generationOf(body: unknown): number | undefined | string {
  const { generation } = (typeof body === 'object' && body !== null ? body : {}) as { generation?: unknown };
  if (generation === undefined) return undefined;
  if (Number.isSafeInteger(generation)) return generation as number;
  return `generation: must be a whole number, given ${JSON.stringify(generation)}`;
}

/** Mode, freeze, what each step made of each weight, shifts under way, and weights that can be gone back to. */
export function planningReport(shards: ShardManager): object {
  const { last, frozen, past, falseShifts } = shards;
  if (last === undefined) return { mode: 'off' };
  const { plan, weights, notes, state } = last;
  const now = Date.parse(plan.evaluatedAt);
  return {
    mode: plan.mode,
    generation: plan.generation,
    incarnation: plan.incarnation,
    frozen,
    notes,
    suppressedUntil: state.suppressedUntil > now ? new Date(state.suppressedUntil).toISOString() : undefined,
    falseShifts,
    weights,
    /** What would be in force if it were followed; differs from `desired` while it is not. */
    proposed: Object.fromEntries(weights.map(({ id, projected }) => [id, projected])),
    shifts: [...state.tables].flatMap(([table, { shift }]) =>
      shift === undefined
        ? []
        : [
            {
              table,
              id: shift.id,
              phase: shift.phase,
              shards: shift.moving.size,
              progress: progressAt(shift.progress, now),
            },
          ],
    ),
    past: past.map(({ generation, at, weights: earlier }) => ({
      generation,
      at: new Date(at).toISOString(),
      weights: Object.fromEntries(earlier),
    })),
  };
}
