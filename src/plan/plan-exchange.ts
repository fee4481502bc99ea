// How a plan goes from whoever makes it to whoever serves by it (contract, "Plan"): the words that both ends of a
// long poll must have in common.

import type { Plan } from './plan.ts';

/** What a plan is asked for by: in `?after=` and, quoted, as its entity tag. */
export const planTag = ({ incarnation, generation }: Pick<Plan, 'incarnation' | 'generation'>): string =>
  `${incarnation}.${generation}`;

/** Response field that says how old the evaluation behind an answer is, in seconds: a ttl counts from there. */
export const PLAN_AGE_FIELD = 'foreshard-plan-age';

/**
 * A poll waits at most so many times paeUpdateInterval: one that nothing answered comes back before its proxy would
 * count the plan as old.
 */
export const INTERVALS_PER_POLL = 4;
