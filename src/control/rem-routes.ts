// What a manager serves on its control port.

import type { FastifyInstance } from 'fastify';
import { healthRoutes } from './api/health.ts';
import { memberRoutes, reportRoute } from './api/members.ts';
import { metricsRoutes } from './api/metrics.ts';
import type { RemSource } from './rem-source.ts';

export function remRoutes(source: RemSource): (app: FastifyInstance) => void {
  return (app) => {
    healthRoutes(app, source);
    metricsRoutes(app, source);
    memberRoutes(app, source);
    reportRoute(app, source);
  };
}
