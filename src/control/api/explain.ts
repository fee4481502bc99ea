// POST /explain: where a request would go now, and why; the same decision that a worker would make, with
// the health that this process sees.

import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import { sendProblem } from '../problem.ts';
import type { ControlSource } from '../source.ts';

export const explainBody = z.strictObject({
  method: z.string().min(1).max(32),
  url: z.string().min(1).max(8192),
  headers: z
    .array(z.tuple([z.string().max(256), z.string().max(8192)]))
    .max(100)
    .default([]),
  body: z.string().max(1_048_576).optional(),
  clientAddress: z.string().max(64).default('127.0.0.1'),
});

export function explainRoutes(app: FastifyInstance, source: ControlSource): void {
  app.post('/explain', async (request, reply) => {
    const parsed = explainBody.safeParse(request.body);
    if (!parsed.success) {
      const issue = parsed.error.issues[0]!;
      return sendProblem(reply, 400, `${issue.path.join('.') || 'body'}: ${issue.message}`);
    }
    return source.explain(parsed.data);
  });
}
