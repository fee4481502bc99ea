// An iCalendar file with the maintenance that a script announces; without one, a calendar without events. Pure.

import type { ContestantSetup } from './contestant.ts';

const LENGTH_MS = 3_600_000;

/** RFC 5545; times in UTC, whole seconds. */
export function maintenanceCalendar({
  beginsAt,
  maintenance,
}: Pick<ContestantSetup, 'beginsAt' | 'maintenance'>): string {
  const lines = ['BEGIN:VCALENDAR', 'VERSION:2.0', 'PRODID:-//foreshard//bench//EN'];
  if (maintenance !== null) {
    const startMs = beginsAt + maintenance.second * 1000;
    lines.push(
      'BEGIN:VEVENT',
      `UID:maintenance-${startMs}@bench`,
      `DTSTAMP:${stamp(beginsAt - LENGTH_MS)}`,
      `DTSTART:${stamp(startMs)}`,
      `DTEND:${stamp(startMs + LENGTH_MS)}`,
      'SUMMARY:Power maintenance',
      `LOCATION:${maintenance.region}`,
      'END:VEVENT',
    );
  }
  return `${[...lines, 'END:VCALENDAR'].join('\r\n')}\r\n`;
}

function stamp(ms: number): string {
  return `${new Date(ms).toISOString().replaceAll(/[-:]|\.\d+/g, '')}`;
}
