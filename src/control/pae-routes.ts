// What `foreshard pae` serves on pae.listen: the engine's resources, the plan for proxies that pull it, metrics and
// its own health; and what operators say of regions, which is then part of the plan of all proxies.

import type { FastifyInstance } from 'fastify';
import { ownOf } from '../core/own.ts';
import { engineRoutes } from './api/engine.ts';
import { healthRoutes } from './api/health.ts';
import { metricsRoutes } from './api/metrics.ts';
import { planCommandRoutes, planRoutes } from './api/plan.ts';
import { overrideRoutes } from './api/regions.ts';
import type { EnginePort } from './engine-port.ts';
import type { OverrideSource, PlanSource, ProcessSource } from './source.ts';

export function paeRoutes(
  source: ProcessSource & PlanSource & OverrideSource,
  engine: EnginePort,
): (app: FastifyInstance) => void {
  return (app) => {
    healthRoutes(app, source);
    metricsRoutes(app, source);
    engineRoutes(app, () => engine, source.desk);
    planRoutes(app, source);
    planCommandRoutes(app, () => engine, source.desk);
    app.get('/regions', async () => ({ regions: plannedRegions(source) }));
    overrideRoutes(app, source);
  };
}

/** As the plan has them; load and servers are the proxies' to tell. */
function plannedRegions({ plan, desk }: PlanSource & OverrideSource): object[] {
  return desk.written.regions.map(({ id, weight: configuredWeight }) => {
    const planned = plan()?.regions.find((region) => region.id === id);
    const weight =
      planned === undefined
        ? undefined
        : {
            base: planned.baseWeight,
            risk: planned.riskWeight ?? planned.baseWeight,
            desired: planned.weight,
          };
    return { id, weight, configuredWeight, override: ownOf(desk.overrides, id) };
  });
}
