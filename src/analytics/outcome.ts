// What truly happened: failures and overloads of an entity as the rows show them. These are the labels that
// models learn from and that predictions are scored against. A failure that blinks for one row and comes back
// in the next is one failure. Pure state machine, one per entity.

import { FAILING_ERROR_RATE } from './failure/metric-kinds.ts';
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
  /** Last row with a failing share of errors. */
  readonly erredAt: number;
  /** Of the last rows that had too few requests to say anything alone. */
  readonly few: Few;
}

interface Few {
  readonly rows: number;
  readonly requests: number;
  readonly errors: number;
}

const NONE: Few = { rows: 0, requests: 0, errors: 0 };

export const NO_OUTCOME: OutcomeState = {
  since: { failure: undefined, overload: undefined },
  seen: { failure: Number.NEGATIVE_INFINITY, overload: Number.NEGATIVE_INFINITY },
  erredAt: Number.NEGATIVE_INFINITY,
  few: NONE,
};

// From this share of its capacity on the errors of a region are those of too much load: nobody answers in time there, and
// sending its requests to others, who are full as well, would fell these too. Proxies pass over a region at 95 %, so that
// a row of one that is full stays around that.
const CROWDED = 0.9;
// Half of a region's servers gone is a failure for those it serves, as a tenth of its answers errors is.
const LEAST_HEALTHY = 0.5;
// A share of errors says little of few requests: one of three is no failure.
const LEAST_ERRORS = 3;
// Rows of calm that end a failure.
const CALM_ROWS = 3;
// Of a region that was emptied because of its errors nobody sees whether they are over: rows of fewer requests than these
// are no calm, until so many of them have passed that requests have to find out.
const TELLING_REQUESTS = 10;
const SILENT_ROWS = 10;

export interface OutcomeFacts {
  /** Requests/s; undefined = not known. */
  readonly capacity: number | undefined;
  /** The same where somebody says so: errors are not excused by a capacity that was learnt from errors. */
  readonly statedCapacity: number | undefined;
  /** An operator says that it is failing now. */
  readonly isConfirmed: boolean;
  readonly stepMs: number;
}

export function observeOutcome(
  state: OutcomeState,
  row: Row,
  { capacity, statedCapacity, isConfirmed, stepMs }: OutcomeFacts,
): { readonly state: OutcomeState; readonly began: readonly Outcome[] } {
  const few = nextFew(state.few, row.values, stepMs);
  const isTold = errs(row.values.get('error_rate') ?? 0, requestsOf(row.values, stepMs));
  const isErring =
    (isTold || errs(few.errors / few.requests, few.requests)) && !isAt(CROWDED, row.values, statedCapacity);
  const erredAt = isErring ? row.at : state.erredAt;
  const isSilent =
    state.since.failure !== undefined &&
    requestsOf(row.values, stepMs) < TELLING_REQUESTS &&
    row.at - erredAt < SILENT_ROWS * stepMs;
  const now: Record<OutcomeKind, boolean> = {
    failure: isConfirmed || isErring || isSilent || isDown(row.values),
    overload: isAt(1, row.values, capacity),
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
  return { state: { since, seen, erredAt, few }, began };
}

function isDown(values: ReadonlyMap<string, number>): boolean {
  if (values.get('up') !== undefined && values.get('up')! < LEAST_HEALTHY) return true;
  return (values.get('healthy_share') ?? 1) < LEAST_HEALTHY;
}

function errs(share: number, requests: number): boolean {
  return share >= FAILING_ERROR_RATE && share * requests >= LEAST_ERRORS;
}

/** One of three is no failure; but of a region with three requests in each row, one of three again and again is one. */
function nextFew(before: Few, values: ReadonlyMap<string, number>, stepMs: number): Few {
  const requests = requestsOf(values, stepMs);
  if (requests >= TELLING_REQUESTS) return NONE;
  const isOver = before.requests >= TELLING_REQUESTS || before.rows >= SILENT_ROWS;
  const { rows, requests: earlier, errors } = isOver ? NONE : before;
  const now = (values.get('error_rate') ?? 0) * requests;
  return { rows: rows + 1, requests: earlier + requests, errors: errors + now };
}

/** In a row; without end where no rate is told: whoever tells shares alone is believed. */
function requestsOf(values: ReadonlyMap<string, number>, stepMs: number): number {
  const rps = values.get('rps');
  return rps === undefined ? Number.POSITIVE_INFINITY : (rps * stepMs) / 1000;
}

/** More than this share of the capacity comes. */
function isAt(share: number, values: ReadonlyMap<string, number>, capacity: number | undefined): boolean {
  const rps = values.get('rps');
  return rps !== undefined && capacity !== undefined && rps > share * capacity;
}
