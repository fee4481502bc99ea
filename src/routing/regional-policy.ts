// What a region's manager lays down: which requests only some regions may serve (residency), and what this
// region serves at all. Asked by the proxy, so that it never sends what would be refused, and again by the
// manager with the same code. A lock fails closed: what cannot be told (no token, no key) counts as locked,
// and a lock that any region publishes binds every region.

import { z } from 'zod';
import type { RegionIndex } from '../core/ids.ts';
import { type SetView, withoutRegions } from './eligibility.ts';
import { KeyBytes } from './key-bytes.ts';
import { isKeyRepeated, lenientPath, valuesOf } from './lenient-reading.ts';
import { type MatchInput, RouteMatcher } from './route-matcher.ts';
import { type ClaimReader, type KeyFacts, type KeySourcePlan, readKey } from './shard-key.ts';
import type { EligibleSet } from './snapshot.ts';

const text = z.string().min(1).max(1024);
const regions = z.array(z.string().min(1).max(63)).min(1).max(512);
// A public key as in RFC 7517; which of them are sound is the verifier's affair.
const publicKey = z.looseObject({ kty: z.enum(['RSA', 'EC', 'OKP']), kid: z.string().max(256).optional() });

const residencyRule = z.strictObject({
  path: text.optional(),
  key: z
    .strictObject({
      kind: z.enum(['header', 'query', 'cookie', 'path']),
      name: text.optional(),
      segment: z.int().min(1).max(64).optional(),
    })
    .optional(),
  prefix: text.optional(),
  claim: z
    .strictObject({
      name: text,
      in: z.array(text).min(1).max(1000),
      keys: z.array(publicKey).min(1).max(64),
      issuer: text.optional(),
      audience: text.optional(),
    })
    .optional(),
  regions,
});

/** A policy as a manager publishes it in its report. */
export const policyDocument = z.strictObject({
  residency: z.array(residencyRule).max(1000).default([]),
  methods: z.array(z.string().max(32)).max(32).default([]),
  paths: z.array(z.string().max(1024)).max(1000).default([]),
  requireHeader: z.record(z.string().max(128), z.string().max(1024)).default({}),
  removeHeaders: z
    .strictObject({
      request: z.array(z.string().max(128)).max(100),
      response: z.array(z.string().max(128)).max(100),
    })
    .default({ request: [], response: [] }),
  /** Bytes; 0 = no limit. */
  maxBody: z
    .number()
    .min(0)
    .max(2 ** 40)
    .default(0),
  /** Path of the health check, which answers whatever the policy says. */
  healthPath: z
    .string()
    .max(2048)
    .regex(/^(\/[\x21-\x7e]*)?$/, 'must be a path')
    .default(''),
});

export type PolicyDocument = z.output<typeof policyDocument>;
type ResidencyRule = PolicyDocument['residency'][number];
export type TokenKeys = NonNullable<ResidencyRule['claim']>;

/**
 * Claims of the request's bearer token, verified by `keys`; null when there is no token or it is not good.
 * The result for one request is asked for once a rule.
 */
export type TokenVerifier = (
  fields: KeyFacts['fields'],
  keys: TokenKeys,
) => Readonly<Record<string, unknown>> | null;

export interface PolicyFacts extends MatchInput, KeyFacts {
  /** Declared length of the body, bytes; undefined when there is none or it is not known. */
  readonly contentLength: number | undefined;
}

/** Why a region may not serve a request. */
export type PolicyRefusal = 'residency' | 'region_policy' | 'body_too_large';

/** Policies of the regions of a snapshot. One per snapshot and thread: it keeps a scratch key. */
export class RegionalPolicies {
  readonly #locks: readonly CompiledLock[];
  readonly #own: readonly (CompiledPolicy | null)[];
  readonly #regionIds: readonly string[];
  readonly #restricted = new WeakMap<SetView, Map<string, SetView>>();
  /** Nobody asks for anything: the rule in most installations, and it should cost a request nothing. */
  readonly #isEmpty: boolean;

  /** @param documents by region index; null where a region publishes nothing. */
  constructor(documents: readonly (PolicyDocument | null)[], regionIds: readonly string[]) {
    this.#regionIds = regionIds;
    this.#own = documents.map((document) => (document === null ? null : compilePolicy(document)));
    this.#locks = documents.flatMap((document) => (document?.residency ?? []).map(compileLock));
    this.#isEmpty = this.#locks.length === 0 && this.#own.every((own) => own === null);
  }

  /**
   * The set's view without the regions that may not serve this request.
   * @returns a refusal when there is no region that may.
   */
  restrict(
    set: EligibleSet,
    view: SetView,
    facts: PolicyFacts,
    verify: TokenVerifier,
  ): SetView | PolicyRefusal {
    if (this.#isEmpty) return view;
    const barred: RegionIndex[] = [];
    let refusal: PolicyRefusal | undefined;
    const allowed = this.#allowedRegions(facts, verify);
    for (const member of set.members as Iterable<RegionIndex & number>) {
      const why = this.#refusalOf(member, allowed, facts);
      if (why === undefined) continue;
      barred.push(member);
      // Residency is what a client has to know first; any other refusal may differ between regions.
      if (refusal !== 'residency') refusal = why;
    }
    if (barred.length === 0) return view;
    if (barred.length === set.members.length) return refusal!;
    return this.#without(view, barred);
  }

  #refusalOf(
    region: RegionIndex,
    allowed: readonly string[] | null,
    facts: PolicyFacts,
  ): PolicyRefusal | undefined {
    if (allowed !== null && !allowed.includes(this.#regionIds[region]!)) return 'residency';
    const own = this.#own[region]!;
    return own === null ? undefined : refusalOfOwn(own, facts);
  }

  /** Regions that every lock leaves; null when none of them fits the request. */
  #allowedRegions(facts: PolicyFacts, verify: TokenVerifier): readonly string[] | null {
    let allowed: readonly string[] | null = null;
    for (const lock of this.#locks) {
      const fit = fitOf(lock, facts, verify);
      if (fit === 'no') continue;
      const regions: readonly string[] = lock.regions;
      allowed = allowed === null ? regions : allowed.filter((id) => regions.includes(id));
    }
    return allowed;
  }

  #without(view: SetView, barred: readonly RegionIndex[]): SetView {
    let known = this.#restricted.get(view);
    if (known === undefined) {
      known = new Map();
      this.#restricted.set(view, known);
    }
    const name = barred.join();
    let restricted = known.get(name);
    if (restricted === undefined) {
      restricted = withoutRegions(view, barred, 'policy');
      // As many as there are distinct combinations of rules; a hostile client cannot make more of them.
      known.set(name, restricted);
    }
    return restricted;
  }
}

interface CompiledPolicy {
  readonly document: PolicyDocument;
  readonly paths: RouteMatcher | null;
  readonly headers: readonly (readonly [string, RegExp])[];
}

/** null when it asks nothing of a request. */
function compilePolicy(document: PolicyDocument): CompiledPolicy | null {
  const { methods, paths, requireHeader, maxBody } = document;
  if (methods.length + paths.length + Object.keys(requireHeader).length + maxBody === 0) return null;
  return {
    document,
    paths: document.paths.length === 0 ? null : matcherOf(document.paths),
    headers: Object.entries(document.requireHeader).map(([name, expression]) => [
      name.toLowerCase(),
      new RegExp(expression, 'u'),
    ]),
  };
}

function matcherOf(paths: readonly string[]): RouteMatcher {
  const matcher = new RouteMatcher();
  for (const path of paths) matcher.add({ host: '*', path, methods: [], headers: {} });
  return matcher;
}

function refusalOfOwn(
  { document, paths, headers }: CompiledPolicy,
  facts: PolicyFacts,
): PolicyRefusal | undefined {
  if (facts.method === 'GET' && document.healthPath !== '' && facts.rawPath === document.healthPath)
    return undefined;
  const { methods, maxBody } = document;
  if (methods.length > 0 && !methods.includes(facts.method)) return 'region_policy';
  if (paths !== null && !isAllowedPath(paths, facts)) return 'region_policy';
  for (const [name, expression] of headers) {
    // Every line: which of them a server takes, nobody knows.
    const values = valuesOf(facts.fields, name);
    if (values.length === 0 || !values.every((value) => expression.test(value))) return 'region_policy';
  }
  if (maxBody > 0 && facts.contentLength !== undefined && facts.contentLength > maxBody)
    return 'body_too_large';
  return undefined;
}

/** A path that some server would read as one that leads out of the allowed ones is none of them. */
function isAllowedPath(paths: RouteMatcher, facts: PolicyFacts): boolean {
  if (paths.match(facts) === -1) return false;
  return !facts.path.includes('..') || paths.match(readLeniently(facts)) !== -1;
}

interface CompiledLock {
  readonly rule: ResidencyRule;
  readonly path: RouteMatcher | null;
  readonly key: KeySourcePlan | null;
  readonly prefix: Uint8Array;
  readonly regions: readonly string[];
}

function compileLock(rule: ResidencyRule): CompiledLock {
  return {
    rule,
    path: rule.path === undefined ? null : matcherOf([rule.path]),
    key: rule.key === undefined ? null : keySourceOf(rule.key),
    prefix: Buffer.from(rule.prefix ?? '', 'utf8'),
    regions: rule.regions,
  };
}

function keySourceOf({ kind, name = '', segment = 1 }: NonNullable<ResidencyRule['key']>): KeySourcePlan {
  return kind === 'path' ? { kind, segment } : { kind, name };
}

const scratch = new KeyBytes();
const NO_CLAIMS: ClaimReader = () => null;

/** `unknown`: the request does not say; it counts as a fit, since a lock fails closed. */
function fitOf(
  { rule, path, key, prefix }: CompiledLock,
  facts: PolicyFacts,
  verify: TokenVerifier,
): 'yes' | 'no' | 'unknown' {
  if (path !== null && path.match(facts) === -1 && path.match(readLeniently(facts)) === -1) return 'no';
  if (key !== null) return fitOfKey(key, prefix, facts);
  const { claim } = rule;
  if (claim === undefined) return 'yes';
  const value = verify(facts.fields, claim)?.[claim.name];
  const values = Array.isArray(value) ? value : [value];
  if (!values.every((one) => typeof one === 'string' || typeof one === 'number')) return 'unknown';
  return values.some((one) => claim.in.includes(String(one))) ? 'yes' : 'no';
}

function fitOfKey(key: KeySourcePlan, prefix: Uint8Array, facts: PolicyFacts): 'yes' | 'no' | 'unknown' {
  if (isKeyRepeated(key, facts)) return 'unknown';
  const fit = fitOfReading(key, prefix, facts);
  if (key.kind !== 'path' || fit !== 'no') return fit;
  return fitOfReading(key, prefix, readLeniently(facts));
}

function fitOfReading(key: KeySourcePlan, prefix: Uint8Array, facts: PolicyFacts): 'yes' | 'no' | 'unknown' {
  const found = readKey({ sources: [key], combine: 'first', pointers: [] }, facts, scratch, NO_CLAIMS);
  if (found !== 'found') return 'unknown';
  return scratch.firstPartStartsWith(prefix) ? 'yes' : 'no';
}

/** `//patients%2F7` is `/patients/7` to many servers, so it must be to a lock. */
function readLeniently(facts: PolicyFacts): PolicyFacts {
  const path = lenientPath(facts.path);
  return path === facts.path ? facts : { ...facts, path, rawPath: path };
}
