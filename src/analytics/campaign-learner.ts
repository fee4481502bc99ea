// Learns how much load a campaign brought once it is over: its mean load over that of the same hours as many days
// before as it lasted, for those of an hour and more by the hours of six weeks; a shorter one, and one of a first day,
// by the rows in memory against an equal stretch before it began.

import { HOUR_MS, type HourlyDemand } from './forecast/hourly-demand.ts';
import type { EventCalendar } from './ingest/event-calendar.ts';
import type { ExternalEvent } from './ingest/external-event.ts';
import { regionEntity } from './ingest/sample.ts';
import type { SeriesStore } from './series-store.ts';

const DAY_MS = 86_400_000;

export class CampaignLearner {
  readonly #calendar: EventCalendar;
  readonly #store: SeriesStore;
  readonly #hoursOf: (region: string) => HourlyDemand | undefined;

  constructor(
    calendar: EventCalendar,
    store: SeriesStore,
    hoursOf: (region: string) => HourlyDemand | undefined,
  ) {
    this.#calendar = calendar;
    this.#store = store;
    this.#hoursOf = hoursOf;
  }

  /** @param now wall milliseconds. @param all every region, for campaigns that name none. */
  learn(now: number, all: readonly string[]): void {
    for (const event of this.#calendar.all()) {
      const isOver = event.kind === 'campaign' && event.end <= now && event.end > now - DAY_MS;
      if (!isOver || this.#calendar.isLearntFrom(event)) continue;
      const regions = event.regions.length === 0 ? all : event.regions;
      const ratio = this.#byHours(event, regions) ?? this.#byRows(event, regions, now);
      this.#calendar.learn(event, ratio ?? Number.NaN);
    }
  }

  #byHours({ start, end }: ExternalEvent, regions: readonly string[]): number | undefined {
    const first = Math.ceil(start / HOUR_MS);
    const last = Math.floor(end / HOUR_MS);
    if (last <= first) return undefined;
    const back = (Math.ceil((end - start) / DAY_MS) * DAY_MS) / HOUR_MS;
    let [during, usual] = [0, 0];
    for (const region of regions) {
      const hours = this.#hoursOf(region);
      const sale = hours?.meanOf(first, last);
      const before = hours?.meanOf(first - back, last - back);
      if (sale === undefined || before === undefined) continue;
      during += sale;
      usual += before;
    }
    return usual > 0 ? during / usual : undefined;
  }

  #byRows({ start, end }: ExternalEvent, regions: readonly string[], now: number): number | undefined {
    const during = this.#load(regions, now - start, now - end);
    const usual = this.#load(regions, now - start + (end - start), now - start);
    return during !== undefined && usual !== undefined && usual > 0 ? during / usual : undefined;
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
