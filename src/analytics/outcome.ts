// What truly happened: failures and overloads of an entity as the rows show them. These are the labels that
// models learn from and that predictions are scored against. A failure that blinks for one row and comes back
// in the next is one failure. Pure state machine, one per entity.

import type { Row } from './series-store.ts';

export type OutcomeKind = 'failure' | 'overload';

export interface Outcome {
  readonly kind: OutcomeKind;
  /** Wall milliseconds of the row that showed it first. */
  readonly began: number;
}

export interface OutcomeState {
  /** Since when; undefined = not so. */
  readonly since: Readonly<Record<OutcomeKind, number | undefined>>;
  /** Last row that showed it. */
  readonly seen: Readonly<Record<OutcomeKind, number>>;
}

export const NO_OUTCOME: OutcomeState = {
  since: { failure: undefined, overload: undefined },
  seen: { failure: Number.NEGATIVE_INFINITY, overload: Number.NEGATIVE_INFINITY },
};

// Half of a region's servers gone, or a quarter of its answers errors, is a failure for those it serves.
const LEAST_HEALTHY = 0.5;
const MOST_ERRORS = 0.25;
// A share of errors says little below this many requests a second: one of three is no failure.
const LEAST_RPS = 1;
// Rows of calm that end a failure.
const CALM_ROWS = 3;

export interface OutcomeFacts {
  /** Requests/s; undefined = not known. */
  readonly capacity: number | undefined;
  /** An operator says that it is failing now. */
  readonly isConfirmed: boolean;
  readonly stepMs: number;
}

export function observeOutcome(
  state: OutcomeState,
  row: Row,
  { capacity, isConfirmed, stepMs }: OutcomeFacts,
): { readonly state: OutcomeState; readonly began: readonly Outcome[] } {
  const now: Record<OutcomeKind, boolean> = {
    failure: isConfirmed || isFailing(row.values),
    overload: isOverloaded(row.values, capacity),
  };
  const since = { ...state.since };
  const seen = { ...state.seen };
  const began: Outcome[] = [];
  for (const kind of ['failure', 'overload'] as const) {
    if (now[kind]) {
      if (since[kind] === undefined) {
        since[kind] = row.at;
        began.push({ kind, began: row.at });
      }
      seen[kind] = row.at;
      // Seen in the time to come: the clock was set back, and nobody waits until that time is here again.
    } else if (since[kind] !== undefined && Math.abs(row.at - seen[kind]) >= CALM_ROWS * stepMs)
      since[kind] = undefined;
  }
  return { state: { since, seen }, began };
}

function isFailing(values: ReadonlyMap<string, number>): boolean {
  if (values.get('up') !== undefined && values.get('up')! < LEAST_HEALTHY) return true;
  if ((values.get('healthy_share') ?? 1) < LEAST_HEALTHY) return true;
  return (values.get('error_rate') ?? 0) >= MOST_ERRORS && (values.get('rps') ?? LEAST_RPS) >= LEAST_RPS;
}

function isOverloaded(values: ReadonlyMap<string, number>, capacity: number | undefined): boolean {
  const rps = values.get('rps');
  return rps !== undefined && capacity !== undefined && rps > capacity;
}
