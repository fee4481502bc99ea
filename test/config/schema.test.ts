import t from 'tap';
import { PROXY_DOCUMENT } from '../../src/config/document.ts';
import { editorSchema, type SchemaNode } from '../../src/config/json-schema.ts';
import { NOT_YET } from '../../src/config/not-yet.ts';
import { isLoopback, splitAddress } from '../../src/config/quantities.ts';
import { referenceTable } from '../../src/config/reference.ts';
import { configSchema } from '../../src/config/schema.ts';
import { DEFAULT_ROUTE } from '../../src/config/schema-route.ts';
import { configOf, LEAST, problemsOf } from './load-text.ts';

const MINUTE = 60_000;

// The defaults of the contract (proxy.example.yaml), in the units of the program. pae.mode is the one that
// differs: off until the engine is built.
const CONTRACT_DEFAULTS = {
  control: { address: '127.0.0.1:9090' },
  region: '',
  // Ours, beyond the contract.
  zone: '',
  clientLocation: {},
  workers: 'auto',
  state: { path: 'data' },
  log: { level: 'info', access: 'sampled' },
  debugHeaders: false,
  forwardedHeader: 'x',
  sharding: {
    shards: 4096,
    policy: 'weighted_random',
    shiftPeriod: 30_000,
    guards: { errors: 0.02, p99: 2, utilisation: 0.9 },
    notify: '',
    churn: { perRound: 0.09, perHour: 1 },
  },
  healthCheckInterval: 2000,
  paeUpdateInterval: 5000,
  health: {
    active: true,
    path: '/healthz',
    timeout: 1000,
    unhealthyThreshold: 3,
    healthyThreshold: 2,
    outlier: {
      enabled: true,
      consecutive5xx: 5,
      consecutiveConnectFailures: 3,
      baseEjection: 30_000,
      maxEjection: 300_000,
      maxEjected: 0.5,
    },
    panicThreshold: 0.5,
    slowStart: 30_000,
  },
  pae: {
    mode: 'auto',
    source: 'embedded',
    listen: '127.0.0.1:9400',
    horizon: 5 * MINUTE,
    evaluateEvery: 30_000,
    planTtl: 2 * MINUTE,
    targetUtilisation: 0.8,
    thresholds: { low: 0.3, high: 0.7, evict: 0.9, hysteresis: 0.1, dwell: MINUTE, critical: 0.3 },
    maxDemoted: 0.34,
    metrics: [],
    externalEvents: [],
    retention: 14 * 24 * 60 * MINUTE,
    forecast: { methods: ['ar', 'mstl', 'sarima'] },
  },
  shardingPolicies: [],
  trace: { sample: 0.01, keep: 10_000, slow: 1000 },
  otlp: { planSample: 1 },
  trustedProxies: [],
  shutdown: { grace: 30_000 },
};

const ROUTE_DEFAULTS = {
  hedge: { after: 0, to: 'server', budget: 0.05, minBudget: 3 },
  match: { host: '*', path: '/**', methods: [], headers: {} },
  key: {
    from: [{ header: 'x-shard-key' }],
    combine: 'first',
    perType: {},
    onMissing: 'random',
    cookie: { name: 'foreshard', ttl: 24 * 60 * MINUTE },
    maxBody: 65_536,
  },
  residency: [],
  maxAddedLatency: 0,
  priority: 'normal',
  timeouts: { connect: 1000, response: 10_000, idle: 60_000, total: 0 },
  retry: {
    attempts: 2,
    on: ['connect', 'reset', '502', '503', '504'],
    base: 25,
    cap: 250,
    budget: 0.2,
    minBudget: 3,
    maxBody: 65_536,
  },
  whenNoRegion: 'reject',
  parkFor: 10_000,
};

t.test('defaults are those of the contract, in milliseconds, bytes and shares of one', async (t) => {
  const { listen, regions, routes, limits, ...rest } = configOf(LEAST);
  t.strictSame(rest, CONTRACT_DEFAULTS);
  t.match(limits, {
    headerBytes: 16_384,
    headerFields: 100,
    targetBytes: 8192,
    connections: 10_000,
    inFlightPerServer: 256,
  });
  t.strictSame(listen, [{ address: '127.0.0.1:8080', proxyProtocol: false }]);
  t.strictSame(regions[0], {
    id: 'east',
    weight: 1,
    servers: [{ url: 'http://127.0.0.1:9000', weight: 1, zone: '' }],
  });
  t.strictSame(routes, [DEFAULT_ROUTE]);
});

t.test('a route that only has a name gets the defaults of the contract', async (t) => {
  const [route] = configOf(`${LEAST}routes: [ { id: all } ]`).routes;
  const { shadow, ...rest } = route!;
  t.strictSame(rest, { id: 'all', ...ROUTE_DEFAULTS });
  t.equal(shadow.to, undefined, 'no copies');
});

t.test('a configuration is plain frozen data that a worker thread can be sent', async (t) => {
  const config = configOf(`${LEAST}routes: [ { id: a, key: { from: [ clientIp, { path: 1 } ] } } ]`);
  t.strictSame(structuredClone(config), config);
  t.throws(() => Object.assign(config.limits, { connections: 1 }), TypeError);
  t.throws(() => (config.routes as unknown[]).push(1), TypeError);
});

t.test('values are taken in every form that an operator writes', async (t) => {
  const config = configOf(`
listen: [ { address: "[0:0::1]:0" }, { address: "unix:/run/f.sock" } ]
regions:
  - id: east
    capacity: 0.5
    servers: [ "HTTP://LocalHost:80/", { url: "https://[::1]:9000", weight: 2.5, zone: a } ]
routes:
  - id: a
    match: { host: "*.Example.com", methods: [get], headers: { X-Tenant: a } }
    key: { from: [ { header: X-User-Id }, { clientIp: true }, clientIp, { json: "" } ] }
    retry: { on: [502, "503", timeout], budget: 0.5 }
    timeouts: { connect: 2.3s, total: 0, idle: 1.5 m }
limits: { headerBytes: 1.5KiB, targetBytes: 1 KiB }
trustedProxies: [ 10.0.0.0/8, "::1" ]
control: { address: "127.0.0.1:9090", token: "" }
`);
  const [route] = config.routes;
  t.equal(config.workers, 1, 'auto is one worker with a unix listener');
  t.strictSame(
    config.regions[0]!.servers!.map(({ url }) => url),
    ['http://localhost', 'https://[::1]:9000'],
  );
  t.strictSame(route!.key.from, [{ header: 'x-user-id' }, 'clientIp', 'clientIp', { json: '' }]);
  t.strictSame(route!.retry.on, ['502', '503', 'timeout'], 'a status may be a number or text');
  t.strictSame(route!.timeouts, { connect: 2300, response: 10_000, idle: 90_000, total: 0 });
  t.strictSame(route!.match, {
    host: '*.example.com',
    path: '/**',
    methods: ['GET'],
    headers: { 'x-tenant': 'a' },
  });
  t.equal(route!.retry.budget, 0.5);
  t.equal(config.limits.headerBytes, 1536);
  t.equal(config.control.token, undefined, 'an empty secret is none');
});

t.test('addresses are IP and port, and loopback is told from the rest', async (t) => {
  t.strictSame(splitAddress('127.0.0.1:80'), { host: '127.0.0.1', port: 80 });
  t.strictSame(splitAddress('[0:0:0:0:0:0:0:1]:0'), { host: '::1', port: 0 });
  for (const wrong of [
    'localhost:80',
    '127.0.0.1',
    '127.0.0.1:65536',
    '::1:80',
    '[127.0.0.1]:80',
    '1.2.3:80',
    '',
  ])
    t.equal(splitAddress(wrong), null, wrong);
  t.ok(isLoopback('127.9.9.9') && isLoopback('::1'));
  t.notOk(isLoopback('0.0.0.0') || isLoopback('127.evil.example') || isLoopback('::'));
});

/** Every node of a JSON Schema that describes a key, with its place. */
function* keyNodes(node: SchemaNode, place: string): Generator<[string, SchemaNode]> {
  for (const [name, child] of Object.entries(node.properties ?? {})) {
    const key = place === '' ? name : `${place}.${name}`;
    yield [key, child];
    yield* keyNodes(child, key);
  }
  if (node.items !== undefined) yield* keyNodes(node.items, `${place}[]`);
  for (const branch of node.anyOf ?? []) yield* keyNodes(branch, place);
}

const editorKeys = new Map(keyNodes(editorSchema(PROXY_DOCUMENT) as SchemaNode, ''));

t.test('the JSON Schema says what a key means, and shows defaults as they are written', async (t) => {
  for (const [key, node] of editorKeys) t.ok(node.description, `${key} has a meaning`);
  t.equal(editorKeys.get('health.timeout')!.default, '1s');
  t.equal(editorKeys.get('limits.headerBytes')!.default, '16KiB');
  t.equal(editorKeys.get('routes[].retry.budget')!.default, '20%');
  t.equal(editorKeys.get('log')!.default, undefined, 'no {} to complete');
  t.notMatch(
    JSON.stringify(editorSchema(PROXY_DOCUMENT)),
    /"(allowed|example|written|shorthand|bounds|secret)":/,
    'no word that JSON Schema does not know',
  );
  t.strictSame((editorSchema(PROXY_DOCUMENT) as SchemaNode).required, ['listen', 'regions']);
});

t.test('patterns of the JSON Schema take the defaults and refuse what check refuses', async (t) => {
  const patternsOf = (key: string): RegExp[] =>
    (editorKeys.get(key)!.anyOf ?? []).flatMap(({ pattern }) =>
      pattern === undefined ? [] : [new RegExp(pattern)],
    );
  const takes = (key: string, value: string): boolean =>
    patternsOf(key).some((pattern) => pattern.test(value));
  for (const [key, node] of editorKeys) {
    if (typeof node.default !== 'string' || patternsOf(key).length === 0) continue;
    t.ok(takes(key, node.default), `${key} takes its default ${node.default}`);
  }
  for (const [key, wrong] of [
    ['health.timeout', '5'],
    ['health.timeout', '5 parsecs'],
    ['limits.headerBytes', '16KB'],
    ['routes[].retry.budget', '20 percent'],
    ['control.address', 'localhost:9090'],
    ['regions[].id', 'us east'],
    ['routes[].match.path', 'orders'],
  ] as const) {
    t.notOk(takes(key, wrong), `${key} refuses ${wrong}`);
    t.match(editorKeys.get(key)!.anyOf?.at(-1), { $ref: '#/$defs/variable' }, `${key} takes a variable`);
  }
});

t.test(
  'the JSON Schema refuses a key that is not available yet, but for values that ask for nothing',
  async (t) => {
    for (const { key, harmless } of NOT_YET) {
      const node = editorKeys.get(key) as SchemaNode & { not?: object };
      t.ok(node, `${key} is a key of the schema`);
      if (harmless === undefined) t.strictSame(node.not, {}, key);
      else t.strictSame(node.enum, harmless, key);
    }
  },
);

t.test('the reference has a line for every key', async (t) => {
  const table = referenceTable(PROXY_DOCUMENT);
  for (const [key, node] of editorKeys) {
    if (node.properties === undefined && node.items?.properties === undefined && node.anyOf === undefined)
      t.match(table, `| \`${key}\` |`);
  }
  t.match(table, '| `health.timeout` | `1s` | a duration from 10ms to 60s |');
  t.match(table, '| `regions[].location.lat` | required in `location` |');
});

t.test('a default is a value that the key takes', async (t) => {
  for (const [key, node] of editorKeys) {
    if (node.default === undefined || key.includes('[]')) continue;
    const value = key.split('.').reduceRight<unknown>((inner, step) => ({ [step]: inner }), node.default);
    const least = { listen: [{ address: '127.0.0.1:1' }], regions: [{ id: 'a', servers: ['http://a:1'] }] };
    t.ok(configSchema.safeParse({ ...least, ...(value as object) }).success, `${key}: ${node.default}`);
  }
  t.strictSame(problemsOf(LEAST), []);
});
