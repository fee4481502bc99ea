import fc from 'fast-check';
import t from 'tap';
import {
  decodePathForMatching,
  type MatchInput,
  RouteMatcher,
  type RoutePattern,
} from '../../src/routing/route-matcher.ts';

const pattern = (some: Partial<RoutePattern>): RoutePattern => ({
  host: '*',
  path: '/**',
  methods: [],
  headers: {},
  ...some,
});

interface Request {
  readonly method: string;
  readonly host: string;
  readonly rawPath: string;
  readonly headers: Readonly<Record<string, string>>;
}

const request = (rawPath: string, some: Partial<Request> = {}): Request => ({
  method: 'GET',
  host: 'example.com',
  headers: {},
  rawPath,
  ...some,
});

const inputOf = ({ method, host, rawPath, headers }: Request): MatchInput => ({
  method,
  host,
  path: decodePathForMatching(rawPath),
  field: (name) => headers[name],
});

function match(patterns: readonly Partial<RoutePattern>[], from: Request): number {
  const matcher = new RouteMatcher();
  for (const some of patterns) matcher.add(pattern(some));
  return matcher.match(inputOf(from));
}

/** Bytes of a segment, percent-encoded ones decoded; `%` and `/` keep apart what is data from structure. */
function segmentsOf(path: string): string[] {
  return path
    .slice(1)
    .split('/')
    .map((segment) => {
      // A run that is no UTF-8 stays as it is.
      return segment.replace(/(?:%[0-9a-f]{2})+/gi, (run) => {
        try {
          const text = decodeURIComponent(run);
          return text.replace(/[%/]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);
        } catch {
          return run.toUpperCase();
        }
      });
    });
}

/** The first pattern that takes the request, by looking at all of them. */
function naive(patterns: readonly Partial<RoutePattern>[], from: Request): number {
  return patterns.findIndex((some) => {
    const { host, path, methods, headers } = pattern(some);
    const hostTakes =
      host === '*' ||
      host === from.host ||
      (host.startsWith('*.') && from.host.endsWith(host.slice(1)) && from.host.length > host.length - 1);
    if (!hostTakes) return false;
    if (methods.length > 0 && !methods.includes(from.method)) return false;
    if (Object.entries(headers).some(([name, value]) => from.headers[name] !== value)) return false;
    const wanted = path.slice(1).split('/');
    const takesRest = wanted.at(-1) === '**';
    if (takesRest) wanted.pop();
    const segments = segmentsOf(from.rawPath);
    // `/**` takes everything: the segment behind the first slash is part of the rest.
    const given = wanted.length === 0 ? [] : segments;
    if (takesRest ? given.length < wanted.length : given.length !== wanted.length) return false;
    return wanted.every((segment, i) =>
      segment === '*' ? given[i] !== '' : segmentsOf(`/${segment}`)[0] === given[i],
    );
  });
}

const rawSegment = fc.constantFrom(
  'a',
  'b',
  'ab',
  '',
  '%61',
  '%2F',
  '%2f',
  '%252F',
  '%25',
  '%ff',
  '%FF',
  '%61%FF',
  '*',
  '%2A',
  'gr%C3%BC',
);
const rawPath = fc
  .array(rawSegment, { minLength: 1, maxLength: 4 })
  .map((segments) => `/${segments.join('/')}`);
const patternPath = fc
  .tuple(fc.array(fc.oneof(rawSegment, fc.constant('*')), { maxLength: 3 }), fc.boolean())
  .map(([segments, takesRest]) => `/${[...segments, ...(takesRest ? ['**'] : [])].join('/')}`);
const hosts = ['example.com', 'a.example.com', 'b.a.example.com', 'com', '', '[::1]', 'example.org'];
const anyPattern: fc.Arbitrary<Partial<RoutePattern>> = fc.record({
  host: fc.constantFrom(
    '*',
    '*.example.com',
    '*.com',
    '*.a.example.com',
    ...hosts.filter((host) => host !== ''),
  ),
  path: patternPath,
  methods: fc.constantFrom([], ['GET'], ['GET', 'POST'], ['PUT']),
  headers: fc.constantFrom({}, { 'x-a': '1' }, { 'x-a': '1', 'x-b': '2' }),
});
const anyRequest: fc.Arbitrary<Request> = fc.record({
  method: fc.constantFrom('GET', 'POST'),
  host: fc.constantFrom(...hosts),
  rawPath,
  headers: fc.constantFrom({}, { 'x-a': '1' }, { 'x-a': '1', 'x-b': '2' }, { 'x-a': '2' }),
});

t.test('the indexed matcher finds what looking at every route in turn finds', async () => {
  fc.assert(
    fc.property(
      fc.array(anyPattern, { maxLength: 12 }),
      fc.array(anyRequest, { minLength: 1, maxLength: 6 }),
      (patterns, requests) => {
        const matcher = new RouteMatcher();
        for (const some of patterns) matcher.add(pattern(some));
        for (const one of requests) {
          const expected = naive(patterns, one);
          const got = matcher.match(inputOf(one));
          if (got !== expected) throw new Error(`${JSON.stringify(one)}: expected ${expected}, got ${got}`);
        }
      },
    ),
    { numRuns: 3000 },
  );
});

t.test('the first route that takes a request wins, whatever index it is in', async (t) => {
  const routes = [
    { path: '/a/b' },
    { host: 'example.com', path: '/a/**' },
    { host: '*.com', path: '/*/b' },
    {},
  ];
  t.equal(match(routes, request('/a/b')), 0);
  t.equal(match(routes, request('/a/c')), 1);
  t.equal(match([...routes].reverse(), request('/a/b')), 0);
  t.equal(match(routes, request('/x/b')), 2);
  t.equal(match(routes, request('/x')), 3);
  t.equal(match([], request('/')), -1);
});

t.test('two stars take the rest of a path, its own name and nothing like it', async (t) => {
  const routes = [{ path: '/orders/**' }];
  for (const path of ['/orders', '/orders/', '/orders/7', '/orders/7/items'])
    t.equal(match(routes, request(path)), 0, path);
  for (const path of ['/orderstatus', '/', '/x/orders', '/Orders'])
    t.equal(match(routes, request(path)), -1, path);
});

t.test('one star takes one segment that is not empty', async (t) => {
  const routes = [{ path: '/users/*/cart' }];
  t.equal(match(routes, request('/users/7/cart')), 0);
  for (const path of ['/users//cart', '/users/7/8/cart', '/users/7/cart/', '/users/7'])
    t.equal(match(routes, request(path)), -1, path);
  t.equal(match([{ path: '/*/**' }], request('/')), -1);
  t.equal(match([{ path: '/*/**' }], request('/a')), 0);
});

t.test('a literal star is written encoded', async (t) => {
  t.equal(match([{ path: '/a/%2A' }], request('/a/b')), -1);
  t.equal(match([{ path: '/a/%2A' }], request('/a/*')), 0);
  t.equal(match([{ path: '/a/%2A%2A' }], request('/a/b/c')), -1);
});

t.test('encoding cannot hide a path from its route, nor turn data into structure', async (t) => {
  const routes = [{ path: '/orders/**' }, { path: '/a/b' }];
  t.equal(match(routes, request('/%6frders/7')), 0);
  t.equal(match(routes, request('/%6Frders')), 0);
  t.equal(match(routes, request('/a%2Fb')), -1, 'an encoded slash separates nothing');
  t.equal(match(routes, request('/%256frders')), -1, 'decoded once');
  t.equal(match([{ path: '/a%2fb' }], request('/a%2Fb')), 0);
  t.equal(match([{ path: '/a%2fb' }], request('/a%252Fb')), -1, 'an encoded percent sign is data too');
  t.equal(match([{ path: '/gr\u00fc\u00dfe' }], request('/gr%C3%BC%C3%9Fe')), 0);
  t.equal(match([{ path: '/%ff' }], request('/%FF')), 0, 'what is no UTF-8 is compared as it is written');
});

t.test('a wildcard host takes every subdomain and not the domain', async (t) => {
  const routes = [{ host: '*.example.com' }];
  const at = (host: string): number => match(routes, request('/', { host }));
  t.equal(at('a.example.com'), 0);
  t.equal(at('b.a.example.com'), 0);
  t.equal(at('example.com'), -1);
  t.equal(at('.example.com'), -1);
  t.equal(at('badexample.com'), -1);
  t.equal(at(''), -1);
});

t.test('methods and headers must all agree', async (t) => {
  const routes = [{ methods: ['POST', 'PUT'], headers: { 'x-a': '1', 'x-b': '2' } }];
  const headers = { 'x-a': '1', 'x-b': '2' };
  t.equal(match(routes, request('/', { method: 'PUT', headers })), 0);
  t.equal(match(routes, request('/', { method: 'GET', headers })), -1);
  t.equal(match(routes, request('/', { method: 'PUT', headers: { 'x-a': '1' } })), -1);
  t.equal(match(routes, request('/', { method: 'PUT', headers: { 'x-a': '1', 'x-b': '3' } })), -1);
});

t.test('decoding a path for matching never throws and is stable where nothing is encoded', async () => {
  fc.assert(fc.property(fc.string(), (path) => path.includes('%') || decodePathForMatching(path) === path));
  fc.assert(
    fc.property(
      fc.array(rawSegment, { maxLength: 8 }),
      (pieces) => decodePathForMatching(pieces.join('')) !== undefined,
    ),
  );
});

t.test('two paths that a server tells apart stay apart', async () => {
  // Decoded once, two different byte sequences must not meet: a route would take what is not its own.
  const bytesOf = (segment: string): string => {
    const bytes: number[] = [];
    for (let i = 0; i < segment.length; i++) {
      const hex = /^%([0-9a-f]{2})/i.exec(segment.slice(i))?.[1];
      bytes.push(hex === undefined ? segment.charCodeAt(i) : Number.parseInt(hex, 16));
      if (hex !== undefined) i += 2;
    }
    return bytes.join();
  };
  const segment = fc
    .array(fc.constantFrom('a', '%61', '%2F', '%25', '%2561', '2F', '%C3%BC'), { maxLength: 5 })
    .map((all) => all.join(''));
  fc.assert(
    fc.property(segment, segment, (a, b) => {
      return decodePathForMatching(`/${a}`) !== decodePathForMatching(`/${b}`) || bytesOf(a) === bytesOf(b);
    }),
    { numRuns: 3000 },
  );
});
