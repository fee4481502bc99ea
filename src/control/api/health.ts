// /healthz: the process answers. /readyz: it should get traffic, i.e. its workers serve and it is not
// shutting down.

import type { FastifyInstance } from 'fastify';
import { sendProblem } from '../problem.ts';
import type { ProcessSource } from '../source.ts';

export function healthRoutes(app: FastifyInstance, source: ProcessSource): void {
  app.get('/healthz', async () => ({ status: 'ok' }));
  app.get('/readyz', async (_request, reply) => {
    const why = source.notReady();
    return why === undefined ? { status: 'ready' } : sendProblem(reply, 503, why);
  });
}
