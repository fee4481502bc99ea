// What `foreshard pae` serves on pae.listen: the engine's resources, the plan for proxies that pull it, metrics and
// its own health.

import type { FastifyInstance } from 'fastify';
import { engineRoutes } from './api/engine.ts';
import { healthRoutes } from './api/health.ts';
import { metricsRoutes } from './api/metrics.ts';
import { planCommandRoutes, planRoutes } from './api/plan.ts';
import type { EnginePort } from './engine-port.ts';
import type { PlanSource, ProcessSource } from './source.ts';

export function paeRoutes(
  source: ProcessSource & PlanSource,
  engine: EnginePort,
): (app: FastifyInstance) => void {
  return (app) => {
    healthRoutes(app, source);
    metricsRoutes(app, source);
    engineRoutes(app, () => engine);
    planRoutes(app, source);
    planCommandRoutes(app, () => engine);
  };
}
