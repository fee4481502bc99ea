// Tokens that prove something, and all the ways in which others do not.

import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { createSigner } from 'fast-jwt';
import t from 'tap';
import { tokenVerifier } from '../../src/proxy/token-verifier.ts';
import type { TokenKeys } from '../../src/routing/regional-policy.ts';

const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
const stranger = generateKeyPairSync('ec', { namedCurve: 'P-256' });

const jwkOf = (key: KeyObject): TokenKeys['keys'][number] =>
  key.export({ format: 'jwk' }) as TokenKeys['keys'][number];
const pemOf = (key: KeyObject): string => key.export({ type: 'pkcs8', format: 'pem' }) as string;

const keysOf = (parts: Partial<TokenKeys> = {}): TokenKeys => ({
  name: 'country',
  in: ['DE'],
  keys: [jwkOf(rsa.publicKey), jwkOf(ec.publicKey)],
  ...parts,
});

const signed = createSigner({ key: pemOf(ec.privateKey), algorithm: 'ES256' });
const bearer = (token: string): string[] => ['authorization', `Bearer ${token}`];

t.test('claims of a token that one of the keys has signed', async (t) => {
  const verify = tokenVerifier();
  t.match(verify(bearer(signed({ country: 'DE' })), keysOf()), { country: 'DE' });
  const byRsa = createSigner({ key: pemOf(rsa.privateKey), algorithm: 'RS256' });
  t.match(verify(bearer(byRsa({ country: 'FR' })), keysOf()), { country: 'FR' });
});

t.test('nothing else proves anything', async (t) => {
  const verify = tokenVerifier();
  const good = signed({ country: 'DE' });
  const [head, body, signature] = good.split('.') as [string, string, string];
  const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const publicPem = ec.publicKey.export({ type: 'spki', format: 'pem' }) as string;
  const cases: Record<string, readonly string[]> = {
    'no token': [],
    'another scheme': ['authorization', `Basic ${good}`],
    'two tokens': [...bearer(good), ...bearer(good)],
    'a stranger’s key': bearer(
      createSigner({ key: pemOf(stranger.privateKey), algorithm: 'ES256' })({ country: 'DE' }),
    ),
    'a changed claim': bearer(`${head}.${encode({ country: 'FR' })}.${signature}`),
    'no signature': bearer(`${encode({ alg: 'none' })}.${body}.`),
    'a cut signature': bearer(`${head}.${body}.${signature.slice(0, -4)}`),
    'an expired token': bearer(signed({ country: 'DE', exp: 1 })),
    'a token of tomorrow': bearer(signed({ country: 'DE', nbf: 4_000_000_000 })),
    'a token as long as a book': bearer(signed({ country: 'DE', filler: 'x'.repeat(10_000) })),
    // The public key as the secret of a symmetric signature: the classic confusion.
    'a public key as a secret': bearer(
      `${encode({ alg: 'HS256', typ: 'JWT' })}.${body}.${await hmac(publicPem, `${encode({ alg: 'HS256', typ: 'JWT' })}.${body}`)}`,
    ),
  };
  for (const [name, fields] of Object.entries(cases)) t.equal(verify(fields, keysOf()), null, name);
});

t.test('issuer and audience are held where they are asked for', async (t) => {
  const verify = tokenVerifier();
  const keys = keysOf({ issuer: 'https://id.example', audience: 'shop' });
  t.ok(verify(bearer(signed({ iss: 'https://id.example', aud: 'shop' })), keys));
  t.equal(verify(bearer(signed({ iss: 'https://evil.example', aud: 'shop' })), keys), null);
  t.equal(verify(bearer(signed({ iss: 'https://id.example', aud: 'bank' })), keys), null);
  t.equal(verify(bearer(signed({ country: 'DE' })), keys), null, 'without either');
});

t.test('a key that is none verifies nothing, and the others still do', async (t) => {
  const verify = tokenVerifier();
  const broken = { kty: 'EC', crv: 'P-256', x: 'AA', y: 'AA' } as unknown as TokenKeys['keys'][number];
  t.ok(verify(bearer(signed({})), keysOf({ keys: [broken, jwkOf(ec.publicKey)] })));
  t.equal(verify(bearer(signed({})), keysOf({ keys: [broken] })), null);
});

async function hmac(secret: string, text: string): Promise<string> {
  const { createHmac } = await import('node:crypto');
  return createHmac('sha256', secret).update(text).digest('base64url');
}
