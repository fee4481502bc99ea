// What `foreshard pae` serves on pae.listen: the engine's resources, metrics and its own health. Plans are made
// where weights are, which this process does not do yet: /plan says so instead of answering an empty one.

import type { FastifyInstance } from 'fastify';
import { engineRoutes } from './api/engine.ts';
import { healthRoutes } from './api/health.ts';
import { metricsRoutes } from './api/metrics.ts';
import type { EnginePort } from './engine-port.ts';
import { sendProblem } from './problem.ts';
import type { ProcessSource } from './source.ts';

export function paeRoutes(source: ProcessSource, engine: EnginePort): (app: FastifyInstance) => void {
  return (app) => {
    healthRoutes(app, source);
    metricsRoutes(app, source);
    engineRoutes(app, () => engine);
    app.get('/plan', async (_request, reply) => {
      sendProblem(reply, 503, 'this engine computes and logs (shadow); it publishes no plan yet');
      return reply;
    });
  };
}
