// The engine's resources: POST /telemetry, GET /risk_scores, GET, POST and DELETE /external_events. The same
// on a proxy's control port and on `foreshard pae`.

import type { FastifyInstance, FastifyReply } from 'fastify';
import { parseDuration } from '../../core/units.ts';
import type { EngineAsk, EnginePort } from '../engine-port.ts';
import { sendProblem } from '../problem.ts';

/** Asks the engine and answers what it said; without one, says that none runs here. */
export async function relayTo(
  engine: EnginePort | undefined,
  reply: FastifyReply,
  ask: EngineAsk,
): Promise<FastifyReply> {
  if (engine === undefined) {
    sendProblem(reply, 503, 'no engine runs in this process: pae.mode is off or pae.source names another');
    return reply;
  }
  const { status, body } = await engine.ask(ask);
  if (typeof body === 'string') sendProblem(reply, status, body);
  else reply.code(status).send(body);
  return reply;
}

/** @param port undefined answers say that no engine runs here. */
export function engineRoutes(app: FastifyInstance, port: () => EnginePort | undefined): void {
  const relay = (reply: FastifyReply, ask: EngineAsk): Promise<FastifyReply> => relayTo(port(), reply, ask);
  app.post<{ Querystring: { backfill?: string } }>('/telemetry', (request, reply) =>
    relay(reply, { kind: 'telemetry', body: request.body, isBackfill: request.query.backfill === '1' }),
  );
  app.post('/shard_loads', (request, reply) => relay(reply, { kind: 'shard_loads', body: request.body }));
  app.get<{ Querystring: { history?: string } }>('/risk_scores', async (request, reply) => {
    const { history = '0' } = request.query;
    const parsed = parseDuration(history);
    if (!parsed.ok) {
      sendProblem(reply, 400, `history: must be ${parsed.allowed}, given ${history}`);
      return reply;
    }
    return relay(reply, { kind: 'risk_scores', historyMs: parsed.value });
  });
  app.get('/capacity_forecast', (_request, reply) => relay(reply, { kind: 'capacity_forecast' }));
  app.get('/external_events', (_request, reply) => relay(reply, { kind: 'events' }));
  app.post('/external_events', (request, reply) => relay(reply, { kind: 'add_event', body: request.body }));
  app.delete<{ Params: { id: string } }>('/external_events/:id', (request, reply) =>
    relay(reply, { kind: 'remove_event', id: request.params.id }),
  );
}
