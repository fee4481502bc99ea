// GET /event_tracing and /event_tracing/{requestId}: why requests went where they did. The workers hold the
// traces and are asked, so a trace can be read as soon as its request has ended.

import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import type { KeptFor, TraceRecord } from '../../proxy/trace-record.ts';
import { sendProblem } from '../problem.ts';
import { momentOf, parsed, wholeText } from '../query.ts';
import type { ControlSource } from '../source.ts';
import { traceDocument } from '../trace-document.ts';

const KINDS = ['error', 'retry', 'moved', 'slow', 'sample'] as const satisfies readonly KeptFor[];
const MAX_TRACES = 1000;

export const traceQuery = z.strictObject({
  region: z.string().max(63).optional().describe('Decided for, or tried.'),
  status: z
    .string()
    .regex(/^(\d{1,3}|[1-5]xx)$/, 'must be a status (503), or a class of them (5xx)')
    .optional()
    .describe('A status, or a class of them: 5xx.'),
  since: z.string().max(40).optional().describe('ISO 8601, or a duration before now: 5m.'),
  kept: z.enum(KINDS).optional().describe('Why it was kept.'),
  limit: wholeText(1, MAX_TRACES).prefault('100').describe('Most traces of the answer.'),
});

export function tracingRoutes(app: FastifyInstance, source: ControlSource): void {
  app.get('/event_tracing', async (request, reply) => {
    const query = parsed(traceQuery, request.query, reply);
    if (query === undefined) return reply;
    const { region, status, kept, limit } = query;
    const since = query.since === undefined ? undefined : momentOf(query.since, source.now());
    if (query.since !== undefined && since === undefined) {
      return sendProblem(reply, 400, `since: must be ISO 8601 or a duration like 5m, given ${query.since}`);
    }
    const traces = await source.traces({
      limit,
      ...(region !== undefined && { region }),
      ...(since !== undefined && { since }),
      ...(kept !== undefined && { keptFor: kept }),
      ...(status !== undefined && {
        status: status.endsWith('xx') ? { hundreds: Number(status[0]) } : Number(status),
      }),
    });
    return { traces: traces.map((record) => documentOf(record, source)) };
  });
  app.get<{ Params: { requestId: string } }>('/event_tracing/:requestId', async (request, reply) => {
    const { requestId } = request.params;
    const [record] = await source.traces({ requestId: requestId.slice(0, 128), limit: 1 });
    if (record !== undefined) return documentOf(record, source);
    return sendProblem(
      reply,
      404,
      'no trace of this request is kept: it has not ended, was not sampled, or has made room for later ones',
    );
  });
}

function documentOf(record: TraceRecord, source: ControlSource): object {
  return traceDocument(record, source.plannedRegions(record.plan));
}
