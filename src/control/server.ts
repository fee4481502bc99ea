// The control port: fastify over what the main thread knows, with what every API of ours shares: the token,
// problem documents, the bound on bodies. What is served is a list of routes: a proxy's below, a manager's in
// rem-routes.ts. The data plane never passes here.

import type { Socket } from 'node:net';
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import type { Logger } from '../telemetry/logger.ts';
import { dashboardRoutes } from './api/dashboard.ts';
import { engineRoutes } from './api/engine.ts';
import { explainRoutes } from './api/explain.ts';
import { healthRoutes } from './api/health.ts';
import { metricsRoutes } from './api/metrics.ts';
import { planCommandRoutes, planRoutes } from './api/plan.ts';
import { policyRoutes } from './api/policies.ts';
import { regionRoutes } from './api/regions.ts';
import { streamRoutes } from './api/stream.ts';
import { tracingRoutes } from './api/tracing.ts';
import { gate } from './gate.ts';
import { isTooDeep, TOO_DEEP } from './nesting.ts';
import { openApi } from './openapi.ts';
import { rawProblem, sendProblem } from './problem.ts';
import type { ControlSource } from './source.ts';

export interface ControlOptions {
  /** Bearer token in force; undefined = none is asked for. */
  token(): string | undefined;
  /** Token that opens what changes nothing; undefined = there is none. */
  readToken?(): string | undefined;
  readonly log: Logger;
}

// Bodies of this API are small documents.
const MAX_BODY_BYTES = 1024 * 1024;
// Operators, scrapers and dashboards; not the world.
const MAX_CONNECTIONS = 1000;
// A whole request must be here by then; answers (a long poll) may take longer.
const REQUEST_MS = 10_000;
// Answers under way when the port closes get this long.
const CLOSE_MS = 1000;

export class ControlServer {
  readonly #app: FastifyInstance;

  /** @param addRoutes adds what is served. */
  constructor(addRoutes: (app: FastifyInstance) => void, { token, readToken, log }: ControlOptions) {
    this.#app = fastify({
      bodyLimit: MAX_BODY_BYTES,
      logger: false,
      requestTimeout: REQUEST_MS,
      clientErrorHandler: refuseConnection,
      frameworkErrors: (error, _request, reply) => void sendProblem(reply, 400, error.message),
    });
    this.#app.server.maxConnections = MAX_CONNECTIONS;
    const routes = knownRoutes(this.#app);
    this.#app.addHook(
      'onRequest',
      gate(() => ({ token: token(), readToken: readToken?.() })),
    );
    this.#app.addHook('preValidation', async ({ body }, reply) =>
      isTooDeep(body) ? sendProblem(reply, 400, TOO_DEEP) : undefined,
    );
    this.#app.setErrorHandler((error, request, reply) => {
      const status = (error as { statusCode?: number }).statusCode ?? 500;
      const message = error instanceof Error ? error.message : String(error);
      if (status < 500) return sendProblem(reply, status, message);
      log.error({ path: request.routeOptions.url, error: message }, 'a request to the control port failed');
      return sendProblem(reply, status, 'the proxy failed; its log says how');
    });
    this.#app.setNotFoundHandler((request, reply) => refuseUnknown(request, reply, routes));
    addRoutes(this.#app);
  }

  /** @returns the bound `host:port`; rejects when it cannot be bound. */
  async listen(address: { readonly host: string; readonly port: number }): Promise<string> {
    return (await this.#app.listen({ ...address })).replace(/^http:\/\//, '');
  }

  /** Finishes what is under way, within a second. */
  async close(): Promise<void> {
    const timer = setTimeout(() => this.#app.server.closeAllConnections(), CLOSE_MS);
    await this.#app.close();
    clearTimeout(timer);
  }
}

/** Methods by path pattern, filled as routes are added. */
function knownRoutes(app: FastifyInstance): ReadonlyMap<string, Set<string>> {
  const routes = new Map<string, Set<string>>();
  app.addHook('onRoute', ({ url, method }) => {
    const methods = routes.get(url) ?? new Set<string>();
    for (const one of typeof method === 'string' ? [method] : method) methods.add(one);
    routes.set(url, methods);
  });
  return routes;
}

function refuseUnknown(
  request: FastifyRequest,
  reply: FastifyReply,
  routes: ReadonlyMap<string, ReadonlySet<string>>,
): FastifyReply {
  const path = request.url.replace(/\?.*$/s, '');
  for (const [pattern, methods] of routes) {
    if (!matches(pattern, path)) continue;
    const allow = [...methods].join(', ');
    return sendProblem(reply.header('allow', allow), 405, `allowed here: ${allow}; given ${request.method}`);
  }
  return sendProblem(reply, 404, `there is no resource ${path.slice(0, 200)}`);
}

/** `/regions/:id` takes one segment for `:id`. */
function matches(pattern: string, path: string): boolean {
  const wanted = pattern.split('/');
  const given = path.split('/');
  return (
    wanted.length === given.length && wanted.every((part, i) => part.startsWith(':') || part === given[i])
  );
}

/** Something that is no HTTP, or too much of it. */
function refuseConnection(error: NodeJS.ErrnoException, socket: Socket): void {
  if (!socket.writable) return void socket.destroy();
  socket.end(
    error.code === 'HPE_HEADER_OVERFLOW'
      ? rawProblem(431, 'Request Header Fields Too Large', 'the header is too large')
      : error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
        ? rawProblem(408, 'Request Timeout', 'the request did not arrive in time')
        : rawProblem(400, 'Bad Request', 'this is no HTTP/1.1 request'),
  );
}

/** What a proxy serves. */
export function proxyRoutes(source: ControlSource): (app: FastifyInstance) => void {
  return (app) => {
    healthRoutes(app, source);
    metricsRoutes(app, source);
    planRoutes(app, source);
    regionRoutes(app, source);
    explainRoutes(app, source);
    policyRoutes(app, source);
    tracingRoutes(app, source);
    streamRoutes(app, source);
    engineRoutes(app, () => source.engine(), source.desk);
    const description = openApi();
    app.get('/openapi.json', async () => description);
    planCommandRoutes(app, () => source.engine(), source.desk);
    dashboardRoutes(app);
  };
}
