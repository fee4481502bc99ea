// Where plans come in: takes what an engine offers whole or not at all, knows which of two is newer, and how long
// ago the engine was last heard of. A plan that is not renewed for its ttl is stale; what that means for a
// request is routing/ownership.ts. One per process, on the main thread.

import { type Plan, validatePlan } from '../plan/plan.ts';

export type IntakeVerdict =
  | { readonly kind: 'taken'; readonly plan: Plan }
  /** The plan in force, or an older one. */
  | { readonly kind: 'known' }
  | { readonly kind: 'refused'; readonly reason: 'invalid' | 'misfit'; readonly problem: string };

export class PlanIntake {
  #plan: Plan | undefined;
  /** Monotonic milliseconds of the last evaluation that we know of. */
  #evaluatedAt: number;

  /** @param now monotonic milliseconds: a process that just started waits a whole ttl for its engine. */
  constructor(now: number) {
    this.#evaluatedAt = now;
  }

  /** The last plan that was taken; undefined before the first. */
  get plan(): Plan | undefined {
    return this.#plan;
  }

  /**
   * @param misfit what keeps this process from serving by a plan; undefined if nothing does.
   * @param ageMs since the engine evaluated; @param now monotonic milliseconds.
   */
  offer(
    document: unknown,
    { misfit, ageMs, now }: { misfit(plan: Plan): string | undefined; ageMs: number; now: number },
  ): IntakeVerdict {
    const verdict = validatePlan(document);
    if (!verdict.ok) return { kind: 'refused', reason: 'invalid', problem: verdict.problem };
    const { plan } = verdict;
    if (this.#plan !== undefined && !isNewer(plan, this.#plan)) {
      if (isSame(plan, this.#plan)) this.renew(ageMs, now);
      return { kind: 'known' };
    }
    const problem = misfit(plan);
    if (problem !== undefined) return { kind: 'refused', reason: 'misfit', problem };
    this.#plan = plan;
    this.renew(ageMs, now);
    return { kind: 'taken', plan };
  }

  /** The engine says that nothing has changed. */
  renew(ageMs: number, now: number): void {
    this.#evaluatedAt = Math.max(this.#evaluatedAt, now - Math.max(0, ageMs));
  }

  /** Another engine is asked from now on: its plans are not older than those of the one before. */
  forget(now: number): void {
    this.#plan = undefined;
    this.#evaluatedAt = now;
  }

  /** Milliseconds since the engine last evaluated. */
  ageMs(now: number): number {
    return now - this.#evaluatedAt;
  }

  /** Since when the plan has been stale, monotonic milliseconds; Infinity while it is fresh. */
  staleSince(ttlMs: number, now: number): number {
    const end = this.#evaluatedAt + ttlMs;
    return now >= end ? end : Number.POSITIVE_INFINITY;
  }
}

/** Incarnations are ULIDs: the greater one began later. */
function isNewer(plan: Plan, than: Plan): boolean {
  if (plan.incarnation !== than.incarnation) return plan.incarnation > than.incarnation;
  return plan.generation > than.generation;
}

const isSame = (one: Plan, other: Plan): boolean =>
  one.incarnation === other.incarnation && one.generation === other.generation;
