// Who changes something, and why: what the audit log keeps of everybody who does.

import type { FastifyRequest } from 'fastify';
import { z } from 'zod';

/** Where a reason is asked for but not required. */
export const cause = {
  reason: z.string().max(500).default('').describe('Why; it stands in the audit log.'),
  by: z.string().min(1).max(64).default('operator').describe('Who says so.'),
};

/** The name that somebody gives, and where they asked from. */
export function whoOf(request: Pick<FastifyRequest, 'ip'>, by: string): string {
  return `${by}@${request.ip}`;
}
