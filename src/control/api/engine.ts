// The engine's resources: POST /telemetry, GET /risk_scores, GET, POST and DELETE /external_events. The same
// on a proxy's control port and on `foreshard pae`. What changes something stands in the audit log.

import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { parseDuration } from '../../core/units.ts';
import type { DeskPort } from '../desk-port.ts';
import type { EngineAnswer, EngineAsk, EnginePort } from '../engine-port.ts';
import { sendProblem } from '../problem.ts';
import { parsed } from '../query.ts';
import { cause, whoOf } from './cause.ts';

export const telemetryQuery = z.object({ backfill: z.enum(['0', '1']).default('0') });
export const historyQuery = z.object({ history: z.string().max(16).default('0').describe('1h; 0: none.') });
export const eventQuery = z.strictObject(cause);

/** What was said with a change. */
export interface Said {
  readonly what: string;
  readonly by: string;
  readonly reason: string;
}

export type AuditDesk = Pick<DeskPort, 'note'>;

const NOT_HERE = 'no engine runs in this process: pae.mode is off or pae.source names another';

/** Asks the engine and answers what it said; without one, says that none runs here. */
async function relay(
  engine: EnginePort | undefined,
  reply: FastifyReply,
  ask: EngineAsk,
): Promise<FastifyReply> {
  if (engine === undefined) return sendProblem(reply, 503, NOT_HERE);
  return answer(reply, await engine.ask(ask));
}

/** The same of what changes something, which is then in the audit log. */
export async function relayChange(
  { engine, desk }: { readonly engine: EnginePort | undefined; readonly desk: AuditDesk },
  request: FastifyRequest,
  reply: FastifyReply,
  { ask, what, by, reason }: Said & { readonly ask: EngineAsk },
): Promise<FastifyReply> {
  if (engine === undefined) return sendProblem(reply, 503, NOT_HERE);
  const said = await engine.ask(ask);
  if (said.change !== undefined) {
    try {
      await desk.note({ who: whoOf(request, by), what, why: reason, ...said.change });
    } catch (error) {
      return sendProblem(reply, 503, `it is done, but not in the audit log: ${(error as Error).message}`);
    }
  }
  return answer(reply, said);
}

function answer(reply: FastifyReply, { status, body, isJsonText }: EngineAnswer): FastifyReply {
  if (isJsonText) return reply.code(status).type('application/json; charset=utf-8').send(body);
  return typeof body === 'string' ? sendProblem(reply, status, body) : reply.code(status).send(body);
}

/** @param port undefined answers say that no engine runs here. */
export function engineRoutes(
  app: FastifyInstance,
  port: () => EnginePort | undefined,
  desk: AuditDesk,
): void {
  app.post('/telemetry', async (request, reply) => {
    const query = parsed(telemetryQuery, request.query, reply);
    if (query === undefined) return reply;
    const isBackfill = query.backfill === '1';
    return relay(port(), reply, { kind: 'telemetry', body: request.body, isBackfill });
  });
  app.post('/shard_loads', (request, reply) =>
    relay(port(), reply, { kind: 'shard_loads', body: request.body }),
  );
  app.get('/risk_scores', async (request, reply) => {
    const query = parsed(historyQuery, request.query, reply);
    if (query === undefined) return reply;
    const history = parseDuration(query.history);
    if (!history.ok) {
      return sendProblem(reply, 400, `history: must be ${history.allowed}, given ${query.history}`);
    }
    return relay(port(), reply, { kind: 'risk_scores', historyMs: history.value });
  });
  app.get('/capacity_forecast', (_request, reply) => relay(port(), reply, { kind: 'capacity_forecast' }));
  eventRoutes(app, port, desk);
}

function eventRoutes(app: FastifyInstance, port: () => EnginePort | undefined, desk: AuditDesk): void {
  app.get('/external_events', (_request, reply) => relay(port(), reply, { kind: 'events' }));
  app.post('/external_events', async (request, reply) => {
    const said = parsed(eventQuery, request.query, reply);
    if (said === undefined) return reply;
    const ask = { kind: 'add_event', body: request.body } as const;
    return relayChange({ engine: port(), desk }, request, reply, { ...said, what: 'event.add', ask });
  });
  app.delete<{ Params: { id: string } }>('/external_events/:id', async (request, reply) => {
    const said = parsed(eventQuery, request.query, reply);
    if (said === undefined) return reply;
    const ask = { kind: 'remove_event', id: request.params.id } as const;
    return relayChange({ engine: port(), desk }, request, reply, { ...said, what: 'event.remove', ask });
  });
}
