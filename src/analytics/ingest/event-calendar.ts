// All external events that are known, from feeds and from POST /external_events, and what they mean for a
// region: whether a window is open or opens soon, and how much load a campaign brings. The size of a campaign
// is learnt from earlier ones of its kind: same kind, same title apart from numbers.

import type { ExternalEvent } from './external-event.ts';

const MAX_EVENTS = 10_000;
const MAX_KINDS = 500;
const MAX_LEARNT_FROM = 2000;
// How much the newest campaign of a kind counts.
const LEARNING_RATE = 0.5;
const MOST_FACTOR = 100;
const HOUR_MS = 3_600_000;

export interface EventsNear {
  /** Under way now, or beginning within the horizon; the soonest first. */
  readonly events: readonly ExternalEvent[];
  /** Product of the factors of campaigns that begin within the horizon; 1 = none. */
  readonly loadFactor: number;
}

export class EventCalendar {
  readonly #posted = new Map<string, ExternalEvent>();
  readonly #feeds = new Map<string, readonly ExternalEvent[]>();
  readonly #learnt = new Map<string, number>();
  /** Ids of campaigns that were learnt from. */
  readonly #learntFrom = new Set<string>();

  /** @returns false when there is no room: the caller answers so. */
  add(event: ExternalEvent): boolean {
    if (this.size >= MAX_EVENTS) return false;
    this.#posted.set(event.id, event);
    return true;
  }

  remove(id: string): boolean {
    return this.#posted.delete(id);
  }

  /** Replaces what a feed said before. */
  setFeed(source: string, events: readonly ExternalEvent[]): void {
    this.#feeds.set(source, events.slice(0, MAX_EVENTS));
  }

  get size(): number {
    return this.#posted.size;
  }

  /** Those that were posted: a feed's are its own to keep. */
  posted(): readonly ExternalEvent[] {
    return [...this.#posted.values()];
  }

  *all(): Generator<ExternalEvent> {
    yield* this.#posted.values();
    for (const events of this.#feeds.values()) yield* events;
  }

  /** Forgets what was posted and is over since before `before`. */
  forget(before: number): void {
    for (const [id, { end }] of this.#posted) if (end < before) this.#posted.delete(id);
  }

  near(region: string, now: number, horizonMs: number): EventsNear {
    const events: ExternalEvent[] = [];
    let loadFactor = 1;
    for (const event of this.all()) {
      if (event.end <= now || event.start > now + horizonMs) continue;
      if (event.regions.length > 0 && !event.regions.includes(region)) continue;
      events.push(event);
      // One that is under way shows in the load already, and with it in the forecast.
      if (event.kind === 'campaign' && event.start > now) loadFactor *= this.factorOf(event);
    }
    events.sort((a, b) => a.start - b.start);
    return { events, loadFactor: Math.min(MOST_FACTOR, loadFactor) };
  }

  /** Load under a campaign as a multiple of without; 1 when no earlier one is known and none is given. */
  factorOf(event: ExternalEvent): number {
    return event.loadFactor ?? this.#learnt.get(likeness(event)) ?? 1;
  }

  /** How much more load announced campaigns will bring to an hour that begins at `from`; 1 = none. Wall milliseconds. */
  factorAt(region: string, from: number, now: number): number {
    let factor = 1;
    for (const event of this.all()) {
      const isIn = event.start > now && event.start < from + HOUR_MS && event.end > from;
      if (event.kind !== 'campaign' || !isIn) continue;
      if (event.regions.length === 0 || event.regions.includes(region)) factor *= this.factorOf(event);
    }
    return Math.min(MOST_FACTOR, factor);
  }

  isLearntFrom({ id }: ExternalEvent): boolean {
    return this.#learntFrom.has(id);
  }

  /** A campaign is over: its load was `ratio` times what it is without one; NaN = nobody knows. */
  learn(event: ExternalEvent, ratio: number): void {
    this.#learntFrom.add(event.id);
    for (const id of this.#learntFrom)
      if (this.#learntFrom.size > MAX_LEARNT_FROM) this.#learntFrom.delete(id);
    if (!Number.isFinite(ratio) || ratio <= 0) return;
    const kind = likeness(event);
    const before = this.#learnt.get(kind);
    if (before === undefined && this.#learnt.size >= MAX_KINDS) return;
    const bounded = Math.min(MOST_FACTOR, ratio);
    this.#learnt.set(kind, before === undefined ? bounded : before + LEARNING_RATE * (bounded - before));
  }

  learnt(): readonly (readonly [string, number])[] {
    return [...this.#learnt];
  }

  /** Ids of campaigns that were learnt from. */
  learntFrom(): readonly string[] {
    return [...this.#learntFrom];
  }

  restore(
    posted: readonly ExternalEvent[],
    learnt: readonly (readonly [string, number])[],
    learntFrom: readonly string[] = [],
  ): void {
    for (const id of learntFrom.slice(0, MAX_LEARNT_FROM)) this.#learntFrom.add(id);
    for (const event of posted.slice(0, MAX_EVENTS)) this.#posted.set(event.id, event);
    for (const [kind, factor] of learnt.slice(0, MAX_KINDS)) this.#learnt.set(kind, factor);
  }
}

/** "Sale 2026" and "Sale 2027" are of one kind. */
function likeness({ kind, title }: ExternalEvent): string {
  return `${kind}/${title.toLowerCase().replace(/\d+/g, '').replace(/\s+/g, ' ').trim()}`;
}
