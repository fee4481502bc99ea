// GET /plan: the plan in force. With `?after=` and `&wait=` it is a long poll; `If-None-Match` answers 304.

import type { FastifyInstance } from 'fastify';
import { parseDuration } from '../../core/units.ts';
import type { Plan } from '../../plan/plan.ts';
import { sendProblem } from '../problem.ts';
import type { ControlSource } from '../source.ts';

// A longer poll would outlive what common proxies between keep idle.
const LONGEST_WAIT_MS = 60_000;

export const planTag = (plan: Plan): string => `${plan.incarnation}.${plan.generation}`;

export function planRoutes(app: FastifyInstance, source: ControlSource): void {
  app.get<{ Querystring: { after?: string; wait?: string } }>('/plan', async (request, reply) => {
    const { after, wait } = request.query;
    const waitMs = wait === undefined ? { ok: true as const, value: 0 } : parseDuration(wait);
    if (!waitMs.ok) {
      sendProblem(reply, 400, `wait: must be ${waitMs.allowed}, given ${wait}`);
      return reply;
    }
    const seen = after ?? request.headers['if-none-match']?.replaceAll('"', '');
    if (after !== undefined && planTag(source.plan()) === after) {
      await source.planAfter(after, Math.min(LONGEST_WAIT_MS, waitMs.value));
    }
    const plan = source.plan();
    reply.header('etag', `"${planTag(plan)}"`);
    if (planTag(plan) === seen) return reply.code(304).send();
    return plan;
  });
}
