// GET /plan: the plan in force. With `?after=` and `&wait=` it is a long poll; `If-None-Match` answers 304.
// POST /plan/{accept|freeze|unfreeze|rollback}: what an operator may do with plans, where they are made.

import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import { parseDuration } from '../../core/units.ts';
import { PLAN_AGE_FIELD, planTag } from '../../plan/plan-exchange.ts';
import { type EnginePort, PLAN_COMMANDS } from '../engine-port.ts';
import { sendProblem } from '../problem.ts';
import { parsed } from '../query.ts';
import type { PlanSource } from '../source.ts';
import { cause } from './cause.ts';
import { type AuditDesk, relayChange } from './engine.ts';

export const planQuery = z.object({
  after: z.string().max(128).optional(),
  wait: z.string().max(32).prefault('0').transform(parseDuration),
});

export const commandBody = z.strictObject(cause);
export const rollbackBody = z.strictObject({
  ...cause,
  generation: z
    .int({ error: ({ input }) => `must be a whole number, given ${JSON.stringify(input)}` })
    .optional()
    .describe('Of which the weights are taken; default: the ones before.'),
});

export function planRoutes(app: FastifyInstance, source: PlanSource): void {
  app.get('/plan', async (request, reply) => {
    const query = planQuery.safeParse(request.query);
    if (!query.success) return sendProblem(reply, 400, 'after and wait may be given once each');
    const { after, wait } = query.data;
    if (!wait.ok) return sendProblem(reply, 400, `wait must be ${wait.allowed}`);
    const before = source.plan();
    if (after !== undefined && before !== undefined && planTag(before) === after) {
      await source.planAfter(Math.min(source.longestWaitMs(), wait.value));
    }
    const plan = source.plan();
    if (plan === undefined) return sendProblem(reply, 503, 'no plan is made here: pae.mode is off');
    reply.header(PLAN_AGE_FIELD, (source.planAgeMs() / 1000).toFixed(3));
    const tag = planTag(plan);
    reply.header('etag', `"${tag}"`);
    const isKnown = after === undefined ? matchesTag(request.headers['if-none-match'], tag) : after === tag;
    return isKnown ? reply.code(304).send() : plan;
  });
}

/** @param port the engine that makes the plans; undefined answers say where to ask instead. */
export function planCommandRoutes(
  app: FastifyInstance,
  port: () => EnginePort | undefined,
  desk: AuditDesk,
): void {
  for (const command of PLAN_COMMANDS) {
    app.post(`/plan/${command}`, async (request, reply) => {
      const body = request.body ?? {};
      const said = parsed(command === 'rollback' ? rollbackBody : commandBody, body, reply);
      if (said === undefined) return reply;
      const ask = { kind: 'plan_command', command, body } as const;
      const engine = port();
      return relayChange({ engine, desk }, request, reply, { ...said, what: `plan.${command}`, ask });
    });
  }
}

/** RFC 9110, 13.1.2: a list of entity tags, compared weakly, or `*`. */
function matchesTag(header: string | undefined, tag: string): boolean {
  if (header === undefined) return false;
  return header.split(',').some((part) => {
    const one = part.trim();
    return one === '*' || one.replace(/^W\//, '') === `"${tag}"`;
  });
}
