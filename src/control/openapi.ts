// The API described for programs (OpenAPI 3.1), made from the schemas that requests are parsed by. A test holds it to
// the routes that are served, and asks each with made-up requests.

import { z } from 'zod';
import { eventSchema } from '../analytics/ingest/external-event.ts';
import { telemetrySchema } from '../analytics/ingest/telemetry-document.ts';
import { policyDocument } from '../config/schema-policy.ts';
import { shardCountsDocument } from '../plan/shard-counts.ts';
import { eventQuery, historyQuery, telemetryQuery } from './api/engine.ts';
import { explainBody } from './api/explain.ts';
import { commandBody, planQuery, rollbackBody } from './api/plan.ts';
import { changeQuery, revisionsQuery } from './api/policies.ts';
import { auditQuery, drainBody, undrainBody, weightBody } from './api/regions.ts';
import { streamQuery } from './api/stream.ts';
import { traceQuery } from './api/tracing.ts';

interface Operation {
  readonly method: 'get' | 'post' | 'put' | 'delete';
  /** As fastify has it: `/regions/:id/drain`. */
  readonly path: string;
  readonly summary: string;
  readonly query?: z.ZodObject;
  readonly body?: z.ZodType;
  /** Header that must be given, but with a dry run. */
  readonly needs?: 'if-match';
  /** Where it is not JSON. */
  readonly answers?: string;
}

export const OPERATIONS: readonly Operation[] = [
  { method: 'get', path: '/healthz', summary: 'The process answers.' },
  { method: 'get', path: '/readyz', summary: 'It should get traffic.' },
  { method: 'get', path: '/metrics', summary: 'Prometheus metrics.', answers: 'text/plain' },
  { method: 'get', path: '/openapi.json', summary: 'This document.' },
  { method: 'get', path: '/plan', summary: 'The plan in force; a long poll with wait.', query: planQuery },
  { method: 'post', path: '/plan/accept', summary: 'Takes what is proposed.', body: commandBody },
  {
    method: 'post',
    path: '/plan/freeze',
    summary: 'Nothing moves but what is unavailable.',
    body: commandBody,
  },
  { method: 'post', path: '/plan/unfreeze', summary: 'Takes the freeze back.', body: commandBody },
  {
    method: 'post',
    path: '/plan/rollback',
    summary: 'Weights that were in force before.',
    body: rollbackBody,
  },
  { method: 'get', path: '/regions', summary: 'Weights, load and servers of every region.' },
  {
    method: 'post',
    path: '/regions/:id/drain',
    summary: 'Takes a region out, its keys with time.',
    body: drainBody,
  },
  {
    method: 'post',
    path: '/regions/:id/maintenance',
    summary: 'The same, for planned work.',
    body: drainBody,
  },
  { method: 'post', path: '/regions/:id/weight', summary: 'Another base weight.', body: weightBody },
  { method: 'post', path: '/regions/:id/undrain', summary: 'Takes back what was said.', body: undrainBody },
  { method: 'get', path: '/shards', summary: 'Who owns which shard, and what moves.' },
  { method: 'get', path: '/audit', summary: 'Who changed what, and why.', query: auditQuery },
  { method: 'post', path: '/explain', summary: 'Where a request would go, and why.', body: explainBody },
  { method: 'get', path: '/sharding_policies', summary: 'What the file says and what was changed.' },
  { method: 'get', path: '/sharding_policies/revisions', summary: 'Past policies.', query: revisionsQuery },
  { method: 'get', path: '/sharding_policies/:name', summary: 'One policy.' },
  {
    method: 'put',
    path: '/sharding_policies/:name',
    summary: 'Makes or changes a policy.',
    query: changeQuery,
    body: policyDocument,
    needs: 'if-match',
  },
  {
    method: 'delete',
    path: '/sharding_policies/:name',
    summary: 'Takes a policy out.',
    query: changeQuery,
    needs: 'if-match',
  },
  {
    method: 'post',
    path: '/sharding_policies/rollback/:revision',
    summary: 'Policies as they were; 0 = as the file says.',
    query: changeQuery,
    needs: 'if-match',
  },
  {
    method: 'get',
    path: '/event_tracing',
    summary: 'Requests that are kept, newest first.',
    query: traceQuery,
  },
  { method: 'get', path: '/event_tracing/:requestId', summary: 'Every decision of a request.' },
  {
    method: 'get',
    path: '/stream',
    summary: 'Changes as they come.',
    query: streamQuery,
    answers: 'text/event-stream',
  },
  {
    method: 'post',
    path: '/telemetry',
    summary: 'Measurements.',
    query: telemetryQuery,
    body: telemetrySchema,
  },
  {
    method: 'post',
    path: '/shard_loads',
    summary: 'Requests by shard, from proxies.',
    body: shardCountsDocument,
  },
  {
    method: 'get',
    path: '/risk_scores',
    summary: 'Risk of every region, with reasons.',
    query: historyQuery,
  },
  { method: 'get', path: '/capacity_forecast', summary: 'What regions will have to carry.' },
  { method: 'get', path: '/external_events', summary: 'Events that the engine knows.' },
  {
    method: 'post',
    path: '/external_events',
    summary: 'Adds an event.',
    query: eventQuery,
    body: eventSchema,
  },
  { method: 'delete', path: '/external_events/:id', summary: 'Takes an event out.', query: eventQuery },
];

const problem = {
  description: 'A problem document (RFC 9457).',
  content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
};

export function openApi(): object {
  const paths: Record<string, Record<string, object>> = {};
  for (const operation of OPERATIONS) {
    const path = operation.path.replace(/:(\w+)/g, '{$1}');
    paths[path] ??= {};
    paths[path][operation.method] = describe(operation);
  }
  return {
    openapi: '3.1.0',
    info: { title: 'Foreshard control API', version: '1' },
    security: [{}, { bearer: [] }],
    paths,
    components: {
      securitySchemes: { bearer: { type: 'http', scheme: 'bearer' } },
      schemas: {
        Problem: {
          type: 'object',
          required: ['type', 'title', 'status'],
          properties: {
            type: { type: 'string' },
            title: { type: 'string', description: 'What is wrong and what is allowed.' },
            status: { type: 'integer' },
            reason: { type: 'string', description: 'One word for programs.' },
            problems: { type: 'array', items: { type: 'string' } },
          },
        },
      },
    },
  };
}

function describe({ path, summary, query, body, needs, answers = 'application/json' }: Operation): object {
  const inPath = [...path.matchAll(/:(\w+)/g)].map(([, name]) => ({
    name,
    in: 'path',
    required: true,
    schema: { type: 'string' },
  }));
  const inQuery = Object.entries(query?.shape ?? {}).map(([name, schema]) => ({
    name,
    in: 'query',
    required: false,
    schema: schemaOf(schema as z.ZodType),
  }));
  const inHead =
    needs === undefined
      ? []
      : [
          {
            name: 'If-Match',
            in: 'header',
            required: false,
            description: 'The ETag that the change was made from; must be given unless dryRun is 1.',
            schema: { type: 'string' },
          },
        ];
  return {
    summary,
    parameters: [...inPath, ...inQuery, ...inHead],
    ...(body !== undefined && {
      requestBody: {
        required: !body.safeParse({}).success,
        content: { 'application/json': { schema: schemaOf(body) } },
      },
    }),
    responses: { '2XX': { description: summary, content: { [answers]: {} } }, default: problem },
  };
}

function schemaOf(schema: z.ZodType): object {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io: 'input', reused: 'inline' });
  return rest;
}
