import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import { newU64, SEED_ZERO } from '../../src/routing/hash.ts';
import { hashOfParts, KeyBytes } from '../../src/routing/key-bytes.ts';
import {
  type ClaimReader,
  cookieValue,
  type KeyFacts,
  type KeyPlan,
  type KeySourcePlan,
  readKey,
  readUnverifiedClaim,
} from '../../src/routing/shard-key.ts';
import { keyHashReference } from '../rig/xxh64-reference.ts';

interface Golden {
  readonly keys: readonly { parts: string[]; hash: string; shardOf4096: number; shardOf64: number }[];
}
const golden = JSON.parse(
  readFileSync(join(import.meta.dirname, '../golden/key-hash.json'), 'utf8'),
) as Golden;

const hex = ({ hi, lo }: { hi: number; lo: number }): string =>
  hi.toString(16).padStart(8, '0') + lo.toString(16).padStart(8, '0');

const noClaims: ClaimReader = () => null;

const facts = (some: Partial<KeyFacts>): KeyFacts => ({
  fields: [],
  rawPath: '/',
  query: '',
  clientAddress: '192.0.2.1',
  body: undefined,
  ...some,
});

/** The parts that a plan finds, each as Latin-1 text, or what it says instead. */
function read(
  sources: readonly KeySourcePlan[],
  some: Partial<KeyFacts>,
  combine: KeyPlan['combine'] = 'first',
  claims = noClaims,
): string[] | 'missing' | 'need_body' {
  const key = new KeyBytes();
  const result = readKey({ sources, combine, pointers: ['/id', '/tenant'] }, facts(some), key, claims);
  if (result !== 'found') return result;
  const bytes = Buffer.from(key.copy());
  const parts: string[] = [];
  for (let at = 0; at < bytes.length; ) {
    const length = bytes.readUInt32BE(at);
    parts.push(bytes.subarray(at + 4, at + 4 + length).toString('latin1'));
    at += 4 + length;
  }
  if (parts.length !== key.parts) throw new Error(`${key.parts} parts were counted`);
  return parts;
}

t.test("a key's hash and shard are those of the contract, on every machine", async (t) => {
  for (const { parts, hash, shardOf4096, shardOf64 } of golden.keys) {
    const own = hashOfParts(parts.map((part) => Buffer.from(part, 'utf8')));
    t.equal(hex(own), hash, JSON.stringify(parts).slice(0, 40));
    t.equal(own.hi >>> 20, shardOf4096);
    t.equal(own.hi >>> 26, shardOf64);
  }
});

t.test('lengths keep parts apart, however they are added and however long', async (t) => {
  t.not(
    hex(hashOfParts([Buffer.from('ab'), Buffer.from('c')])),
    hex(hashOfParts([Buffer.from('a'), Buffer.from('bc')])),
  );
  const key = new KeyBytes();
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 900 }), { maxLength: 5 }), (parts) => {
      const expected = keyHashReference(parts).toString(16).padStart(16, '0');
      key.reset();
      for (const part of parts) key.addBytes(part);
      const asBytes = hex(key.hash(SEED_ZERO, newU64()));
      key.reset();
      for (const part of parts) key.addLatin1(Buffer.from(part).toString('latin1'));
      return (
        asBytes === expected && hex(key.hash(SEED_ZERO, newU64())) === expected && key.parts === parts.length
      );
    }),
    { numRuns: 200 },
  );
});

t.test('a header counts with every line, as raw bytes', async (t) => {
  const header = [{ kind: 'header', name: 'x-user' }] as const;
  t.strictSame(read(header, { fields: ['x-user', 'u1'] }), ['u1']);
  t.strictSame(read(header, { fields: ['x-user', 'a', 'x-other', 'b', 'x-user', 'c'] }), ['a', 'c']);
  t.strictSame(read(header, { fields: ['x-user', 'gr\xfc\xdfe'] }), ['gr\xfc\xdfe'], 'Latin-1 bytes');
  t.equal(read(header, { fields: ['x-other', 'x-user'] }), 'missing', 'a value is no name');
  t.equal(read(header, { fields: ['x-user', ''] }), 'missing', 'an empty header is none');
  t.equal(read(header, { fields: ['x-user', '', 'x-user', ''] }), 'missing');
  t.strictSame(read(header, { fields: ['x-user', 'a', 'x-user', ''] }), ['a', ''], 'every line is a part');
  t.strictSame(read(header, { fields: ['x-user', '', 'x-user', 'a'] }), ['', 'a'], 'a leading empty one too');
});

t.test('a query parameter counts decoded once, the first of its name', async (t) => {
  const query = (text: string, name = 'user'): ReturnType<typeof read> =>
    read([{ kind: 'query', name }], { query: text });
  t.strictSame(query('user=u1'), ['u1']);
  t.strictSame(query('a=1&user=u1&user=u2'), ['u1']);
  t.strictSame(query('xuser=1&user=u1'), ['u1'], 'a name is whole');
  t.strictSame(query('user=a+b%20c'), ['a b c']);
  t.strictSame(query('user=%2541'), ['%41'], 'once');
  t.strictSame(query('user=100%'), ['100%'], 'a stray percent stands for itself');
  t.strictSame(query('user=%zz%4'), ['%zz%4']);
  t.strictSame(query('user=a=b'), ['a=b']);
  t.strictSame(query('user=%e2%82%ac'), ['\xe2\x82\xac']);
  t.strictSame(query('%75ser=u1'), ['u1'], 'the name may be encoded');
  t.strictSame(query('my+user=u1', 'my user'), ['u1'], 'with a plus for a space as well');
  t.strictSame(query('my%2Buser=u1', 'my+user'), ['u1']);
  t.equal(query('my+user=u1', 'my+user'), 'missing', 'a plus in the query is a space');
  t.strictSame(query('gr%C3%BC%C3%9Fe=u1', 'gr\u00fc\u00dfe'), ['u1']);
  t.equal(query('user='), 'missing');
  t.equal(query('user'), 'missing');
  t.equal(query('user&user=u1'), 'missing', 'the first one decides');
  t.equal(query(''), 'missing');
  t.equal(query('&&=&'), 'missing');
});

t.test('query parameters are read as every form decoder reads them', async () => {
  const piece = fc.oneof(
    fc.string({ maxLength: 4 }).map((text) => encodeURIComponent(text)),
    fc.constantFrom('user', 'u%73er', 'a+b', '', '%', '%4', '=', '+', 'us'),
  );
  const pairs = fc.array(fc.tuple(piece, fc.option(piece)), { maxLength: 6 });
  fc.assert(
    fc.property(pairs, fc.constantFrom('user', 'a b', 'us', '%'), (list, name) => {
      const query = list.map(([key, value]) => (value === null ? key : `${key}=${value}`)).join('&');
      const value = new URLSearchParams(query).get(name);
      const expected = value === null || value === '' ? 'missing' : [Buffer.from(value).toString('latin1')];
      const got = read([{ kind: 'query', name }], { query });
      return JSON.stringify(got) === JSON.stringify(expected);
    }),
    { numRuns: 1000 },
  );
});

t.test('a cookie counts without its quotes, the first of its name', async (t) => {
  const value = (...lines: string[]): string | null =>
    cookieValue(
      lines.flatMap((line) => ['cookie', line]),
      'sid',
    );
  t.equal(value('sid=1'), '1');
  t.equal(value('a=b; sid=1; sid=2'), '1');
  t.equal(value('a=b;sid=1'), '1', 'without a space');
  t.equal(value('a=b', 'sid=1'), '1', 'in a second line');
  t.equal(value('sid="quoted"'), 'quoted');
  t.equal(value('sid="'), '"');
  t.equal(value('sid=a=b'), 'a=b');
  t.equal(value('xsid=1'), null);
  t.equal(value('sid'), null);
  t.equal(value('sid='), '');
  t.equal(value(), null);
  t.equal(value(' sid = 1 '), '1');
  t.equal(value('a="sid=1; sid=2"'), '2"', 'quotes protect no semicolon (RFC 6265)');
  t.equal(read([{ kind: 'cookie', name: 'sid' }], { fields: ['cookie', 'sid='] }), 'missing');
  t.strictSame(read([{ kind: 'cookie', name: 'sid' }], { fields: ['cookie', 'sid="x y"'] }), ['x y']);
});

t.test('a segment of the path counts decoded once', async (t) => {
  const segment = (rawPath: string, n: number): ReturnType<typeof read> =>
    read([{ kind: 'path', segment: n }], { rawPath });
  t.strictSame(segment('/users/42/orders', 1), ['users']);
  t.strictSame(segment('/users/42/orders', 2), ['42']);
  t.strictSame(segment('/users/42/orders', 3), ['orders']);
  t.equal(segment('/users/42/orders', 4), 'missing');
  t.equal(segment('/users//orders', 2), 'missing');
  t.equal(segment('/', 1), 'missing');
  t.equal(segment('/users/', 2), 'missing');
  t.strictSame(segment('/a%2Fb%2525/x', 1), ['a/b%25'], 'an encoded slash is data');
  t.strictSame(segment('/a+b', 1), ['a+b'], 'a plus is a plus in a path');
});

t.test('the client address is a key of its own', async (t) => {
  t.strictSame(read([{ kind: 'clientIp' }], {}), ['192.0.2.1']);
});

t.test('a value of the body is asked for only when it decides', async (t) => {
  const json = { kind: 'json', pointer: 0 } as const;
  const header = { kind: 'header', name: 'x-user' } as const;
  const withHeader = { fields: ['x-user', 'u1'] };
  t.equal(read([json], {}), 'need_body');
  t.strictSame(read([json], { body: [Buffer.from('u1')] }), ['u1']);
  t.equal(read([json], { body: null }), 'missing', 'no body, or none that can be read');
  t.equal(read([json], { body: [null] }), 'missing');
  t.strictSame(read([header, json], withHeader), ['u1'], 'an earlier source decides');
  t.equal(read([header, json], {}), 'need_body');
  t.equal(read([json, header], withHeader), 'need_body', 'a later one does not');
  t.equal(read([header, json], withHeader, 'all'), 'need_body');
  t.equal(read([header, json], {}, 'all'), 'missing', 'all of them: one is missing already');
  t.strictSame(read([{ kind: 'json', pointer: 1 }], { body: [null, Buffer.from('t')] }), ['t']);
});

t.test('all of several sources make one key of several parts, in order', async (t) => {
  const tenant = { kind: 'header', name: 'x-tenant' } as const;
  const user = { kind: 'query', name: 'user' } as const;
  const both = { fields: ['x-tenant', 't'], query: 'user=u' };
  t.strictSame(read([tenant, user], both, 'all'), ['t', 'u']);
  t.strictSame(read([user, tenant], both, 'all'), ['u', 't']);
  t.equal(read([tenant, user], { fields: ['x-tenant', 't'] }, 'all'), 'missing', 'half a key is none');
  t.strictSame(read([tenant, user], { query: 'user=u' }), ['u'], 'first: the next source stands in');
});

t.test('a missing key leaves nothing behind in the buffer', async (t) => {
  const key = new KeyBytes();
  const sources = [
    { kind: 'header', name: 'x-tenant' },
    { kind: 'query', name: 'user' },
  ] as const;
  readKey({ sources, combine: 'all', pointers: [] }, facts({ fields: ['x-tenant', 't'] }), key, noClaims);
  t.equal(key.parts, 0);
  t.equal(key.copy().length, 0);
});

t.test('a claim is read from a bearer token as it stands', async (t) => {
  const token = (payload: string): string[] => [
    'authorization',
    `Bearer e30.${Buffer.from(payload).toString('base64url')}.c2ln`,
  ];
  const claim = (fields: readonly string[], name = 'sub'): string | null => {
    const value = readUnverifiedClaim(fields, name);
    return value === null ? null : Buffer.from(value).toString('utf8');
  };
  t.equal(claim(token('{"sub":"u1","iat":7}')), 'u1');
  t.equal(claim(token('{"sub":"u1","iat":7}'), 'iat'), '7');
  t.equal(claim(token('{"https://x/y~z":"v"}'), 'https://x/y~z'), 'v', 'a name is no pointer');
  t.equal(claim(token('{"sub":{"x":1}}')), null);
  t.equal(claim(token('no json')), null);
  t.equal(claim(['authorization', 'bearer e30.eyJzdWIiOiJ4In0.']), 'x', 'the scheme in any case');
  t.equal(claim(['authorization', 'Basic e30.eyJzdWIiOiJ4In0.c']), null);
  t.equal(claim(['authorization', 'Bearer opaque']), null);
  t.equal(claim([]), null);
  t.strictSame(
    read([{ kind: 'jwt', claim: 'sub' }], { fields: token('{"sub":"u1"}') }, 'first', readUnverifiedClaim),
    ['u1'],
  );
});

t.test('no bytes of a stranger make reading a key throw', async () => {
  const sources: KeySourcePlan[] = [
    { kind: 'header', name: 'x' },
    { kind: 'query', name: 'q' },
    { kind: 'cookie', name: 'c' },
    { kind: 'path', segment: 2 },
    { kind: 'jwt', claim: 's' },
    { kind: 'clientIp' },
  ];
  const latin1 = fc.string({ unit: fc.integer({ min: 0, max: 255 }).map((n) => String.fromCharCode(n)) });
  fc.assert(
    fc.property(latin1, latin1, latin1, fc.constantFrom('first', 'all'), (value, query, path, combine) => {
      const fields = ['x', value, 'cookie', value, 'authorization', `Bearer ${value}`];
      read(sources, { fields, query, rawPath: `/${path}` }, combine, readUnverifiedClaim);
      return true;
    }),
    { numRuns: 1000 },
  );
});
