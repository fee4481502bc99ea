// What servers and operators tell a manager: register, renew, drain, deregister; and what proxies ask it: the
// report, long-polled. Documents are small and bounded; what is wrong is answered with the path of the first
// wrong field and changes nothing.

import type { FastifyInstance, FastifyReply } from 'fastify';
import { z } from 'zod';
import { parseDuration } from '../../core/units.ts';
import { sendProblem } from '../problem.ts';
import { parsed } from '../query.ts';
import type { MemberVerdict, RemSource } from '../rem-source.ts';

const serverId = z
  .string()
  .min(1)
  .max(256)
  .regex(/^[\x21-\x7e]+$/, 'must be visible ASCII');
const incarnation = z
  .union([z.string().regex(/^[0-9A-Za-z]{1,64}$/, 'must be a number or a ULID'), z.int().min(0)])
  .transform(String);

const registration = z.strictObject({
  serverId,
  incarnation,
  url: z
    .string()
    .max(512)
    .regex(/^https?:\/\/(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:\d{1,5})?\/?$/, 'must be http://HOST:PORT')
    // A port above 65535, an IPv6 address that is none.
    .refine((text) => URL.canParse(text), 'must be http://HOST:PORT'),
  zone: z.string().max(63).default(''),
  weight: z.number().min(0.01).max(1000).default(1),
  capacity: z.number().min(0.001).max(1e9).optional(),
  labels: z
    .record(z.string().min(1).max(63), z.string().max(256))
    .refine((labels) => Object.keys(labels).length <= 32, 'must have at most 32 entries')
    .default({}),
  /** Path of its own metrics: on its own address, or a registration could make the manager ask anybody. */
  metrics: z
    .string()
    .max(256)
    .regex(/^\/[\x21-\x7e]*$/, 'must be a path')
    .optional(),
  epoch: z.int().min(0).optional(),
});

const renewal = z.strictObject({ serverId, incarnation });

const drainOrder = z.strictObject({
  serverId: serverId.optional(),
  /** `30s`; default: the configuration's. */
  deadline: z.string().max(16).optional(),
});

const deregistration = z.strictObject({ incarnation: incarnation.optional() });

const reportQuery = z.strictObject({
  after: z.coerce.number().int().min(0).optional(),
  wait: z.string().max(16).optional(),
  proxy: z.string().min(1).max(128).optional(),
  ack: z.coerce.number().int().min(0).optional(),
  addresses: z.string().max(2048).optional(),
});

export function memberRoutes(app: FastifyInstance, source: RemSource): void {
  app.post('/register', async (request, reply) => {
    const body = parsed(registration, request.body, reply);
    if (body === undefined) return reply;
    const { serverId: id, url, metrics, ...rest } = body;
    const { origin } = new URL(url);
    const verdict = source.register({
      ...rest,
      id,
      url: origin,
      ...(metrics !== undefined && { metrics: `${origin}${metrics}` }),
      capacity: rest.capacity,
      epoch: rest.epoch,
    });
    return answer(verdict, reply);
  });
  app.post('/renew', async (request, reply) => {
    const body = parsed(renewal, request.body, reply);
    if (body === undefined) return reply;
    return answer(source.renew(body.serverId, body.incarnation), reply);
  });
  app.post('/drain', async (request, reply) => {
    const body = parsed(drainOrder, request.body ?? {}, reply);
    if (body === undefined) return reply;
    const deadline = durationOf('deadline', body.deadline, reply);
    if (deadline === 'wrong') return reply;
    return answer(source.drain(body.serverId, deadline), reply, 202);
  });
  app.post('/undrain', async (request, reply) => {
    const body = parsed(drainOrder.pick({ serverId: true }), request.body ?? {}, reply);
    if (body === undefined) return reply;
    return answer(source.undrain(body.serverId), reply);
  });
  app.delete<{ Params: { serverId: string } }>('/register/:serverId', async (request, reply) => {
    const query = parsed(deregistration, request.query, reply);
    if (query === undefined) return reply;
    return answer(source.deregister(request.params.serverId, query.incarnation), reply);
  });
}

/** The report; with `after` and `wait` answered when there is a later one. */
export function reportRoute(app: FastifyInstance, source: RemSource): void {
  app.get('/report', async (request, reply) => {
    const query = parsed(reportQuery, request.query, reply);
    if (query === undefined) return reply;
    const wait = durationOf('wait', query.wait, reply);
    if (wait === 'wrong') return reply;
    if (query.proxy !== undefined) {
      const addresses = query.addresses?.split(',').filter((address) => address !== '') ?? [];
      source.heardOf(query.proxy, query.ack ?? 0, addresses.slice(0, MAX_ADDRESSES));
    }
    const { after } = query;
    // One above ours is of another life of this manager, which its proxy has to hear of at once.
    if (after === source.epoch) {
      await source.changeAfter(after, Math.min(LONGEST_WAIT_MS, wait ?? 0));
    }
    reply.header('etag', `"${source.epoch}"`);
    if (after === source.epoch) return reply.code(304).send();
    return source.report();
  });
}

// A longer poll would outlive what common proxies between keep idle.
const LONGEST_WAIT_MS = 60_000;
const MAX_ADDRESSES = 64;

function durationOf(
  name: string,
  text: string | undefined,
  reply: FastifyReply,
): number | undefined | 'wrong' {
  if (text === undefined) return undefined;
  const duration = parseDuration(text);
  if (duration.ok) return duration.value;
  sendProblem(reply, 400, `${name}: must be ${duration.allowed}, given ${text}`);
  return 'wrong';
}

function answer(verdict: MemberVerdict, reply: FastifyReply, status = 200): object {
  if (verdict.ok) {
    reply.code(status);
    return verdict.body;
  }
  if (verdict.retryAfterSeconds !== undefined) reply.header('retry-after', verdict.retryAfterSeconds);
  sendProblem(reply, verdict.status, verdict.detail, verdict.reason);
  return reply;
}
