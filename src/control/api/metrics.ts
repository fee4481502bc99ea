// /metrics: Prometheus text exposition; asks the workers for what they counted first, so that a scrape is
// as fresh as it can be.

import type { FastifyInstance } from 'fastify';
import type { ProcessSource } from '../source.ts';

export function metricsRoutes(app: FastifyInstance, source: ProcessSource): void {
  app.get('/metrics', async (_request, reply) => {
    await source.refreshMetrics();
    reply.type(source.metrics.contentType);
    return source.metrics.text();
  });
}
