// A second reading of the contract's rules for shard keys, as plainly as they can be written: requests are
// made from their parts, and the key is looked up in the parts, never in the text that the proxy reads.

import fc from 'fast-check';
import type { RequestParts } from './world.ts';
import { keyHashReference } from './xxh64-reference.ts';

export type Source = Readonly<Record<string, string | number>> | 'clientIp';

export interface Sent {
  readonly method: string;
  readonly path: readonly string[];
  readonly headers: readonly (readonly [string, string])[];
  readonly query: readonly (readonly [string, string])[];
  readonly cookies: readonly (readonly [string, string])[];
  readonly json: unknown;
  /** Payload of a bearer token, null = there is none. */
  readonly claims: Readonly<Record<string, string | number>> | null;
  readonly address: string;
}

/** Parts of one source, empty when it is missing. */
function partsOf(source: Source, sent: Sent): Buffer[] {
  const text = (value: string | undefined): Buffer[] =>
    value === undefined || value === '' ? [] : [Buffer.from(value)];
  if (source === 'clientIp') return text(sent.address);
  const [[kind, name]] = Object.entries(source) as [[string, string | number]];
  const firstOf = (pairs: readonly (readonly [string, string])[]): string | undefined =>
    pairs.find(([key]) => key === name)?.[1];
  switch (kind) {
    case 'header':
      return sent.headers.filter(([key]) => key === name).map(([, value]) => Buffer.from(value, 'latin1'));
    case 'query':
      return text(firstOf(sent.query));
    case 'cookie':
      return text(firstOf(sent.cookies));
    case 'path':
      return text(sent.path[Number(name) - 1]);
    case 'jwt': {
      const claim = sent.claims?.[name];
      return claim === undefined ? [] : [Buffer.from(String(claim))];
    }
    default: {
      let value = sent.json;
      for (const step of String(name).slice(1).split('/'))
        value = (value as Record<string, unknown> | null | undefined)?.[step];
      // Of the numbers made here the source text is what JSON.stringify wrote.
      return typeof value === 'string' || typeof value === 'number' ? [Buffer.from(String(value))] : [];
    }
  }
}

function keyOf(sources: readonly Source[], combine: string, sent: Sent): Buffer[] | undefined {
  const parts = sources.map((source) => partsOf(source, sent));
  if (combine === 'all') return parts.every((part) => part.length > 0) ? parts.flat() : undefined;
  return parts.find((part) => part.length > 0);
}

const word = fc.stringMatching(/^[a-z0-9 +%&=;\u00fc]{1,6}$/);
const pairs = (names: string[], value: fc.Arbitrary<string>) =>
  fc.array(fc.tuple(fc.constantFrom(...names), value), { maxLength: 3 });
export const anySent: fc.Arbitrary<Sent> = fc.record({
  method: fc.constantFrom('GET', 'POST', 'PUT'),
  path: fc.array(word, { maxLength: 3 }),
  headers: pairs(['x-user', 'x-tenant'], fc.stringMatching(/^[a-z\u00e9]{1,4}$/)),
  query: pairs(['q', 'user'], word),
  cookies: pairs(['sid', 'x'], fc.stringMatching(/^[a-z0-9]{1,4}$/)),
  json: fc.oneof(
    fc.constant(undefined),
    fc.record(
      { id: fc.oneof(word, fc.nat(99), fc.constantFrom(null, [], {})), user: fc.record({ id: word }) },
      { requiredKeys: [] },
    ),
  ),
  claims: fc.oneof(
    fc.constant(null),
    fc.record({ sub: fc.oneof(word, fc.nat(99)), tenant: word }, { requiredKeys: [] }),
  ),
  address: fc.constantFrom('192.0.2.1', '2001:db8::1'),
});
const anySource: fc.Arbitrary<Source> = fc.constantFrom<Source[]>(
  { header: 'x-user' },
  { header: 'x-tenant' },
  { query: 'q' },
  { query: 'user' },
  { cookie: 'sid' },
  { path: 1 },
  { path: 2 },
  { jwt: 'sub' },
  { jwt: 'tenant' },
  { json: '/id' },
  { json: '/user/id' },
  'clientIp',
);
const anySources = fc.array(anySource, { minLength: 1, maxLength: 4 });

/** The request that a client would send. */
export function requestOf(sent: Sent): RequestParts {
  const encode = encodeURIComponent;
  const query = sent.query.map(([name, value]) => `${encode(name)}=${encode(value).replaceAll('%20', '+')}`);
  const cookies = sent.cookies.map(([name, value]) => `${name}=${value}`);
  return {
    method: sent.method,
    target: `/${sent.path.map(encode).join('/')}?${query.join('&')}`,
    fields: [
      ...sent.headers.flat(),
      ...(cookies.length > 0 ? ['cookie', cookies.join('; ')] : []),
      ...(sent.claims === null ? [] : ['authorization', `Bearer ${tokenOf(sent.claims)}`]),
    ],
    clientAddress: sent.address,
    body: sent.json === undefined ? null : undefined,
  };
}

/** Header and signature mean nothing to us: the token is not verified here. */
function tokenOf(claims: object): string {
  return `e30.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.c2ln`;
}

export interface KeyRule {
  readonly from: readonly Source[];
  readonly combine: 'first' | 'all';
  readonly onMissing: 'random' | 'reject' | 'default' | 'cookie';
  readonly cookie: { readonly name: string };
  readonly perType: Readonly<Record<string, readonly Source[]>>;
}

export const anyKeyRule: fc.Arbitrary<KeyRule> = fc.record({
  from: anySources,
  combine: fc.constantFrom('first', 'all'),
  onMissing: fc.constantFrom('random', 'reject', 'default', 'cookie'),
  cookie: fc.record({ name: fc.constantFrom('sid', 'x') }),
  perType: fc.dictionary(fc.constantFrom('POST', 'PUT'), anySources, { maxKeys: 2 }),
});

/** The shard that the contract gives a request, or what else happens to it. */
export function expectedShard(rule: KeyRule, sent: Sent, shards: number): number | 'refused' | 'drawn' {
  const parts = keyOf(rule.perType[sent.method] ?? rule.from, rule.combine, sent);
  if (parts !== undefined) return shardOf(parts, shards);
  switch (rule.onMissing) {
    case 'random':
      return 'drawn';
    case 'reject':
      return 'refused';
    case 'default':
      return shardOf([], shards);
    case 'cookie': {
      const sticky = partsOf({ cookie: rule.cookie.name }, sent);
      return sticky.length > 0 ? shardOf(sticky, shards) : 'drawn';
    }
  }
}

export function shardOf(parts: readonly Buffer[], shards: number): number {
  return Number(keyHashReference(parts) >> BigInt(64 - Math.log2(shards)));
}
