// GET /stream: plan, risk, shift, health and samples of decisions as they come, by server-sent events.

import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import { sendProblem } from '../problem.ts';
import { parsed } from '../query.ts';
import type { ControlSource } from '../source.ts';
import { STREAM_EVENTS, type StreamEvent, StreamHub } from '../stream.ts';
import { ChangeFeed } from '../stream-feed.ts';

const isEvent = (word: string): word is StreamEvent => (STREAM_EVENTS as readonly string[]).includes(word);

export const streamQuery = z.strictObject({
  events: z
    .string()
    .max(100)
    .default(STREAM_EVENTS.join(','))
    .refine((list) => list.split(',').every(isEvent), `must be a list of ${STREAM_EVENTS.join(', ')}`)
    .describe(`Some of ${STREAM_EVENTS.join(', ')}; default: all.`),
});

export function streamRoutes(app: FastifyInstance, source: ControlSource): void {
  const hub = new StreamHub(new ChangeFeed(source));
  app.addHook('preClose', async () => hub.close());
  app.get('/stream', async (request, reply) => {
    const query = parsed(streamQuery, request.query, reply);
    if (query === undefined) return reply;
    if (hub.isFull) return sendProblem(reply.header('retry-after', 5), 503, 'as many watch already as may');
    reply.hijack();
    hub.add(reply.raw, new Set(query.events.split(',').filter(isEvent)));
    return reply;
  });
}
