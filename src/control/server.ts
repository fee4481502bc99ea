// The control port: fastify over what the main thread knows. Reading only, for now: plan, regions, metrics,
// health of the proxy itself, and explanations. The data plane never passes here.

import { createHash, timingSafeEqual } from 'node:crypto';
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import { explainRoutes } from './api/explain.ts';
import { healthRoutes } from './api/health.ts';
import { metricsRoutes } from './api/metrics.ts';
import { planRoutes } from './api/plan.ts';
import { regionRoutes } from './api/regions.ts';
import { sendProblem } from './problem.ts';
import type { ControlSource } from './source.ts';

export interface ControlOptions {
  readonly host: string;
  readonly port: number;
  /** Bearer token; undefined = none is asked for. */
  readonly token: string | undefined;
}

// Bodies of this API are small documents.
const MAX_BODY_BYTES = 1024 * 1024;
// Answers of this API take milliseconds, apart from long polls, which are woken before.
const CLOSE_MS = 500;

export class ControlServer {
  readonly #app: FastifyInstance;

  constructor(source: ControlSource, options: ControlOptions) {
    this.#app = fastify({ bodyLimit: MAX_BODY_BYTES, logger: false });
    const { token } = options;
    if (token !== undefined) this.#app.addHook('onRequest', requireToken(token));
    this.#app.setErrorHandler((error, _request, reply) => {
      const status = (error as { statusCode?: number }).statusCode ?? 500;
      sendProblem(reply, status, error instanceof Error ? error.message : String(error));
    });
    this.#app.setNotFoundHandler((request, reply) => {
      sendProblem(reply, 404, `no resource ${request.url}`);
    });
    healthRoutes(this.#app, source);
    metricsRoutes(this.#app, source);
    planRoutes(this.#app, source);
    regionRoutes(this.#app, source);
    explainRoutes(this.#app, source);
  }

  /** @returns the bound `host:port`; rejects when it cannot be bound. */
  async listen({ host, port }: ControlOptions): Promise<string> {
    return (await this.#app.listen({ host, port })).replace(/^http:\/\//, '');
  }

  /** Answers what is under way, but for nobody longer than a moment: others wait for the port. */
  async close(): Promise<void> {
    const timer = setTimeout(() => this.#app.server.closeAllConnections(), CLOSE_MS);
    await this.#app.close();
    clearTimeout(timer);
  }
}

// A load balancer's health check has no token.
const OPEN_PATHS = new Set(['/healthz', '/readyz']);

function requireToken(token: string) {
  const expected = createHash('sha256').update(token).digest();
  return async (request: FastifyRequest, reply: FastifyReply): Promise<void> => {
    if (OPEN_PATHS.has(request.url)) return;
    const given = /^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1] ?? '';
    // Digests have one length, so that the comparison takes one time.
    if (timingSafeEqual(createHash('sha256').update(given).digest(), expected)) return;
    reply.header('www-authenticate', 'Bearer');
    sendProblem(reply, 401, 'a bearer token is required');
  };
}
