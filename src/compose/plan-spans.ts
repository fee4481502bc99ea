// Planning rounds -> spans. A new plan is a trace, named by the plan itself: an engine tells of its evaluation, the
// round and the shifts, and every proxy that takes the plan tells of that in the same trace, without a word between
// them. Whether a plan is traced is decided by the same name before any span is made, alike everywhere.

import { createHash } from 'node:crypto';
import type { Config } from '../config/schema.ts';
import type { Plan } from '../plan/plan.ts';
import { planTag } from '../plan/plan-exchange.ts';
import type { MoveReason } from '../plan/planner-types.ts';
import type { FinishedSpan, SpanExportOptions } from '../telemetry/span-export.ts';
import { SpanOutlet } from '../telemetry/span-outlet.ts';

/** Wall milliseconds, fractions count. */
export interface Interval {
  readonly startMs: number;
  readonly endMs: number;
}

export interface PlanTrace {
  readonly traceId: string;
  /** Under which everything that happens to the plan belongs. */
  readonly rootId: string;
  /** 0..1; traced are those below the share that is configured. */
  readonly place: number;
}

export interface RoundTold {
  readonly plan: Plan;
  readonly isNew: boolean;
  readonly moves: Readonly<Partial<Record<MoveReason, number>>>;
  readonly notes: readonly string[];
  readonly round: Interval;
  /** Handing the plan to whoever publishes it. */
  readonly publish: Interval;
}

type PlanName = Pick<Plan, 'incarnation' | 'generation'>;

/** Trace of a plan, the same for all who know its name. */
export function planTrace(plan: PlanName): PlanTrace {
  const hash = createHash('sha256')
    .update(`plan ${planTag(plan)}`)
    .digest();
  return {
    traceId: hash.toString('hex', 0, 16),
    rootId: hash.toString('hex', 16, 24),
    place: hash.readUInt32BE(24) / 2 ** 32,
  };
}

/** Id of a span of a plan's trace: distinct by what it tells of and who tells it. */
function spanIdOf({ traceId }: PlanTrace, what: string): string {
  return createHash('sha256').update(`${traceId} ${what}`).digest('hex').slice(0, 16);
}

export function planAttributes(plan: Plan): FinishedSpan['attributes'] {
  return {
    'foreshard.plan.incarnation': plan.incarnation,
    'foreshard.plan.generation': plan.generation,
    'foreshard.plan.mode': plan.mode,
  };
}

export function stepSpan(
  trace: PlanTrace,
  name: string,
  interval: Interval,
  more: { readonly by?: string; readonly attributes?: FinishedSpan['attributes'] } = {},
): FinishedSpan {
  return {
    name,
    spanId: spanIdOf(trace, `${name} ${more.by ?? ''}`),
    kind: 'internal',
    ...interval,
    isError: false,
    attributes: more.attributes ?? {},
    children: [],
  };
}

interface OpenShift {
  readonly id: string;
  readonly trace: PlanTrace;
  readonly startMs: number;
  readonly moving: number;
  /** Where its progress ends: 1, or 0 where it was taken back. */
  readonly end: number;
}

/** The engine's side. */
export class PlanSpans {
  readonly #outlet: SpanOutlet;
  #sample = 0;
  #evaluated: Interval | undefined;
  /** By table. A ramp that was under way at the start has no beginning that anybody saw. */
  readonly #shifts = new Map<string, OpenShift>();

  constructor(onExported: SpanExportOptions['onExported']) {
    this.#outlet = new SpanOutlet({ instance: 'engine', onExported });
  }

  configure({ url, planSample }: Config['otlp']): void {
    this.#sample = planSample;
    this.#outlet.aim(url);
  }

  /** What the next round goes by. */
  evaluated(interval: Interval): void {
    this.#evaluated = interval;
  }

  told(round: RoundTold): void {
    const evaluated = this.#evaluated;
    this.#evaluated = undefined;
    if (!this.#outlet.isOpen) return void this.#shifts.clear();
    if (!round.isNew) return;
    const trace = planTrace(round.plan);
    if (trace.place < this.#sample) this.#add(trace, roundSpan(trace, round, evaluated));
    this.#followShifts(round, trace);
  }

  close(): Promise<void> {
    return this.#outlet.close();
  }

  #add(trace: PlanTrace, span: FinishedSpan, parentId?: string): void {
    this.#outlet.add(trace.traceId, parentId, span);
  }

  /** A shift is a span of the plan that began it, made when a later plan has it no more. */
  #followShifts({ plan, round }: RoundTold, trace: PlanTrace): void {
    for (const [table, open] of this.#shifts) {
      const shift = plan.tables.find(({ id }) => id === table)?.shift;
      if (shift?.id === open.id) continue;
      this.#shifts.delete(table);
      if (open.trace.place >= this.#sample) continue;
      const attributes = {
        'foreshard.table': table,
        'foreshard.shift.id': open.id,
        'foreshard.shift.shards': open.moving,
        'foreshard.shift.outcome': outcomeOf(open.end, shift !== undefined),
        'foreshard.plan.ended_by': plan.generation,
      };
      const interval = { startMs: open.startMs, endMs: Math.max(open.startMs, round.endMs) };
      this.#add(
        open.trace,
        stepSpan(open.trace, 'shift', interval, { by: table, attributes }),
        open.trace.rootId,
      );
    }
    for (const { id, shift } of plan.tables) {
      if (shift === undefined) continue;
      const open = this.#shifts.get(id) ?? {
        id: shift.id,
        trace,
        startMs: Date.parse(shift.progress[0]![0]),
        moving: shift.moving.length,
      };
      this.#shifts.set(id, { ...open, end: shift.progress.at(-1)![1] });
    }
  }
}

function outcomeOf(end: number, isReplaced: boolean): 'done' | 'reverted' | 'replaced' {
  if (isReplaced) return 'replaced';
  return end === 1 ? 'done' : 'reverted';
}

function roundSpan(trace: PlanTrace, told: RoundTold, evaluated: Interval | undefined): FinishedSpan {
  const { plan, round, publish, moves, notes } = told;
  const planned = stepSpan(trace, 'plan', round, {
    attributes: {
      ...Object.fromEntries(Object.entries(moves).map(([why, shards]) => [`foreshard.moved.${why}`, shards])),
      ...(notes.length > 0 && { 'foreshard.notes': [...notes] }),
    },
  });
  return {
    name: 'new plan',
    spanId: trace.rootId,
    kind: 'internal',
    startMs: evaluated?.startMs ?? round.startMs,
    endMs: publish.endMs,
    isError: false,
    attributes: planAttributes(plan),
    children: [
      ...(evaluated === undefined ? [] : [stepSpan(trace, 'evaluate', evaluated)]),
      planned,
      stepSpan(trace, 'publish', publish),
    ],
  };
}
