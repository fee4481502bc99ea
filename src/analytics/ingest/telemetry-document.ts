// POST /telemetry: one document or an array of them -> samples, or the path of the first wrong field. All or
// nothing: a document that is wrong changes nothing. Pure.

import { z } from 'zod';
import {
  boundsOf,
  type Entity,
  groupEntity,
  MAX_NAME_CHARACTERS,
  METRIC_NAME,
  regionEntity,
  routeEntity,
  type Sample,
  SHARD_GROUPS,
  serverEntity,
} from './sample.ts';

export type ReadDocuments =
  | { readonly ok: true; readonly samples: readonly Sample[] }
  /** `path` as in `[3].metrics.cpu`; empty for the body as a whole. */
  | { readonly ok: false; readonly path: string; readonly problem: string };

/** Documents of one request; a proxy of 512 regions with 4,096 servers posts in several. */
export const MAX_DOCUMENTS = 5000;
const MAX_METRICS = 64;

const name = z.string().min(1).max(253);

const documentSchema = z
  .strictObject({
    region: name.optional(),
    server: name.optional(),
    route: name.optional(),
    shardGroup: z
      .int()
      .min(0)
      .max(SHARD_GROUPS - 1)
      .optional(),
    proxy: name.optional(),
    at: z.iso.datetime({ offset: true }),
    // Looked into by hand: a union of number and mapping would give the path of neither.
    metrics: z.record(z.string(), z.unknown()),
  })
  .readonly();
/** POST /telemetry. */
export const telemetrySchema = z.union([documentSchema, z.array(documentSchema).max(MAX_DOCUMENTS)]);

type Document = z.output<typeof documentSchema>;

/** @param body the parsed JSON of the request. */
export function readDocuments(body: unknown): ReadDocuments {
  const isList = Array.isArray(body);
  const documents: readonly unknown[] = isList ? body : [body];
  if (documents.length > MAX_DOCUMENTS) {
    return wrong('', `must be at most ${MAX_DOCUMENTS} documents, given ${documents.length}`);
  }
  const samples: Sample[] = [];
  for (const [i, document] of documents.entries()) {
    const at = isList ? `[${i}]` : '';
    const parsed = documentSchema.safeParse(document);
    if (!parsed.success) {
      return firstWrong(at, parsed.error.issues[0]!);
    }
    const problem = addSamples(parsed.data, at, samples);
    if (problem !== undefined) return problem;
  }
  return { ok: true, samples };
}

function addSamples(document: Document, path: string, into: Sample[]): ReadDocuments | undefined {
  const entity = entityOf(document);
  if (entity === undefined) {
    return wrong(
      joinPath(path, ['region']),
      'is required, unless the document is of a route or a shard group',
    );
  }
  const at = Date.parse(document.at);
  const metrics = flatten(document.metrics);
  if (metrics.length > MAX_METRICS) {
    return wrong(
      joinPath(path, ['metrics']),
      `must be at most ${MAX_METRICS} values, given ${metrics.length}`,
    );
  }
  for (const [steps, value] of metrics) {
    const metric = steps.join('.');
    const here = joinPath(path, ['metrics', ...steps]);
    if (!METRIC_NAME.test(metric) || metric.length > MAX_NAME_CHARACTERS) {
      return wrong(here, 'must be named with lower-case letters, digits and _, at most 96 of them');
    }
    const { least, most } = boundsOf(metric);
    if (typeof value !== 'number' || !(value >= least && value <= most)) {
      return wrong(here, `must be a number from ${least} to ${most}, given ${shown(value)}`);
    }
    into.push({ entity, metric, at, value, source: document.proxy ?? '' });
  }
  return undefined;
}

function firstWrong(start: string, issue: z.core.$ZodIssue): ReadDocuments {
  if (issue.code === 'unrecognized_keys') {
    const known = 'region, server, route, shardGroup, proxy, at, metrics';
    return wrong(joinPath(start, [...issue.path, issue.keys[0]!]), `is unknown; known are ${known}`);
  }
  const allowed =
    issue.path.length === 0 ? 'must be a JSON object, or an array of them' : ALLOWED[String(issue.path[0])];
  return wrong(joinPath(start, issue.path), allowed ?? issue.message);
}

const ALLOWED: Readonly<Record<string, string>> = {
  region: 'must be text of 1 to 253 characters',
  server: 'must be text of 1 to 253 characters',
  route: 'must be text of 1 to 253 characters',
  proxy: 'must be text of 1 to 253 characters',
  shardGroup: `must be a whole number from 0 to ${SHARD_GROUPS - 1}`,
  at: 'must be an ISO 8601 time with its offset, such as 2026-01-31T12:00:00Z',
  metrics: 'must be a mapping of names to numbers',
};

function entityOf({ region, server, route, shardGroup }: Document): Entity | undefined {
  if (region !== undefined) {
    return server === undefined ? regionEntity(region) : serverEntity(region, server);
  }
  if (route !== undefined) return routeEntity(route);
  return shardGroup === undefined ? undefined : groupEntity(shardGroup);
}

function flatten(metrics: Document['metrics']): [string[], unknown][] {
  return Object.entries(metrics).flatMap(([key, value]): [string[], unknown][] =>
    typeof value === 'object' && value !== null && !Array.isArray(value)
      ? Object.entries(value).map(([inner, of]): [string[], unknown] => [[key, inner], of])
      : [[[key], value]],
  );
}

function joinPath(start: string, steps: readonly PropertyKey[]): string {
  let path = start;
  for (const step of steps) {
    if (typeof step === 'number') path += `[${step}]`;
    else path += path === '' ? String(step) : `.${String(step)}`;
  }
  return path;
}

const shown = (value: unknown): string => (JSON.stringify(value) ?? String(value)).slice(0, 40);

function wrong(path: string, problem: string): ReadDocuments {
  return { ok: false, path, problem };
}
