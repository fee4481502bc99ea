// GET /regions: weights, load and servers of every region as this process sees them.

import type { FastifyInstance } from 'fastify';
import type { ControlSource } from '../source.ts';

export function regionRoutes(app: FastifyInstance, source: ControlSource): void {
  app.get('/regions', async () => ({ regions: source.regions() }));
}
