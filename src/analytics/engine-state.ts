// What of the engine outlives a restart besides the rows themselves. Of each entity: its scores with predictions that
// still wait for their outcome, its learnt capacity and its models (trees, calibrations, schedules, forecasts with
// the errors of every method), as they stood after one row. A later process lives through the rows before that one
// again, takes the state, and goes on with the rows after it: as if it had never stopped. Anomaly detectors are not
// kept: what they know is the rows themselves.

import { ForecastScore, ProbabilityScore } from './accuracy.ts';
import { CapacityEstimate } from './capacity-estimate.ts';
import { Drift, PROBABILITIES } from './drift.ts';
import type { EntityWatch } from './entity-watch.ts';
import type { EventCalendar } from './ingest/event-calendar.ts';
import type { ExternalEvent } from './ingest/external-event.ts';
import { NO_OUTCOME, type OutcomeKind, type OutcomeState } from './outcome.ts';
import type { Row } from './series-store.ts';
import { packNumbers, StateReader, UnreadableState } from './state-reader.ts';

/** Steps and horizon that models were made for; with others their states mean nothing. */
export interface StateSettings {
  readonly stepMs: number;
  readonly horizonMs: number;
}

const VERSION = 2;
const KINDS: readonly OutcomeKind[] = ['failure', 'overload'];

/** The state of one entity as text; undefined before its first row. */
export function saveWatch(watch: EntityWatch, { stepMs, horizonMs }: StateSettings): string | undefined {
  const { row, scores, capacity, drift, outcome, models } = watch;
  if (row === undefined) return undefined;
  const { since, seen } = outcome;
  return JSON.stringify({
    version: VERSION,
    settings: packNumbers([stepMs, horizonMs, row.at]),
    failure: scores.failure.state(),
    overload: scores.overload.state(),
    demand: scores.demand.state(),
    capacity: capacity.state(),
    drift: drift.state(),
    drifts: { failure: watch.drifts.failure.state(), overload: watch.drifts.overload.state() },
    outcome: packNumbers(KINDS.flatMap((kind) => [since[kind] ?? Number.NaN, seen[kind]])),
    freshness: packNumbers([watch.freshness]),
    acted: watch.acted ? 'yes' : 'no',
    excused: watch.isExcused ? 'yes' : 'no',
    models: {
      demand: models.demand?.state(),
      failure: models.failure?.state(),
      overload: models.overload?.state(),
    },
  });
}

/** A state that was read, and waits for the rows before it to be lived through. */
export interface SavedWatch {
  /** Wall milliseconds of the last row that is in it. */
  readonly at: number;
  readonly settings: StateSettings;
  readonly state: StateReader;
}

/** The form of the whole is looked at; its parts are when they are taken. A sentence when it is of no use. */
export function readSaved(text: string): SavedWatch | string {
  try {
    const state = new StateReader(JSON.parse(text));
    if (state.raw('version') !== VERSION) {
      return `its version is ${JSON.stringify(state.raw('version'))}, ours ${VERSION}`;
    }
    const [stepMs = 0, horizonMs = 0, at = 0] = state.numbers('settings', 3);
    return { at, settings: { stepMs, horizonMs }, state };
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof UnreadableState) return error.message;
    throw error;
  }
}

/** Gives the entity what it had; each part that cannot be read stays as it is. @returns why, for those. */
export function restoreWatch(watch: EntityWatch, { state }: SavedWatch): string[] {
  const problems: string[] = [];
  const part = (take: () => void): void => {
    try {
      take();
    } catch (error) {
      if (!(error instanceof UnreadableState)) throw error;
      problems.push(error.message);
    }
  };
  part(() => {
    watch.scores = {
      failure: ProbabilityScore.restore(state.at('failure')),
      overload: ProbabilityScore.restore(state.at('overload')),
      demand: ForecastScore.restore(state.at('demand')),
    };
  });
  part(() => {
    watch.capacity = CapacityEstimate.restore(state.at('capacity'));
  });
  part(() => {
    watch.drift = Drift.restore(state.at('drift'));
  });
  part(() => {
    const drifts = state.at('drifts');
    watch.drifts = {
      failure: Drift.restore(drifts.at('failure'), PROBABILITIES),
      overload: Drift.restore(drifts.at('overload'), PROBABILITIES),
    };
  });
  part(() => {
    watch.outcome = outcomeOf(state.numbers('outcome', 2 * KINDS.length));
  });
  part(() => {
    watch.freshness = state.numbers('freshness', 1)[0]!;
    watch.acted = state.oneOf('acted', ['yes', 'no']) === 'yes';
    watch.isExcused = state.oneOf('excused', ['yes', 'no']) === 'yes';
    watch.models.failure?.setActedUpon(watch.acted);
  });
  for (const name of ['demand', 'failure', 'overload'] as const) {
    part(() => {
      const models = state.at('models');
      if (models.has(name)) watch.models[name]?.restore(models.at(name));
    });
  }
  return problems;
}

function outcomeOf(numbers: Float64Array): OutcomeState {
  const of = (kind: OutcomeKind, column: number): number => numbers[2 * KINDS.indexOf(kind) + column]!;
  const since = (kind: OutcomeKind): number | undefined =>
    Number.isNaN(of(kind, 0)) ? undefined : of(kind, 0);
  return {
    since: { failure: since('failure'), overload: since('overload') },
    seen: { failure: of('failure', 1), overload: of('overload', 1) },
    // A restart is a look with fresh eyes: the next rows show whether it errs still.
    erredAt: Number.NEGATIVE_INFINITY,
    few: NO_OUTCOME.few,
  };
}

/** Hands each entity its state at the moment that it is of, while kept rows are lived through again. */
export class Resumption {
  readonly #saved: Map<string, SavedWatch>;
  readonly #onProblems: (key: string, problems: readonly string[]) => void;
  /** Entities that have theirs. */
  resumed = 0;

  /** @param saved by the key of the entity. */
  constructor(
    saved: ReadonlyMap<string, SavedWatch>,
    onProblems: (key: string, problems: readonly string[]) => void,
  ) {
    this.#saved = new Map(saved);
    this.#onProblems = onProblems;
  }

  /** The row is next: an entity whose state ends before it takes it now. */
  before(row: Row, watchOf: () => EntityWatch): void {
    const saved = this.#saved.get(row.entity.key);
    if (saved !== undefined && saved.at < row.at) this.#give(row.entity.key, saved, watchOf());
  }

  /** No row is left: what is still waiting is given, unless it is older than `oldest` (wall milliseconds). */
  finish(oldest: number, watchOf: (key: string) => EntityWatch | undefined): void {
    for (const [key, saved] of this.#saved) {
      const watch = saved.at < oldest ? undefined : watchOf(key);
      if (watch !== undefined) this.#give(key, saved, watch);
    }
    this.#saved.clear();
  }

  #give(key: string, saved: SavedWatch, watch: EntityWatch): void {
    this.#saved.delete(key);
    const problems = restoreWatch(watch, saved);
    if (problems.length > 0) this.#onProblems(key, problems);
    else this.resumed += 1;
  }
}

export function saveCalendar(calendar: EventCalendar): string {
  return JSON.stringify({
    posted: calendar.posted(),
    learnt: calendar.learnt(),
    learntFrom: calendar.learntFrom(),
  });
}

export function restoreCalendar(calendar: EventCalendar, text: string): void {
  const saved = parse(text) as
    | { posted?: ExternalEvent[]; learnt?: [string, number][]; learntFrom?: string[] }
    | undefined;
  if (Array.isArray(saved?.posted) && Array.isArray(saved.learnt)) {
    const from = Array.isArray(saved.learntFrom) ? saved.learntFrom : [];
    calendar.restore(saved.posted, saved.learnt, from);
  }
}

function parse(text: string): object | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}
