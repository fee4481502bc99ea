import fc from 'fast-check';
import t from 'tap';
import { crossCheck } from '../../src/config/cross-checks.ts';
import { formatPath, type Path } from '../../src/config/problem.ts';
import { findShadowedRoutes, type MatchPattern } from '../../src/config/route-coverage.ts';
import { configSchema } from '../../src/config/schema.ts';
import { LEAST, problemsOf } from './load-text.ts';

const TOKEN = 'a-token-of-sixteen';

interface Parts {
  readonly [key: string]: unknown;
}

/** Disagreements of a configuration that is good but for `parts`: `path: sentence`, warnings marked. */
function disagreements(parts: Parts): string[] {
  const config = configSchema.parse({
    listen: [{ address: '127.0.0.1:8080' }],
    regions: [
      { id: 'east', servers: ['http://a:1'] },
      { id: 'west', servers: ['http://b:1'] },
    ],
    ...parts,
  });
  return crossCheck(config).map(({ path, sentence, severity }) => {
    const text = typeof sentence === 'string' ? sentence : sentence((other: Path) => formatPath(other));
    return `${severity === 'warning' ? 'warning: ' : ''}${formatPath(path)}: ${text}`;
  });
}

const oneRoute = (route: Parts): Parts => ({ routes: [{ id: 'r', ...route }] });

t.test('two things cannot listen on one address', async (t) => {
  const listen = (...addresses: string[]) => ({ listen: addresses.map((address) => ({ address })) });
  t.strictSame(disagreements(listen('127.0.0.1:1', '127.0.0.1:2', '[::1]:1', 'unix:/a', 'unix:/b')), []);
  t.strictSame(disagreements(listen('127.0.0.1:0', '127.0.0.1:0')), [], 'port 0 is another one each time');
  t.strictSame(disagreements(listen('127.0.0.1:1', '0.0.0.0:1')), [
    'listen[1].address: must differ from listen[0].address (127.0.0.1:1), given "0.0.0.0:1"',
  ]);
  t.match(disagreements(listen('[::1]:1', '[0::1]:1')), [/^listen\[1\]/], 'however it is written');
  t.match(disagreements(listen('unix:/a', 'unix:/a')), [/^listen\[1\]/]);
  t.strictSame(disagreements(listen('127.0.0.1:9090')), [
    'control.address: must differ from listen[0].address (127.0.0.1:9090), given "127.0.0.1:9090"',
  ]);
});

t.test('a door that others can reach needs a token', async (t) => {
  t.strictSame(disagreements({ control: { address: '0.0.0.0:9090' } }), [
    'control.address: must be a loopback address unless control.token is set, given "0.0.0.0:9090"',
  ]);
  t.strictSame(disagreements({ control: { address: '0.0.0.0:9090', token: TOKEN } }), []);
  t.strictSame(disagreements({ control: { address: '[::1]:9090' } }), []);
  t.match(disagreements({ pae: { listen: '10.0.0.1:9400' } }), [/^pae\.listen: must be a loopback/]);
  t.match(disagreements({ pae: { source: 'http://engine:9400' } }), [/^pae\.source: must be a loopback/]);
  t.strictSame(disagreements({ pae: { source: 'http://[::1]:9400' } }), []);
  t.match(disagreements({ control: { token: 'short' } }), [
    'warning: control.token: should have 16 characters or more, or it can be guessed; given 5',
  ]);
});

t.test('a unix path has one worker', async (t) => {
  const unix = { listen: [{ address: '127.0.0.1:1' }, { address: 'unix:/a' }] };
  t.strictSame(disagreements({ ...unix, workers: 4 }), [
    'workers: must be auto or 1 with a unix listener (unix:/a), given 4',
  ]);
  t.strictSame(disagreements({ ...unix, workers: 1 }), []);
  t.strictSame(disagreements(unix), []);
});

t.test('bounds are in order', async (t) => {
  t.strictSame(disagreements({ pae: { evaluateEvery: '1m' } }), [
    'pae.planTtl: must be at least 3 x pae.evaluateEvery (3m), given 2m',
  ]);
  t.match(disagreements({ pae: { thresholds: { low: 0.7 } } }), [
    /thresholds\.high: .* given 0\.7, 0\.7, 0\.9$/,
  ]);
  t.match(disagreements({ pae: { thresholds: { evict: 0.6 } } }), [
    /thresholds\.evict: .* given 0\.3, 0\.7, 0\.6$/,
  ]);
  t.match(disagreements({ health: { outlier: { baseEjection: '10m' } } }), [
    /maxEjection: .* \(10m\), given 5m$/,
  ]);
  t.match(disagreements({ limits: { targetBytes: '32KiB' } }), [/headerBytes: .*\(32KiB\).* given 16KiB$/]);
  t.match(disagreements(oneRoute({ retry: { base: '1s' } })), [
    /retry\.cap: must be at least base \(1s\), given 250ms$/,
  ]);
  t.match(disagreements(oneRoute({ retry: { attempts: 1 }, hedge: { after: '100ms' } })), [
    /hedge\.after: needs a second try \(.*retry\.attempts is 1\), given 100ms$/,
  ]);
  t.match(disagreements(oneRoute({ timeouts: { response: '1s' }, hedge: { after: '1s' } })), [
    /hedge\.after: must be less than timeouts\.response \(1s\), given 1s$/,
  ]);
  t.strictSame(disagreements(oneRoute({ timeouts: { response: '0s' }, hedge: { after: '1s' } })), []);
});

t.test('what works but is probably not meant is a warning', async (t) => {
  t.match(disagreements({ healthCheckInterval: '500ms' }), [
    /^warning: health\.timeout: .*\(500ms\).* given 1s$/,
  ]);
  t.strictSame(disagreements({ healthCheckInterval: '500ms', health: { active: false } }), []);
  t.match(disagreements({ health: { active: false, outlier: { enabled: false } } }), [
    /^warning: health\.active/,
  ]);
  const location = { clientLocation: { header: 'x-client-location' } };
  t.match(disagreements(location), [/^warning: clientLocation\.header: is never read/]);
  t.strictSame(disagreements({ ...location, trustedProxies: ['10.0.0.0/8'] }), []);
  t.match(disagreements(oneRoute({ policy: 'geographic_proximity' })), [/^warning: routes\[0\]\.policy/]);
  const placed = { id: 'east', location: { lat: 1, lon: 1 }, servers: ['http://a:1'] };
  t.strictSame(
    disagreements({ sharding: { policy: 'geographic_proximity' }, region: 'east', regions: [placed] }),
    [],
  );
});

t.test('names stand once and exist', async (t) => {
  const region = (id: string, url: string): Parts => ({ id, servers: [url] });
  t.strictSame(
    disagreements({
      regions: [region('a', 'http://a:1'), region('b', 'http://b:1'), region('a', 'http://A:1/')],
    }),
    [
      'regions[2].id: must differ from the id of regions[0], given "a"',
      'regions[2].servers[0]: must differ from regions[0].servers[0], given "http://a:1"',
    ],
  );
  t.strictSame(disagreements({ region: 'eats' }), [
    'region: must be one of east, west, given "eats"; did you mean "east"?',
  ]);
  t.strictSame(disagreements(oneRoute({ regions: ['east', 'north', 'east'] })), [
    'routes[0].regions[1]: must be one of east, west, given "north"',
    'routes[0].regions[2]: must be named once, given "east" again',
  ]);
  t.match(disagreements(oneRoute({ residency: ['nord'] })), [/^routes\[0\]\.residency\[0\]/]);
  t.match(disagreements(oneRoute({ shadow: { to: 'nord' } })), [/^routes\[0\]\.shadow\.to/]);
  t.match(disagreements({ pae: { metrics: [{ scrape: 'http://a/', region: 'nord' }] } }), [
    /^pae\.metrics\[0\]\.region/,
  ]);
  t.match(disagreements({ routes: [{ id: 'r', match: { path: '/a' } }, { id: 'r' }] }), [/^routes\[1\]\.id/]);
});

t.test('what a process has no room for is said before it starts', async (t) => {
  const regionOf = (i: number, servers = 1): Parts => ({
    id: `r${i}`,
    servers: Array.from({ length: servers }, (_, j) => `http://h${i}-${j}:1`),
  });
  const regions = Array.from({ length: 33 }, (_, i) => regionOf(i));
  const route = (i: number): Parts => ({ id: `t${i}`, match: { path: `/${i}` }, regions: [`r${i}`] });
  const routes = Array.from({ length: 33 }, (_, i) => route(i));
  t.strictSame(disagreements({ regions, routes: routes.slice(1) }), []);
  t.strictSame(disagreements({ regions, routes }), [
    'routes[32].regions: must be one of at most 32 different sets in all routes, given 33',
  ]);
  const critical = routes.slice(0, 17).map((one) => ({ ...one, priority: 'critical' }));
  t.strictSame(disagreements({ regions, routes: critical.slice(1) }), []);
  t.strictSame(disagreements({ regions, routes: critical }), [
    'routes[16].priority: must leave at most 32 tables, one for each set of regions in routes, another for each thresholds of their own, and for each a second one where requests may be critical; given 34',
  ]);
  const locked = [
    ['r1', 'r2'],
    ['r1', 'r3'],
  ].map((own, i) => ({ ...route(90 + i), regions: own, residency: ['r1'] }));
  t.strictSame(
    disagreements({ regions, routes: [...routes.slice(2), ...locked] }),
    [],
    'a lock makes one set of two lists',
  );
  const many = [1000, 1000, 1000, 1000, 96].map((count, i) => regionOf(i, count));
  t.strictSame(disagreements({ regions: many }), []);
  t.strictSame(disagreements({ regions: [...many, regionOf(9), regionOf(10)] }), [
    'regions[5].servers: must be at most 4096 in all regions, given 4098',
  ]);
});

t.test('a region has servers or a manager, not both', async (t) => {
  const region = (parts: Parts) => disagreements({ regions: [{ id: 'a', ...parts }] });
  t.strictSame(region({}), ['regions[0]: must have exactly one of servers, rem; given none']);
  t.match(region({ servers: ['http://a:1'], rem: 'http://a:2' }), [/given both$/]);
  t.strictSame(region({ rem: 'http://a:2', remToken: TOKEN }), []);
  t.match(region({ servers: ['http://a:1'], remToken: TOKEN }), [
    /^regions\[0\]\.remToken: must stand beside rem/,
  ]);
});

t.test('a route has somewhere to send to', async (t) => {
  const regions = [
    { id: 'east', weight: 0, servers: ['http://a:1'] },
    { id: 'west', weight: 1, servers: ['http://b:1'] },
  ];
  t.strictSame(disagreements({ regions, ...oneRoute({}) }), []);
  t.strictSame(disagreements({ regions, ...oneRoute({ regions: ['east'] }) }), [
    'routes[0].regions: one region of route r must have a weight above 0, given east with 0',
  ]);
  t.match(disagreements({ regions: [regions[0]] }), [/^regions\[0\]\.weight: one region of route default/]);
  t.match(disagreements(oneRoute({ regions: ['east'], residency: ['west'] })), [
    /^routes\[0\]\.residency: must share/,
  ]);
  t.match(disagreements(oneRoute({ residency: ['west'], shadow: { to: 'east' } })), [
    /^routes\[0\]\.shadow\.to: .*copies too/,
  ]);
});

t.test('a disagreement with a default points at the key that is there', async (t) => {
  t.strictSame(problemsOf(`${LEAST}health:\n  outlier:\n    baseEjection: 10m\n`), [
    'f:7:19: health.outlier.maxEjection: must be at least baseEjection (10m), given 5m',
  ]);
});

const pattern = (path: string, rest: Partial<MatchPattern> = {}): MatchPattern => ({
  host: '*',
  path,
  methods: [],
  headers: {},
  ...rest,
});

t.test('a route behind one that takes everything of it is never reached', async (t) => {
  const covers = (wide: MatchPattern, narrow: MatchPattern) =>
    findShadowedRoutes([wide, narrow]).length === 1;
  const covered: [MatchPattern, MatchPattern][] = [
    [pattern('/**'), pattern('/a/*')],
    [pattern('/a/**'), pattern('/a')],
    [pattern('/a/*'), pattern('/a/b')],
    [pattern('/a/b'), pattern('/%61/b')],
    [pattern('/a', { host: '*.x.org' }), pattern('/a', { host: 'b.a.x.org' })],
    [pattern('/a', { methods: ['GET', 'PUT'] }), pattern('/a', { methods: ['GET'] })],
    [pattern('/a', { headers: { k: '1' } }), pattern('/a', { headers: { k: '1', l: '2' } })],
  ];
  for (const [wide, narrow] of covered) {
    t.ok(covers(wide, narrow), `${JSON.stringify(wide)} covers ${JSON.stringify(narrow)}`);
    t.notOk(covers(narrow, wide) && narrow.path !== '/%61/b', 'and not the other way round');
  }
  t.notOk(covers(pattern('/a/*'), pattern('/a/')), '* wants a segment that is not empty');
  t.notOk(covers(pattern('/a', { host: '*.x.org' }), pattern('/a', { host: 'x.org' })));
  t.notOk(covers(pattern('/a', { methods: ['GET'] }), pattern('/a')));
  t.notOk(covers(pattern('/a', { headers: { k: '1' } }), pattern('/a', { headers: { k: '2' } })));
  t.match(disagreements({ routes: [{ id: 'all' }, { id: 'b', match: { path: '/b' } }] }), [
    'warning: routes[1]: is never reached: routes[0] (all) stands before it and takes all that it would',
  ]);
});

// Few letters, so that patterns often meet.
const segment = fc.constantFrom('a', 'b', '*', '');
const anyPattern = fc.record({
  path: fc
    .tuple(fc.array(segment, { minLength: 1, maxLength: 3 }), fc.boolean())
    .map(([segments, rest]) => `/${[...segments, ...(rest ? ['**'] : [])].join('/')}`),
  host: fc.constantFrom('*', '*.x', '*.y.x', 'x', 'y.x', 'z.y.x'),
  methods: fc.subarray(['GET', 'PUT']),
  headers: fc.constantFrom<Record<string, string>>({}, { k: '1' }, { k: '2' }, { k: '1', l: '1' }),
});

/** Whether a pattern takes a request, from the words of the contract alone. */
function takes(
  wide: MatchPattern,
  host: string,
  path: string,
  method: string,
  headers: Record<string, string>,
): boolean {
  const source = wide.path
    .split('/')
    .slice(1)
    .map((part) => (part === '**' ? '(/.*)?' : `/${part === '*' ? '[^/]+' : part}`))
    .join('');
  const hostTaken =
    wide.host === '*' || wide.host === host || (wide.host[0] === '*' && host.endsWith(wide.host.slice(1)));
  return (
    hostTaken &&
    new RegExp(`^${source}$`).test(path) &&
    (wide.methods.length === 0 || wide.methods.includes(method)) &&
    Object.entries(wide.headers).every(([name, value]) => headers[name] === value)
  );
}

t.test('no request reaches a route that is called unreachable', async () => {
  const request = fc.tuple(
    fc.constantFrom('x', 'y.x', 'z.y.x', 'q'),
    fc
      .array(fc.constantFrom('a', 'b', 'c', ''), { minLength: 1, maxLength: 4 })
      .map((parts) => `/${parts.join('/')}`),
    fc.constantFrom('GET', 'PUT', 'POST'),
    fc.constantFrom<Record<string, string>>({}, { k: '1' }, { k: '2' }, { k: '1', l: '1' }),
  );
  fc.assert(
    fc.property(
      fc.array(anyPattern, { minLength: 2, maxLength: 8 }),
      fc.array(request, { maxLength: 20 }),
      (patterns, requests) => {
        for (const { route, coveredBy } of findShadowedRoutes(patterns)) {
          for (const [host, path, method, headers] of requests) {
            const reached = takes(patterns[route]!, host, path, method, headers);
            if (reached && !takes(patterns[coveredBy]!, host, path, method, headers))
              throw new Error(`${route} is reachable`);
          }
        }
      },
    ),
    { numRuns: 1500 },
  );
});
