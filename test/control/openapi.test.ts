// What /openapi.json says is what is served; made-up requests are answered with what it describes, never a fault.

import fc from 'fast-check';
import t from 'tap';
import { OPERATIONS } from '../../src/control/openapi.ts';
import { until } from '../rig/engine-client.ts';
import { proxyConfig, startProxy } from '../rig/proxy.ts';
import { startServer } from '../rig/server.ts';
import { UNWATCHED } from '../rig/wire.ts';

const server = await startServer(t, 'up');
const proxy = await startProxy(
  t,
  proxyConfig({
    health: UNWATCHED,
    pae: { mode: 'auto', evaluateEvery: '1s' },
    regions: [{ id: 'up', servers: [server.url] }],
  }),
);
// The engine starts after the proxy serves; without it half of the API only says that it is not there.
await until(async () => {
  const { status } = await fetch(`${proxy.controlUrl}/risk_scores`);
  return status === 200 || undefined;
}, 'the engine');

interface Description {
  readonly openapi: string;
  readonly paths: Readonly<
    Record<
      string,
      Readonly<Record<string, { parameters: { name: string; in: string }[]; requestBody?: object }>>
    >
  >;
}

interface Schema {
  readonly properties?: object;
  readonly anyOf?: readonly Schema[];
}

interface Body {
  readonly content: { readonly 'application/json': { readonly schema: Schema } };
}

const description = (await (await fetch(`${proxy.controlUrl}/openapi.json`)).json()) as Description;
const operations = Object.entries(description.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]) => ({ path, method, operation })),
);

t.test('every operation of the description is served, with the methods it names', async (t) => {
  t.equal(description.openapi, '3.1.0');
  t.equal(operations.length, OPERATIONS.length);
  for (const path of Object.keys(description.paths)) {
    const answer = await fetch(`${proxy.controlUrl}${path.replace(/{\w+}/g, 'x')}`, { method: 'PATCH' });
    t.equal(answer.status, 405, path);
    const allowed = answer.headers.get('allow')!.toLowerCase().split(', ');
    for (const { method } of operations.filter((one) => one.path === path))
      t.ok(allowed.includes(method), path);
  }
});

t.test('what is posted is described by its fields', async (t) => {
  const posted = operations.filter(({ operation }) => operation.requestBody !== undefined);
  t.ok(posted.length > 10);
  for (const { path, method, operation } of posted) {
    const { schema } = (operation.requestBody as Body).content['application/json'];
    const [first = schema] = schema.anyOf ?? [];
    t.ok(Object.keys(first.properties ?? {}).length > 0, `${method} ${path}`);
  }
});

t.test('made-up requests get JSON or a problem document, and nothing fails inside', async (t) => {
  const word = fc.oneof(
    fc.constantFrom('1', '0', '5m', 'up', 'x', '-1', '*', '"0"'),
    fc.string({ maxLength: 12 }),
  );
  const moment = fc.oneof(fc.constantFrom('2030-01-01T00:00:00Z', '2030-01-02T00:00:00Z'), word);
  const document = fc.oneof(
    fc.jsonValue({ maxDepth: 2 }),
    fc.record(
      {
        reason: fc.string({ maxLength: 8 }),
        weight: fc.oneof(fc.double(), fc.string()),
        for: word,
        policy: fc.constantFrom('round_robin', 'nothing'),
        regions: fc.array(fc.constantFrom('up', 'down'), { maxLength: 3 }),
        residency: fc.array(fc.constantFrom('up', 'down'), { maxLength: 3 }),
        method: word,
        url: word,
        kind: fc.constantFrom('maintenance', 'campaign', 'nothing'),
        title: word,
        start: moment,
        end: moment,
        severity: fc.oneof(fc.double(), word),
        generation: fc.oneof(fc.integer(), word),
        region: word,
        at: moment,
        metrics: fc.oneof(fc.constant({ cpu: 0.5 }), fc.dictionary(word, fc.oneof(fc.double(), word))),
      },
      { requiredKeys: [] },
    ),
  );
  const statuses = new Map<number, number>();
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...operations.filter(({ path }) => path !== '/stream')),
      fc.array(word, { minLength: 8, maxLength: 8 }),
      document,
      fc.boolean(),
      async ({ path, method, operation }, words, body, isGiven) => {
        const next = (): string => encodeURIComponent(words.pop() ?? 'x');
        const target = path.replace(/{\w+}/g, () => next() || 'x');
        const query = operation.parameters
          .filter((parameter) => parameter.in === 'query' && isGiven)
          .map(({ name }) => `${name}=${next()}`)
          .join('&');
        const hasBody = operation.requestBody !== undefined;
        const answer = await fetch(`${proxy.controlUrl}${target}?${query}`, {
          method: method.toUpperCase(),
          headers: {
            ...(hasBody && { 'content-type': 'application/json' }),
            ...(isGiven && { 'if-match': '*' }),
          },
          ...(hasBody && { body: JSON.stringify(body) }),
        });
        const text = await answer.text();
        statuses.set(answer.status, (statuses.get(answer.status) ?? 0) + 1);
        if (answer.status === 500) return false;
        if (answer.status < 400) return true;
        const problem = JSON.parse(text) as { status: number; title: string };
        return (
          answer.headers.get('content-type')!.startsWith('application/problem+json') &&
          problem.status === answer.status &&
          problem.title !== ''
        );
      },
    ),
    { numRuns: 400 },
  );
  t.ok(statuses.has(200) && statuses.has(400) && statuses.has(404), JSON.stringify([...statuses]));
  t.strictSame(
    proxy.log.filter(({ msg }) => msg === 'a request to the control port failed'),
    [],
  );
});

t.test('a body of thousands of levels is refused, where it would be copied to the engine, too', async (t) => {
  const body = '['.repeat(100_000) + ']'.repeat(100_000);
  for (const path of ['/telemetry', '/shard_loads', '/external_events', '/explain']) {
    const answer = await fetch(`${proxy.controlUrl}${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body,
    });
    t.match([answer.status, await answer.json()], [400, { title: /nested deeper than 64/ }], path);
  }
});
