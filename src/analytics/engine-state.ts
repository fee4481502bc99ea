// What of the engine must outlive a restart besides the rows themselves: scores with predictions that still wait
// for their outcome, learnt capacities, events and sizes of campaigns. Models are not written: they live through
// the kept rows again, which gives the same models whatever their version.

import { ProbabilityScore } from './accuracy.ts';
import { CapacityEstimate } from './capacity-estimate.ts';
import { type EntityWatch, newWatch } from './entity-watch.ts';
import type { EventCalendar } from './ingest/event-calendar.ts';
import type { ExternalEvent } from './ingest/external-event.ts';

interface SavedWatch {
  readonly failure?: unknown;
  readonly overload?: unknown;
  readonly capacity?: unknown;
}

type Detached = ReadonlyMap<string, Pick<EntityWatch, 'scores' | 'capacity'>>;

export class EngineState {
  readonly #watches: Map<string, EntityWatch>;

  constructor(watches: Map<string, EntityWatch>) {
    this.#watches = watches;
  }

  /** Takes scores and capacities out, so that a replay counts nothing twice. */
  detachScores(): Detached {
    const kept = new Map<string, Pick<EntityWatch, 'scores' | 'capacity'>>();
    for (const [key, watch] of this.#watches) {
      kept.set(key, { scores: watch.scores, capacity: watch.capacity });
      const fresh = newWatch(watch.entity, watch.models);
      watch.scores = fresh.scores;
      watch.capacity = fresh.capacity;
    }
    return kept;
  }

  attachScores(kept: Detached): void {
    for (const [key, watch] of this.#watches) {
      const fresh = newWatch(watch.entity, watch.models);
      watch.scores = kept.get(key)?.scores ?? fresh.scores;
      watch.capacity = kept.get(key)?.capacity ?? watch.capacity;
    }
  }
}

export function saveWatch({ scores, capacity }: EntityWatch): string {
  const saved: SavedWatch = {
    failure: scores.failure.state(),
    overload: scores.overload.state(),
    capacity: capacity.state(),
  };
  return JSON.stringify(saved);
}

/** What cannot be read begins anew. */
export function restoreWatch(watch: EntityWatch, text: string): void {
  const saved = parse(text) as SavedWatch | undefined;
  if (saved === undefined) return;
  watch.scores = {
    ...watch.scores,
    failure: ProbabilityScore.restore(saved.failure),
    overload: ProbabilityScore.restore(saved.overload),
  };
  watch.capacity = CapacityEstimate.restore(saved.capacity);
}

export function saveCalendar(calendar: EventCalendar): string {
  return JSON.stringify({ posted: calendar.posted(), learnt: calendar.learnt() });
}

export function restoreCalendar(calendar: EventCalendar, text: string): void {
  const saved = parse(text) as { posted?: ExternalEvent[]; learnt?: [string, number][] } | undefined;
  if (Array.isArray(saved?.posted) && Array.isArray(saved.learnt)) {
    calendar.restore(saved.posted, saved.learnt);
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
