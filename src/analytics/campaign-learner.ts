// Learns how much load a campaign brought once it is over: its mean load over that of the same hours a day
// before where those are in memory, else over an equal stretch before it began.

import type { EventCalendar } from './ingest/event-calendar.ts';
import { regionEntity } from './ingest/sample.ts';
import type { SeriesStore } from './series-store.ts';

const DAY_MS = 86_400_000;
const MAX_LEARNT = 2000;

export class CampaignLearner {
  readonly #calendar: EventCalendar;
  readonly #store: SeriesStore;
  readonly #learnt = new Set<string>();

  constructor(calendar: EventCalendar, store: SeriesStore) {
    this.#calendar = calendar;
    this.#store = store;
  }

  /** @param now wall milliseconds. @param all every region, for campaigns that name none. */
  learn(now: number, all: readonly string[]): void {
    for (const event of this.#calendar.all()) {
      const isOver = event.kind === 'campaign' && event.end <= now && event.end > now - DAY_MS;
      if (!isOver || this.#learnt.has(event.id)) continue;
      if (this.#learnt.size >= MAX_LEARNT) this.#learnt.clear();
      this.#learnt.add(event.id);
      const regions = event.regions.length === 0 ? all : event.regions;
      const during = this.#load(regions, now - event.start, now - event.end);
      const span = event.end - event.start;
      const dayBefore = this.#load(regions, now - event.start + DAY_MS, now - event.end + DAY_MS);
      const usual = dayBefore ?? this.#load(regions, now - event.start + span, now - event.start);
      if (during !== undefined && usual !== undefined && usual > 0)
        this.#calendar.learn(event, during / usual);
    }
  }

  /** Mean requests/s between two ages, milliseconds ago; undefined when less than half of it was measured. */
  #load(regions: readonly string[], fromAgo: number, toAgo: number): number | undefined {
    const { stepMs, slots } = this.#store.limits;
    const first = Math.ceil(fromAgo / stepMs);
    const last = Math.ceil(toAgo / stepMs);
    if (first > slots || first <= last) return undefined;
    let sum = 0;
    let n = 0;
    for (const region of regions) {
      const values = this.#store.recent(regionEntity(region).key, 'rps', first);
      for (const value of values.subarray(0, first - last)) {
        if (Number.isNaN(value)) continue;
        sum += value;
        n += 1;
      }
    }
    const expected = (first - last) * regions.length;
    return n * 2 >= expected ? (sum / n) * regions.length : undefined;
  }
}
