// What is new, by comparing what the API would answer now with what it answered a moment ago.

import { planTag } from '../plan/plan-exchange.ts';
import type { ControlSource } from './source.ts';
import type { StreamFeed, StreamMessage } from './stream.ts';
import { traceDocument } from './trace-document.ts';

// A watcher sees samples, not the traffic.
const DECISIONS_PER_LOOK = 10;

export class ChangeFeed implements StreamFeed {
  readonly #source: ControlSource;
  readonly #told = new Map<string, string>();
  #since: number;

  constructor(source: ControlSource) {
    this.#source = source;
    this.#since = source.now();
  }

  async changes(): Promise<readonly StreamMessage[]> {
    const fresh = (await this.#state()).filter(({ event, data }) => {
      const said = JSON.stringify(data);
      if (this.#told.get(event) === said) return false;
      this.#told.set(event, said);
      return true;
    });
    return [...fresh, ...(await this.#decisions())];
  }

  whole(): Promise<readonly StreamMessage[]> {
    return this.#state();
  }

  async #state(): Promise<StreamMessage[]> {
    const plan = this.#source.plan();
    const risk = await this.#source.engine()?.ask({ kind: 'risk_scores', historyMs: 0, regionsOnly: true });
    const health = { event: 'health', data: { regions: this.#source.regions() } } as const;
    const risks = risk?.status === 200 ? [{ event: 'risk', data: risk.body as object } as const] : [];
    if (plan === undefined) return [health, ...risks];
    const { mode, regions, failoverOrder } = plan;
    const shifts = plan.tables.flatMap(({ id, shift }) =>
      shift === undefined
        ? []
        : [{ table: id, shift: shift.id, moving: shift.moving.length, progress: shift.progress }],
    );
    return [
      { event: 'plan', data: { tag: planTag(plan), mode, regions, failoverOrder } },
      health,
      { event: 'shift', data: { shifts } },
      ...risks,
    ];
  }

  async #decisions(): Promise<StreamMessage[]> {
    // By their ends: one that lasts longer than the time between two looks began before both.
    const now = this.#source.now();
    const keptWithin = [this.#since, now] as const;
    const traces = await this.#source.traces({ keptWithin, limit: DECISIONS_PER_LOOK });
    this.#since = now;
    return traces.map((record) => ({
      event: 'decision',
      data: traceDocument(record, this.#source.plannedRegions(record.plan)),
    }));
  }
}
