// GET /regions: weights, load and servers of every region as this process sees them. POST drain, undrain,
// maintenance, weight: a human's word, which wins over every prediction and stays until it is taken back or its time
// is over. GET /shards: who owns what. GET /audit: who changed what, and why.

import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { ownOf } from '../../core/own.ts';
import { parseDuration } from '../../core/units.ts';
import { OVERRIDE_KINDS, type RegionOverride } from '../../state/region-overrides.ts';
import type { DeskResult } from '../desk-port.ts';
import { sendProblem } from '../problem.ts';
import { parsed, wholeText } from '../query.ts';
import type { ControlSource, OverrideSource } from '../source.ts';
import { cause, whoOf } from './cause.ts';

const mustSay = {
  ...cause,
  reason: z.string().trim().min(1).max(500).describe('Why; it stands in the audit log.'),
};
const lasting = { ...mustSay, for: z.string().max(16).optional().describe('30m; default: until undrain.') };

export const undrainBody = z.strictObject(mustSay);
export const drainBody = z.strictObject(lasting);
export const weightBody = z.strictObject({ ...lasting, weight: z.number().min(0).max(1000) });
export const auditQuery = z.strictObject({ limit: wholeText(1, 1000).prefault('100') });

const BODIES = { drain: drainBody, maintenance: drainBody, weight: weightBody } as const;

interface RegionParams {
  Params: { id: string };
}

export function regionRoutes(app: FastifyInstance, source: ControlSource): void {
  app.get('/regions', async () => ({ regions: source.regions() }));
  app.get('/shards', async () => source.shards());
  overrideRoutes(app, source);
}

/** Where a plan is made they are part of it; see `change` for a proxy whose plan is made elsewhere. */
export function overrideRoutes(app: FastifyInstance, source: OverrideSource): void {
  for (const kind of OVERRIDE_KINDS) {
    app.post<RegionParams>(`/regions/:id/${kind}`, async (request, reply) => {
      const body = parsed(BODIES[kind], request.body, reply);
      if (body === undefined) return reply;
      const lasts = body.for === undefined ? undefined : parseDuration(body.for);
      if (lasts?.ok === false) return sendProblem(reply, 400, `for: must be ${lasts.allowed}`);
      if (lasts?.value === 0) return sendProblem(reply, 400, `for: must be above 0, given ${body.for}`);
      const now = source.now();
      return change(request, reply, source, body, {
        kind,
        reason: body.reason,
        by: body.by,
        at: new Date(now).toISOString(),
        ...('weight' in body && { weight: body.weight }),
        ...(lasts !== undefined && { until: new Date(now + lasts.value).toISOString() }),
      });
    });
  }
  app.post<RegionParams>('/regions/:id/undrain', async (request, reply) => {
    const body = parsed(undrainBody, request.body, reply);
    return body === undefined ? reply : change(request, reply, source, body, undefined);
  });
  app.get('/audit', async (request, reply) => {
    const query = parsed(auditQuery, request.query, reply);
    return query === undefined ? reply : { entries: await source.desk.audit(query.limit) };
  });
}

// Nobody may place keys by weights that the others do not have (design, decision 2): taking all away is another thing,
// then the ordered fallbacks serve, as they do when a region fails.
const NOT_HERE =
  'a weight above 0 is part of the plan, which the engine at pae.source makes: ask it, POST /regions/ID/weight at its address; drain, maintenance and weight 0 hold here';

/** @param override undefined takes back what was said before. */
async function change(
  request: FastifyRequest<RegionParams>,
  reply: FastifyReply,
  { desk, overrideScope }: OverrideSource,
  { by, reason }: { readonly by: string; readonly reason: string },
  override: RegionOverride | undefined,
): Promise<object> {
  const { id } = request.params;
  if (!desk.written.regions.some((region) => region.id === id)) {
    return sendProblem(reply, 404, `there is no region ${id.slice(0, 63)}`);
  }
  const scope = overrideScope();
  if (scope === 'this_proxy' && (override?.weight ?? 0) > 0) return sendProblem(reply, 409, NOT_HERE);
  const from = ownOf(desk.overrides, id) ?? null;
  const result = await desk.override(id, override, {
    who: whoOf(request, by),
    what: `region.${override?.kind ?? 'undrain'}`,
    target: id,
    to: override ?? null,
    why: reason,
  });
  if (!result.ok) return refuseChange(reply, result);
  return { region: id, override: override ?? null, before: from, scope };
}

export function refuseChange(reply: FastifyReply, result: Extract<DeskResult, { ok: false }>): FastifyReply {
  return sendProblem(reply, result.status, result.problems.join('; '), undefined, {
    problems: result.problems,
  });
}
