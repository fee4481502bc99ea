// What is known from outside before any metric shows it: maintenance (a known failure), campaigns (a known
// load), weather, and incidents that an operator confirms afterwards. The type, and POST /external_events -> an event or the path of the first wrong field. Pure.

import { z } from 'zod';

export const EVENT_KINDS = ['maintenance', 'campaign', 'weather', 'incident', 'other'] as const;
export type EventKind = (typeof EVENT_KINDS)[number];

export interface ExternalEvent {
  readonly id: string;
  readonly kind: EventKind;
  /** Empty = all regions. */
  readonly regions: readonly string[];
  /** Wall clock, milliseconds; `end` is after `start`. */
  readonly start: number;
  readonly end: number;
  readonly title: string;
  /** 0..1; how bad it is said to be. */
  readonly severity: number;
  /** Load as a multiple of what would be without it; undefined = learnt from earlier ones. */
  readonly loadFactor: number | undefined;
}

const time = z.iso.datetime({ offset: true });

/** POST /external_events. */
export const eventSchema = z.strictObject({
  kind: z.enum(EVENT_KINDS),
  regions: z.array(z.string().min(1).max(253)).max(512).default([]),
  start: time,
  end: time,
  title: z.string().max(256).default(''),
  severity: z.number().min(0).max(1).default(0.5),
  loadFactor: z.number().min(0).max(100).optional(),
});

const ALLOWED: Readonly<Record<string, string>> = {
  kind: `must be one of ${EVENT_KINDS.join(', ')}`,
  regions: 'must be a list of region ids',
  start: 'must be an ISO 8601 time with its offset',
  end: 'must be an ISO 8601 time with its offset',
  title: 'must be text of at most 256 characters',
  severity: 'must be a number from 0 to 1',
  loadFactor: 'must be a number from 0 to 100',
};

export type ReadEvent =
  | { readonly ok: true; readonly event: Omit<ExternalEvent, 'id'> }
  | { readonly ok: false; readonly path: string; readonly problem: string };

/**
 * @param body the parsed JSON of the request.
 * @param isRegion whether there is such a region: an event of a misspelt one would never act.
 */
export function readEvent(body: unknown, isRegion: (id: string) => boolean): ReadEvent {
  const parsed = eventSchema.safeParse(body);
  if (!parsed.success) {
    const issue = parsed.error.issues[0]!;
    if (issue.code === 'unrecognized_keys') {
      return {
        ok: false,
        path: issue.keys[0]!,
        problem: `is unknown; known are ${Object.keys(ALLOWED).join(', ')}`,
      };
    }
    const path = issue.path.join('.');
    return { ok: false, path, problem: ALLOWED[String(issue.path[0])] ?? 'must be a JSON object' };
  }
  const { data } = parsed;
  const start = Date.parse(data.start);
  const end = Date.parse(data.end);
  const unknown = data.regions.findIndex((id) => !isRegion(id));
  if (unknown !== -1) {
    const problem = `must be the id of a region, given ${data.regions[unknown]}`;
    return { ok: false, path: `regions.${unknown}`, problem };
  }
  if (end <= start) return { ok: false, path: 'end', problem: `must be after start, given ${data.end}` };
  return { ok: true, event: { ...data, start, end, loadFactor: data.loadFactor } };
}
