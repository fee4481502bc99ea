// An operator asks why a request went where it did: by its id, right after it, and by what happened to it.

import t from 'tap';
import { type Config, configSchema } from '../../src/config/schema.ts';
import { POLICY_KINDS } from '../../src/core/model.ts';
import type { Plan } from '../../src/plan/plan.ts';
import { controlJson } from '../rig/control.ts';
import { proxyConfig, startProxy } from '../rig/proxy.ts';
import { decideAgain, type Recorded, snapshotOf } from '../rig/replay.ts';
import { startServer } from '../rig/server.ts';
import { UNWATCHED } from '../rig/wire.ts';
import { factsOf } from '../rig/world.ts';

interface Step {
  readonly stage: string;
  readonly [part: string]: unknown;
}

interface TraceDocument {
  readonly requestId: string;
  readonly at: string;
  readonly keptFor: string;
  readonly path: string;
  readonly status: number;
  readonly region: string;
  readonly plan: { readonly generation: number };
  readonly steps: readonly Step[];
  readonly inputs?: Recorded['inputs'];
}

const fine = await startServer(t, 'fine', (_request, response) => response.writeHead(200).end());
const other = await startServer(t, 'other', (_request, response) => response.writeHead(200).end());
const failing = await startServer(t, 'failing', (_request, response) => response.writeHead(503).end());

const SECRET = 'sEcReT';
const config = (sample: number, parts: object = {}): Record<string, unknown> =>
  proxyConfig({
    workers: 2,
    health: UNWATCHED,
    pae: { mode: 'off' },
    trace: { sample, keep: 5000 },
    regions: [
      { id: 'east', servers: [fine.url], location: { lat: 0, lon: 0 } },
      { id: 'north', servers: [failing.url], weight: 0.5 },
      { id: 'west', servers: [other.url], capacity: 1000, location: { lat: 9, lon: 9 } },
    ],
    routes: POLICY_KINDS.map((policy) => ({
      id: policy,
      policy,
      match: { path: `/${policy}/*` },
      key: { from: [{ header: 'x-key' }, { path: 2 }] },
    })),
    ...parts,
  });

const asked = async (url: string, init?: RequestInit): Promise<{ id: string; status: number }> => {
  const answer = await fetch(url, init);
  await answer.text();
  return { id: answer.headers.get('foreshard-request-id')!, status: answer.status };
};

t.test(
  'every sampled request is found at once, and its decision, made again, names the same region',
  async (t) => {
    const written = config(1);
    const proxy = await startProxy(t, written);
    const requests = new Map<string, { path: string; key: string }>();
    for (let i = 0; i < 40; i++) {
      for (const policy of POLICY_KINDS) {
        const path = `/${policy}/${SECRET}${i}`;
        const key = `${SECRET}-${i * 7}`;
        const { id } = await asked(`${proxy.url}${path}?q=${SECRET}`, { headers: { 'x-key': key } });
        requests.set(id, { path, key });
      }
    }
    const parsedConfig: Config = configSchema.parse(written);
    const snapshot = snapshotOf(parsedConfig, await controlJson<Plan>(proxy.controlUrl, '/plan'));
    const regions = new Set<string>();
    for (const [id, { path, key }] of requests) {
      const trace = await controlJson<TraceDocument>(proxy.controlUrl, `/event_tracing/${id}`);
      const pick = trace.steps.find(({ stage }) => stage === 'pick')!;
      const guard = trace.steps.find(({ stage }) => stage === 'guard')!;
      const facts = factsOf({ target: path, fields: ['x-key', key] });
      const inputs = trace.inputs!;
      // Those that were removed are not among the candidates of the pick; nobody is removed here.
      const candidates = pick.candidates as Recorded['regions'];
      const again = decideAgain(snapshot, { inputs, regions: candidates }, facts);
      if (again.kind !== 'forward') throw new Error(`${id} was refused: ${again.kind}`);
      t.equal(snapshot.regions[again.region]!.id, guard.chosen, `${path}: the same region`);
      t.equal(snapshot.regions[again.picked]?.id ?? null, pick.chosen);
      regions.add(String(guard.chosen));
      t.notMatch(JSON.stringify(trace), SECRET, 'neither key nor query nor a part of the path that is key');
    }
    t.ok(regions.size > 1, 'more than one region was chosen');
  },
);

t.test('the steps of a request that was retried stand in order, with what was chosen and why', async (t) => {
  const proxy = await startProxy(t, config(0));
  let retried: string | undefined;
  for (let i = 0; retried === undefined; i++) {
    const { id } = await asked(`${proxy.url}/consistent_hash/${i}`);
    const answer = await fetch(`${proxy.controlUrl}/event_tracing/${id}`);
    if (answer.status === 200) retried = id;
    else t.equal(answer.status, 404, 'an ordinary request is not kept when none is sampled');
  }
  const trace = await controlJson<TraceDocument>(proxy.controlUrl, `/event_tracing/${retried}`);
  t.match(trace, { keptFor: 'retry', status: 200, path: '/consistent_hash/:key', method: 'GET' });
  t.strictSame(
    trace.steps.map(({ stage }) => stage),
    [
      ...['route', 'key', 'shard', 'eligible', 'filter', 'gate', 'pick', 'guard'],
      ...['attempt', 'attempt', 'answer'],
    ],
  );
  const [first, second] = trace.steps.filter(({ stage }) => stage === 'attempt');
  t.match(first, { region: 'north', outcome: 503, durationMs: Number });
  t.match(second, { outcome: 200, retryCause: '503' });
  t.not(second!.region, 'north');
  t.match(trace.steps[1], { kinds: ['header', 'path'], result: 'found' });
  const { traces } = await controlJson<{ traces: TraceDocument[] }>(
    proxy.controlUrl,
    '/event_tracing?region=north&kept=retry&status=200&since=1h&limit=5',
  );
  t.ok(traces.length >= 1 && traces.length <= 5);
  t.ok(traces.some(({ requestId }) => requestId === retried));
  const unknown = await asked(`${proxy.url}/nowhere`);
  t.equal(unknown.status, 404);
  for (const [query, what] of Object.entries({
    'limit=0': 'limit',
    'limit=1001': 'limit',
    'status=6xx': 'status',
    'since=yesterday': 'since',
    'colour=red': 'colour',
  })) {
    const answer = await fetch(`${proxy.controlUrl}/event_tracing?${query}`);
    t.equal(answer.status, 400);
    t.match(((await answer.json()) as { title: string }).title, what);
  }
});
