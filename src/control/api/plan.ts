// GET /plan: the plan in force. With `?after=` and `&wait=` it is a long poll; `If-None-Match` answers 304.

import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import { parseDuration } from '../../core/units.ts';
import type { Plan } from '../../plan/plan.ts';
import { sendProblem } from '../problem.ts';
import type { ControlSource } from '../source.ts';

export const planTag = (plan: Plan): string => `${plan.incarnation}.${plan.generation}`;

const planQuery = z.object({
  after: z.string().max(128).optional(),
  wait: z.string().max(32).prefault('0').transform(parseDuration),
});

export function planRoutes(app: FastifyInstance, source: ControlSource): void {
  app.get('/plan', async (request, reply) => {
    const query = planQuery.safeParse(request.query);
    if (!query.success) return sendProblem(reply, 400, 'after and wait may be given once each');
    const { after, wait } = query.data;
    if (!wait.ok) return sendProblem(reply, 400, `wait must be ${wait.allowed}`);
    if (after !== undefined && planTag(source.plan()) === after) {
      await source.planAfter(Math.min(source.longestWaitMs(), wait.value));
    }
    const plan = source.plan();
    const tag = planTag(plan);
    reply.header('etag', `"${tag}"`);
    const isKnown = after === undefined ? matchesTag(request.headers['if-none-match'], tag) : after === tag;
    return isKnown ? reply.code(304).send() : plan;
  });
}

/** RFC 9110, 13.1.2: a list of entity tags, compared weakly, or `*`. */
function matchesTag(header: string | undefined, tag: string): boolean {
  if (header === undefined) return false;
  return header.split(',').some((part) => {
    const one = part.trim();
    return one === '*' || one.replace(/^W\//, '') === `"${tag}"`;
  });
}
