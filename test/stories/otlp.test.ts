// Spans arrive at a collector: a real OTLP/HTTP receiver that the test starts.

import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import t, { type Test } from 'tap';
import { controlJson, metricOf } from '../rig/control.ts';
import { post, until } from '../rig/engine-client.ts';
import { proxyConfig, startProxy } from '../rig/proxy.ts';
import { startServer } from '../rig/server.ts';
import { UNWATCHED } from '../rig/wire.ts';

interface Span {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly name: string;
  readonly kind: number;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly status: { readonly code?: number };
  readonly attributes: readonly { key: string; value: Record<string, unknown> }[];
}

async function startCollector(t: Test) {
  const spans: Span[] = [];
  const paths = new Set<string>();
  const server = createServer(async (request, response) => {
    paths.add(`${request.method} ${request.url} ${request.headers['content-type']}`);
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const body = JSON.parse(Buffer.concat(chunks).toString()) as {
      resourceSpans: { scopeSpans: { spans: Span[] }[] }[];
    };
    for (const { scopeSpans } of body.resourceSpans) for (const one of scopeSpans) spans.push(...one.spans);
    response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  /** Spans of a trace, once there are so many. */
  const spansOf = async (traceId: string, count: number): Promise<Span[]> => {
    for (let tries = 0; tries < 1000; tries++) {
      const found = spans.filter((span) => span.traceId === traceId);
      if (found.length >= count) return found;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    throw new Error(`${count} spans of ${traceId} did not come; there are ${JSON.stringify(spans)}`);
  };
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, spans, paths, spansOf };
}

const attribute = (span: Span, key: string): unknown =>
  Object.values(span.attributes.find((one) => one.key === key)?.value ?? {})[0];

const parts = (url: string, sample: number) => ({
  health: UNWATCHED,
  trace: { sample },
  otlp: { url },
  routes: [{ id: 'all', policy: 'consistent_hash', key: { from: [{ path: 1 }] } }],
});

const PARENT = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331';

t.test(
  'a sampled request and its attempts are spans of one trace, and the server belongs under its attempt',
  async (t) => {
    const collector = await startCollector(t);
    const fine = await startServer(t, 'fine', (_request, response) => response.writeHead(200).end());
    const failing = await startServer(t, 'failing', (_request, response) => response.writeHead(503).end());
    const regions = [
      { id: 'east', servers: [fine.url] },
      { id: 'west', servers: [failing.url] },
    ];
    const proxy = await startProxy(t, proxyConfig({ ...parts(collector.url, 1), regions }));
    let id = '';
    for (let i = 0; failing.seen.length === 0; i++) {
      const answer = await fetch(`${proxy.url}/sEcReT${i}?q=sEcReT`, {
        headers: { traceparent: `${PARENT}-01` },
      });
      id = answer.headers.get('foreshard-request-id')!;
    }
    const spans = await collector.spansOf(id, 3);
    const [request] = spans.filter(({ kind }) => kind === 2);
    const attempts = spans.filter(({ kind }) => kind === 3);
    t.equal(spans.length, 3);
    t.notOk(request!.parentSpanId, "a stranger's traceparent is not believed");
    t.equal(request!.name, 'GET all');
    t.equal(attribute(request!, 'url.path'), '/:key');
    t.equal(attribute(request!, 'foreshard.region'), 'east', 'where it was answered');
    t.ok(attempts.every(({ parentSpanId }) => parentSpanId === request!.spanId));
    const [first, second] = attempts.sort((a, b) => (a.startTimeUnixNano < b.startTimeUnixNano ? -1 : 1));
    t.equal(attribute(first!, 'foreshard.region'), 'west');
    t.equal(first!.status.code, 2, 'an error');
    t.equal(attribute(first!, 'server.address'), '127.0.0.1');
    t.equal(Number(attribute(first!, 'server.port')), Number(new URL(failing.url).port));
    t.equal(attribute(second!, 'foreshard.retry_cause'), '503');
    const handed = [failing.seen[0]!, fine.seen.at(-1)!].map(({ headers }) => headers.traceparent);
    t.strictSame(handed, [`00-${id}-${first!.spanId}-01`, `00-${id}-${second!.spanId}-01`]);
    t.strictSame([...collector.paths], ['POST /v1/traces application/json']);
    t.notMatch(JSON.stringify(collector.spans), 'sEcReT');
    await proxy.stop();
  },
);

t.test('a trusted caller decides whether its trace goes on; what waits is sent at the end', async (t) => {
  const collector = await startCollector(t);
  const fine = await startServer(t, 'fine', (_request, response) => response.writeHead(200).end());
  const proxy = await startProxy(
    t,
    proxyConfig({
      ...parts(collector.url, 0),
      trustedProxies: ['127.0.0.1/32'],
      regions: [{ id: 'east', servers: [fine.url] }],
    }),
  );
  const ask = (flags: string | undefined): Promise<Response> =>
    fetch(`${proxy.url}/x`, { headers: flags === undefined ? {} : { traceparent: `${PARENT}-${flags}` } });
  await ask(undefined);
  await ask('00');
  await ask('01');
  await proxy.stop();
  const [request] = collector.spans.filter(({ kind }) => kind === 2);
  t.equal(collector.spans.length, 2, 'one request with one attempt, of three requests');
  t.equal(request!.traceId, PARENT.slice(3, 35));
  t.equal(request!.parentSpanId, PARENT.slice(36));
  t.match(fine.seen[0]!.headers.traceparent, /-00$/);
  t.match(fine.seen[1]!.headers.traceparent, new RegExp(`^${PARENT.slice(0, 35)}-[0-9a-f]{16}-00$`));
  t.notMatch(fine.seen[1]!.headers.traceparent, PARENT.slice(36), 'the parent is this proxy');
});

t.test('a collector that is not there costs spans, which are counted, and no request', async (t) => {
  const fine = await startServer(t, 'fine');
  const regions = [{ id: 'east', servers: [fine.url] }];
  const nobody = await startServer(t, 'nobody');
  await nobody.close();
  const proxy = await startProxy(t, proxyConfig({ ...parts(nobody.url, 1), regions }));
  for (let i = 0; i < 5; i++) t.equal((await fetch(`${proxy.url}/x`)).status, 200);
  await proxy.waitForLog(({ msg }) => msg === 'spans could not be exported');
  t.ok((await metricOf(proxy.controlUrl, 'foreshard_spans_total', 'result="failed"')) > 0);
});

t.test(
  'a new plan is a trace: engine and proxy tell its steps in it, and the shift that it began',
  async (t) => {
    const collector = await startCollector(t);
    const regions = await Promise.all(
      ['a', 'b'].map(async (id) => ({ id, servers: [(await startServer(t, id)).url] })),
    );
    const config = (planSample: number): Record<string, unknown> =>
      proxyConfig({
        regions,
        health: UNWATCHED,
        trace: { sample: 0 },
        otlp: { url: collector.url, planSample },
        pae: { mode: 'auto', evaluateEvery: '300ms' },
        sharding: { shiftPeriod: '1s' },
      });
    const proxy = await startProxy(t, config(1));
    const named = (name: string): Span | undefined => collector.spans.find((span) => span.name === name);
    const first = await until(async () => named('new plan'), 'the first plan');
    t.equal((await post(`${proxy.controlUrl}/regions/a/drain`, { reason: 'new disks' })).status, 200);
    const shift = await until(async () => named('shift'), 'the end of the shift');
    t.equal(attribute(shift, 'foreshard.shift.outcome'), 'done');
    t.ok(Number(attribute(shift, 'foreshard.shift.shards')) > 1900);
    t.not(shift.traceId, first.traceId, 'of the plan that began it');
    // The proxy's and the engine's come each in their own time.
    const trace = await until(async () => {
      const found = collector.spans.filter(({ traceId }) => traceId === shift.traceId);
      return found.filter(({ name }) => name === 'publish').length === 2 ? found : undefined;
    }, 'what both tell of it');
    const root = trace.find(({ name }) => name === 'new plan')!;
    t.notOk(root.parentSpanId);
    t.equal(shift.parentSpanId, root.spanId);
    const under = (parent: Span | undefined): string[] =>
      trace.filter(({ parentSpanId }) => parentSpanId === parent?.spanId).map(({ name }) => name);
    t.strictSame(
      under(root)
        .filter((name) => name !== 'evaluate')
        .sort(),
      ['adopt', 'plan', 'publish', 'shift'],
    );
    const adopt = trace.find(({ name }) => name === 'adopt')!;
    t.strictSame(under(adopt).sort(), ['publish', 'validate']);
    t.equal(attribute(adopt, 'foreshard.plan.generation'), attribute(root, 'foreshard.plan.generation'));
    const planned = trace.find(({ name }) => name === 'plan')!;
    t.ok(Number(attribute(planned, 'foreshard.moved.human')) > 1900);
    t.equal(new Set(trace.map(({ spanId }) => spanId)).size, trace.length, 'every span has an id of its own');
    t.ok(
      collector.spans.some(({ name }) => name === 'evaluate'),
      'and what an evaluation has changed',
    );
    await proxy.stop();

    collector.spans.length = 0;
    const silent = await startProxy(t, config(0), { folder: proxy.folder });
    t.equal((await post(`${silent.controlUrl}/regions/a/undrain`, { reason: 'done' })).status, 200);
    await until(async () => {
      const { regions: planned } = await controlJson<{ regions: { weight: number }[] }>(
        silent.controlUrl,
        '/plan',
      );
      return planned[0]!.weight === 1 || undefined;
    }, 'the new plan');
    await silent.stop();
    t.strictSame(collector.spans, [], 'decided before any span is made');
  },
);
