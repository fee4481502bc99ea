// What the last plans said of their regions, for traces of requests that were decided on them.

import type { PlannedRegion } from '../control/trace-document.ts';
import type { Plan } from '../plan/plan.ts';

// A plan every 30 s: half an hour. Without their tables, 50 regions are some 10 KiB a plan.
const MAX_PLANS = 64;

export class RecentPlans {
  readonly #plans: { readonly plan: PlanName; readonly regions: readonly PlannedRegion[] }[] = [];

  note({ incarnation, generation, regions }: Plan): void {
    this.#plans.push({ plan: { incarnation, generation }, regions });
    if (this.#plans.length > MAX_PLANS) this.#plans.shift();
  }

  regionsOf({ incarnation, generation }: PlanName): readonly PlannedRegion[] | undefined {
    return this.#plans.findLast(
      ({ plan }) => plan.incarnation === incarnation && plan.generation === generation,
    )?.regions;
  }
}

type PlanName = Pick<Plan, 'incarnation' | 'generation'>;
