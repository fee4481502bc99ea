// Verified claims for residency locks: the signature of a bearer token is checked with the public keys of a
// policy, by fast-jwt, before anything in it is believed. Only here, and only for requests that a rule with
// a claim is about. The only file that knows the package.

import { createPublicKey, type JsonWebKeyInput } from 'node:crypto';
import { type Algorithm, createVerifier } from 'fast-jwt';
import type { TokenKeys, TokenVerifier } from '../routing/regional-policy.ts';

type Claims = Readonly<Record<string, unknown>>;
type Verify = (token: string) => Claims;

// Tokens that were good are remembered by their hash until they expire: a client sends the same one again.
const REMEMBERED_TOKENS = 1000;
// Longer ones cost more to check than a request may.
const LONGEST_TOKEN = 8192;

/** One per thread: it remembers what it has made of each set of keys. */
export function tokenVerifier(): TokenVerifier {
  const verifiers = new WeakMap<TokenKeys, readonly Verify[]>();
  return (fields, keys) => {
    const token = bearerToken(fields);
    if (token === undefined || token.length > LONGEST_TOKEN) return null;
    let ways = verifiers.get(keys);
    if (ways === undefined) {
      ways = verifiersOf(keys);
      verifiers.set(keys, ways);
    }
    for (const verify of ways) {
      try {
        return verify(token);
      } catch {
        // Another key may fit; a token that none fits proves nothing.
      }
    }
    return null;
  };
}

/** Two tokens are no token: whoever reads the other one would believe another claim. */
function bearerToken(fields: readonly string[]): string | undefined {
  let token: string | undefined;
  for (let i = 0; i < fields.length; i += 2) {
    if (fields[i] !== 'authorization') continue;
    if (token !== undefined) return undefined;
    token = /^bearer +([\w-]+\.[\w-]+\.[\w-]+)$/i.exec(fields[i + 1]!)?.[1] ?? '';
  }
  return token === '' ? undefined : token;
}

function verifiersOf({ keys, issuer, audience }: TokenKeys): Verify[] {
  return keys.flatMap((jwk) => {
    const algorithms = algorithmsOf(jwk);
    if (algorithms.length === 0) return [];
    try {
      const key = createPublicKey({ key: jwk as JsonWebKeyInput['key'], format: 'jwk' }).export({
        type: 'spki',
        format: 'pem',
      });
      const verify = createVerifier({
        key: key as string,
        algorithms,
        cache: REMEMBERED_TOKENS,
        ...(issuer !== undefined && { allowedIss: issuer }),
        ...(audience !== undefined && { allowedAud: audience }),
      });
      return [(token: string) => verify(token) as Claims];
    } catch {
      // A key that Node cannot read verifies nothing; the others may.
      return [];
    }
  });
}

/** The key decides which algorithms may be used with it, never the token (RFC 8725, 3.1). */
function algorithmsOf({ kty, crv, alg }: Readonly<Record<string, unknown>>): Algorithm[] {
  const fitting = FITTING[kty === 'EC' || kty === 'OKP' ? String(crv) : String(kty)] ?? [];
  return alg === undefined ? [...fitting] : fitting.filter((algorithm) => algorithm === alg);
}

const FITTING: Readonly<Record<string, readonly Algorithm[]>> = {
  RSA: ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'],
  'P-256': ['ES256'],
  'P-384': ['ES384'],
  'P-521': ['ES512'],
  Ed25519: ['EdDSA'],
};
