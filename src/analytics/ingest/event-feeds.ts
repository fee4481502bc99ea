// Reads calendars and alert feeds, from files and by HTTP, again and again. A feed that cannot be read keeps what
// it said last: a window that was announced does not go away because a server is down.

import { readFile, stat } from 'node:fs/promises';
import type { Clock } from '../../core/clock.ts';
import { fetchBounded } from './bounded-fetch.ts';
import type { EventCalendar } from './event-calendar.ts';
import type { EventKind } from './external-event.ts';
import { type PlacedRegion, readAlerts } from './geojson-alerts.ts';
import { type FeedReading, readICalendar } from './icalendar.ts';

export interface EventFeed {
  /** Exactly one of file and url. */
  readonly file: string | undefined;
  readonly url: string | undefined;
  readonly kind: EventKind;
}

export interface FeedTools {
  readonly clock: Clock;
  readonly calendar: EventCalendar;
  readonly regions: readonly PlacedRegion[];
  /** A feed could not be read, or not all of it; once for each new sentence. */
  onProblem(feed: EventFeed, problem: string): void;
}

const MAX_BYTES = 4 * 1024 * 1024;
const WAIT_MS = 10_000;
const DAY_MS = 86_400_000;
// How far ahead occurrences are looked up: `?history` and the longest horizon are a day.
const AHEAD_MS = 14 * DAY_MS;

export class EventFeeds {
  readonly #feeds: readonly EventFeed[];
  readonly #tools: FeedTools;
  readonly #said = new Map<EventFeed, string>();
  readonly #stop = new AbortController();
  #timer: NodeJS.Timeout | undefined;

  constructor(feeds: readonly EventFeed[], tools: FeedTools) {
    this.#feeds = feeds;
    this.#tools = tools;
  }

  /** Resolves after the first reading of all; goes on every `everyMs`. */
  async start(everyMs: number): Promise<void> {
    if (this.#feeds.length === 0) return;
    this.#timer = setInterval(() => void this.readAll(), everyMs);
    await this.readAll();
  }

  close(): void {
    this.#stop.abort();
    clearInterval(this.#timer);
  }

  async readAll(): Promise<void> {
    await Promise.all(this.#feeds.map((feed) => this.#read(feed)));
  }

  async #read(feed: EventFeed): Promise<void> {
    const text = feed.file === undefined ? await this.#fetch(feed.url!) : await readBounded(feed.file);
    if (this.#stop.signal.aborted) return;
    if (!text.ok) return this.#say(feed, text.problem);
    const reading = this.#parse(text.text, feed.kind);
    if (!reading.ok) return this.#say(feed, reading.problem);
    this.#tools.calendar.setFeed(feed.file ?? feed.url!, reading.events);
    this.#say(feed, reading.skipped === 0 ? '' : `${reading.skipped} entries could not be read`);
  }

  #parse(text: string, kind: EventKind): FeedReading {
    const now = this.#tools.clock.wallMs();
    const window = { kind, from: now - DAY_MS, to: now + AHEAD_MS };
    const { regions } = this.#tools;
    if (text.trimStart().startsWith('{')) return readAlerts(text, window, regions);
    return readICalendar(text, { ...window, regions: regions.map(({ id }) => id) });
  }

  async #fetch(url: string): Promise<Text> {
    const page = await fetchBounded(url, {
      timeoutMs: WAIT_MS,
      maxBytes: MAX_BYTES,
      signal: this.#stop.signal,
    });
    return page.ok ? page : { ok: false, problem: `${page.reason}: ${page.detail}` };
  }

  #say(feed: EventFeed, problem: string): void {
    if (this.#said.get(feed) === problem) return;
    this.#said.set(feed, problem);
    if (problem !== '') this.#tools.onProblem(feed, problem);
  }
}

type Text = { readonly ok: true; readonly text: string } | { readonly ok: false; readonly problem: string };

async function readBounded(file: string): Promise<Text> {
  try {
    const { size } = await stat(file);
    if (size > MAX_BYTES) return { ok: false, problem: `${size} bytes, at most ${MAX_BYTES}` };
    return { ok: true, text: await readFile(file, 'utf8') };
  } catch (error) {
    return { ok: false, problem: (error as Error).message };
  }
}
