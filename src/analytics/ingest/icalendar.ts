// iCalendar (RFC 5545) -> events, read by ical.js, which knows recurrences and exceptions. A region id in
// LOCATION or CATEGORIES says whom an event is about; none = all. Every event costs a bounded number of steps:
// a rule of a second's frequency since 1970 must not stop the engine. Pure.

import ICAL from 'ical.js';
import type { EventKind, ExternalEvent } from './external-event.ts';

export interface FeedWindow {
  readonly kind: EventKind;
  readonly regions: readonly string[];
  /** Occurrences that touch this window are returned; wall milliseconds. */
  readonly from: number;
  readonly to: number;
}

export type FeedReading =
  | { readonly ok: true; readonly events: readonly ExternalEvent[]; readonly skipped: number }
  | { readonly ok: false; readonly problem: string };

const MAX_EVENTS = 2000;
const MAX_OCCURRENCES = 200;
const MAX_STEPS = 20_000;

export function readICalendar(text: string, window: FeedWindow): FeedReading {
  let components: ICAL.Component[];
  try {
    components = new ICAL.Component(ICAL.parse(text)).getAllSubcomponents('vevent');
  } catch (error) {
    return { ok: false, problem: `no iCalendar: ${(error as Error).message.slice(0, 200)}` };
  }
  const events: ExternalEvent[] = [];
  let skipped = Math.max(0, components.length - MAX_EVENTS);
  for (const component of components.slice(0, MAX_EVENTS)) {
    try {
      events.push(...occurrences(component, window));
    } catch {
      // A date that is none: the others still count.
      skipped += 1;
    }
  }
  return { ok: true, events, skipped };
}

function* occurrences(component: ICAL.Component, window: FeedWindow): Generator<ExternalEvent> {
  const event = new ICAL.Event(component);
  const status = component.getFirstPropertyValue('status');
  if (status === 'CANCELLED') return;
  // Exceptions come as components of their own and are known to their parent.
  if (event.isRecurrenceException()) return;
  const facts = {
    kind: window.kind,
    regions: regionsOf(component, event.location, window.regions),
    title: (event.summary ?? '').slice(0, 256),
    severity: 0.5,
    loadFactor: undefined,
  };
  const iterator = event.iterator();
  for (let step = 0, found = 0; step < MAX_STEPS && found < MAX_OCCURRENCES; step++) {
    const next = iterator.next();
    if (next === null || next === undefined) return;
    const { startDate, endDate } = event.getOccurrenceDetails(next);
    const zone = zoneOf(component);
    const start = millisecondsOf(startDate, zone);
    const end = millisecondsOf(endDate, zone);
    if (start > window.to) return;
    if (end <= window.from || end <= start) continue;
    found += 1;
    yield { id: `${event.uid}@${start}`, start, end, ...facts };
  }
}

function regionsOf(
  component: ICAL.Component,
  location: string | null,
  known: readonly string[],
): readonly string[] {
  const categories = component
    .getAllProperties('categories')
    .flatMap((property) => property.getValues() as unknown[])
    .filter((value) => typeof value === 'string');
  const words = [...(location ?? '').split(/[,;\s]+/), ...categories];
  return known.filter((region) => words.includes(region));
}

function zoneOf(component: ICAL.Component): string | undefined {
  const zone = component.getFirstProperty('dtstart')?.getParameter('tzid');
  return typeof zone === 'string' ? zone : undefined;
}

/** A time whose zone the file names but does not describe is looked up in the system's own tables. */
function millisecondsOf(time: ICAL.Time, zone: string | undefined): number {
  const utc = Date.UTC(time.year, time.month - 1, time.day, time.hour, time.minute, time.second);
  if (time.zone !== ICAL.Timezone.localTimezone) return time.toUnixTime() * 1000;
  if (zone === undefined) return utc;
  // The offset at the first guess may be that before a change of the clocks; the second one is right.
  const guess = utc - offsetOf(zone, utc);
  return utc - offsetOf(zone, guess);
}

/** Milliseconds that `zone` is ahead of UTC at an instant. Throws for a zone that nobody knows. */
function offsetOf(zone: string, at: number): number {
  const parts = new Intl.DateTimeFormat('en-US', {
    timeZone: zone,
    hourCycle: 'h23',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
    second: 'numeric',
  }).formatToParts(at);
  const of = (type: string): number => Number(parts.find((part) => part.type === type)?.value);
  const local = Date.UTC(of('year'), of('month') - 1, of('day'), of('hour'), of('minute'), of('second'));
  return local - Math.floor(at / 1000) * 1000;
}
