// /sharding_policies: named policies, changed while the proxy runs. One revision number stands for all of them: a
// change must name the revision that it was made from (If-Match), and a lost race is a 412 that changes nothing.
// What the file says and what the API has changed are shown apart. `?dryRun=1` tells what a change would do.

import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { policyInForce } from '../../config/apply-policies.ts';
import { policyProblems } from '../../config/policy-problems.ts';
import { policyDocument } from '../../config/schema-policy.ts';
import { ownOf } from '../../core/own.ts';
import type { DeskPort, PolicyDocuments } from '../desk-port.ts';
import { sendProblem } from '../problem.ts';
import { parsed, wholeText } from '../query.ts';
import type { ControlSource } from '../source.ts';
import { cause, whoOf } from './cause.ts';
import { refuseChange } from './regions.ts';

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/;

// Nobody could ask for such a policy.
const RESERVED = new Set(['revisions']);

export const changeQuery = z.strictObject({
  dryRun: z.enum(['0', '1']).default('0').describe('1: say what would happen and change nothing.'),
  ...cause,
});
export const revisionsQuery = z.strictObject({ limit: wholeText(1, 1000).prefault('50') });

interface NameParams {
  Params: { name: string };
}

export function policyRoutes(app: FastifyInstance, source: ControlSource): void {
  const { desk } = source;
  app.get('/sharding_policies', async (_request, reply) => {
    reply.header('etag', tagOf(desk));
    const { revision, refusedReload = null } = desk;
    return { revision, refusedReload, policies: namesOf(desk).map((name) => shown(desk, name)) };
  });
  app.get('/sharding_policies/revisions', async (request, reply) => {
    const query = parsed(revisionsQuery, request.query, reply);
    return query === undefined ? reply : { revisions: await desk.revisions(query.limit) };
  });
  app.get<NameParams>('/sharding_policies/:name', async (request, reply) => {
    const { name } = request.params;
    if (!namesOf(desk).includes(name))
      return sendProblem(reply, 404, `there is no policy ${name.slice(0, 63)}`);
    reply.header('etag', tagOf(desk));
    return shown(desk, name);
  });
  app.put<NameParams>('/sharding_policies/:name', async (request, reply) => {
    const { name } = request.params;
    if (!NAME.test(name)) return sendProblem(reply, 400, `name: must match ${NAME.source}`);
    if (RESERVED.has(name)) return sendProblem(reply, 400, `name: ${name} is a resource of its own`);
    return change(request, reply, source, {
      what: 'policy.put',
      target: name,
      document: request.body ?? null,
      make: (before) => ({ ...before, [name]: request.body }),
    });
  });
  app.delete<NameParams>('/sharding_policies/:name', async (request, reply) => {
    const { name } = request.params;
    if (!namesOf(desk).includes(name))
      return sendProblem(reply, 404, `there is no policy ${name.slice(0, 63)}`);
    const isWritten = desk.written.shardingPolicies.some((policy) => policy.name === name);
    return change(request, reply, source, {
      what: 'policy.delete',
      target: name,
      make: ({ [name]: _, ...others }) => (isWritten ? { ...others, [name]: null } : others),
    });
  });
  app.post<{ Params: { revision: string } }>(
    '/sharding_policies/rollback/:revision',
    async (request, reply) => {
      const number = Number(request.params.revision);
      const past = /^\d{1,15}$/.test(request.params.revision) ? await pastOf(desk, number) : undefined;
      if (past === undefined)
        return sendProblem(reply, 404, `no revision ${request.params.revision.slice(0, 15)} is kept`);
      return change(request, reply, source, {
        what: 'policy.rollback',
        target: String(number),
        make: () => past,
      });
    },
  );
}

/** Revision 0 is what the file says, before the first change. */
async function pastOf(desk: DeskPort, revision: number): Promise<PolicyDocuments | undefined> {
  return revision === 0 ? {} : (await desk.revisionOf(revision))?.policies;
}

interface PolicyChange {
  readonly what: string;
  readonly target: string;
  /** The new policy as it was given; undefined where none is. */
  readonly document?: unknown;
  make(before: PolicyDocuments): PolicyDocuments;
}

async function change(
  request: FastifyRequest,
  reply: FastifyReply,
  source: ControlSource,
  { what, target, document, make }: PolicyChange,
): Promise<object> {
  const { desk } = source;
  const query = parsed(changeQuery, request.query, reply);
  if (query === undefined) return reply;
  const wrong = document === undefined ? [] : policyProblems(document);
  if (query.dryRun === '1') {
    if (wrong.length > 0) return { valid: false, problems: wrong, violatedPolicies: [] };
    return dryRun(source, make(desk.policies));
  }
  if (wrong.length > 0) return sendProblem(reply, 400, wrong.join('; '), undefined, { problems: wrong });
  const condition = request.headers['if-match'];
  if (condition === undefined) {
    return sendProblem(
      reply,
      428,
      `If-Match is required: the ETag of GET /sharding_policies (${tagOf(desk)}), or *`,
    );
  }
  const isCurrent = (revision: number): boolean =>
    condition.split(',').some((tag) => ['*', tagFor(revision)].includes(tag.trim()));
  const said = (documents: PolicyDocuments): unknown =>
    what === 'policy.rollback' ? documents : (ownOf(documents, target) ?? null);
  const result = await desk.changePolicies(make, isCurrent, (before, after) => ({
    who: whoOf(request, query.by),
    what,
    target,
    from: said(before),
    to: said(after),
    why: query.reason,
  }));
  reply.header('etag', tagOf(desk));
  if (result === 'stale') {
    return sendProblem(
      reply,
      412,
      `the policies have changed since; they are now ${tagOf(desk)}, given ${condition.slice(0, 100)}`,
    );
  }
  if (!result.ok) return refuseChange(reply, result);
  return { revision: desk.revision, policies: namesOf(desk).map((name) => shown(desk, name)) };
}

async function dryRun(source: ControlSource, documents: PolicyDocuments): Promise<object> {
  const { desk } = source;
  const made = desk.madeOf(desk.written, documents);
  if (!made.ok) return { valid: false, problems: made.problems, violatedPolicies: made.violations };
  return { valid: true, problems: [], ...(await source.previewOf(made.config)) };
}

const tagFor = (revision: number): string => `"${revision}"`;
const tagOf = (desk: DeskPort): string => tagFor(desk.revision);

function namesOf({ written, policies }: DeskPort): string[] {
  const all = new Set([...written.shardingPolicies.map(({ name }) => name), ...Object.keys(policies)]);
  return [...all].sort();
}

/** What the file says, what the API has changed, and what holds. */
function shown(desk: DeskPort, name: string): object {
  const { written, policies } = desk;
  const file = written.shardingPolicies.find((policy) => policy.name === name);
  const changed = ownOf(policies, name);
  const isChanged = changed !== undefined;
  const parsedChange = isChanged && changed !== null ? policyDocument.safeParse(changed).data : null;
  const changes = isChanged ? { [name]: parsedChange ?? null } : {};
  return {
    name,
    source: isChanged ? 'api' : 'file',
    file: file === undefined ? null : { ...file, name: undefined },
    api: isChanged ? changed : null,
    isDeleted: changed === null,
    inForce: policyInForce(written, changes, name) ?? null,
    usedBy: written.routes.filter((route) => route.shardingPolicy === name).map(({ id }) => id),
  };
}
