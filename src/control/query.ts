// Bodies and queries of the API: parsed by their schema or answered with the first thing that is wrong.

import type { FastifyReply } from 'fastify';
import { z } from 'zod';
import { parseDuration } from '../core/units.ts';
import { sendProblem } from './problem.ts';

/** The parsed value; undefined when a problem document was sent. */
export function parsed<S extends z.ZodType>(
  schema: S,
  value: unknown,
  reply: FastifyReply,
): z.output<S> | undefined {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const issue = result.error.issues[0]!;
  const place = issue.code === 'unrecognized_keys' ? [...issue.path, issue.keys[0]!] : issue.path;
  sendProblem(reply, 400, `${place.join('.') || 'body'}: ${issue.message}`);
  return undefined;
}

/** A whole number as a query writes it. */
export const wholeText = (least: number, most: number) =>
  z
    .string()
    .regex(/^\d{1,9}$/, `must be a whole number from ${least} to ${most}`)
    .transform(Number)
    .refine((n) => n >= least && n <= most, `must be a whole number from ${least} to ${most}`);

/** A moment: ISO 8601, or a duration before now (`5m`). @returns wall milliseconds; undefined when it is neither. */
export function momentOf(text: string, nowMs: number): number | undefined {
  const duration = parseDuration(text);
  if (duration.ok) return nowMs - duration.value;
  if (!/^\d{4}-\d\d-\d\dT/.test(text)) return undefined;
  const at = Date.parse(text);
  return Number.isNaN(at) ? undefined : at;
}
