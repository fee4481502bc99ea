// Second step of a decision: the shard key. A route says where it may be found; what is found becomes
// the canonical bytes that are hashed (key-bytes.ts). Values are read from what goes upstream, never from
// a copy that could differ, and are never logged.

import type { FieldList } from '../core/model.ts';
import { JsonScan } from './json-scan.ts';
import type { KeyBytes } from './key-bytes.ts';

/** One place to look; `json` entries refer to the route's list of pointers. */
export type KeySourcePlan =
  | { readonly kind: 'header'; readonly name: string }
  | { readonly kind: 'query'; readonly name: string }
  | { readonly kind: 'cookie'; readonly name: string }
  | { readonly kind: 'path'; readonly segment: number }
  | { readonly kind: 'json'; readonly pointer: number }
  | { readonly kind: 'jwt'; readonly claim: string }
  | { readonly kind: 'clientIp' };

export interface KeyPlan {
  readonly sources: readonly KeySourcePlan[];
  readonly combine: 'first' | 'all';
  /** Pointers that the `json` sources refer to; empty when no body is needed. */
  readonly pointers: readonly string[];
}

/** What a key may be read from. Field names are lower-case. */
export interface KeyFacts {
  readonly fields: FieldList;
  /** Path as received, without query. */
  readonly rawPath: string;
  /** Text behind the first `?`, or empty. */
  readonly query: string;
  /** Canonical text of the client's address. */
  readonly clientAddress: string;
  /**
   * Values at the plan's pointers; undefined = the body was not read yet, null = it was and there is
   * nothing usable in it (no body, an encoding, too large).
   */
  readonly body: readonly (Uint8Array | null)[] | null | undefined;
}

export type KeyResult = 'found' | 'missing' | 'need_body';

/**
 * Reads the key into `key` (which is reset first). `need_body` means that a source is a JSON pointer, no
 * earlier one has decided, and the body has not been read.
 */
export function readKey(plan: KeyPlan, facts: KeyFacts, key: KeyBytes, claims: ClaimReader): KeyResult {
  key.reset();
  for (const source of plan.sources) {
    if (source.kind === 'json' && facts.body === undefined) return 'need_body';
    const isFound = readSource(source, facts, key, claims);
    if (isFound && plan.combine === 'first') return 'found';
    if (!isFound && plan.combine === 'all') {
      key.reset();
      return 'missing';
    }
  }
  return key.parts > 0 ? 'found' : 'missing';
}

function readSource(source: KeySourcePlan, facts: KeyFacts, key: KeyBytes, claims: ClaimReader): boolean {
  switch (source.kind) {
    case 'header':
      return readHeader(facts.fields, source.name, key);
    case 'query':
      return readQuery(facts.query, source.name, key);
    case 'cookie':
      return readCookie(facts.fields, source.name, key);
    case 'path':
      return readSegment(facts.rawPath, source.segment, key);
    case 'json':
      return addIfPresent(facts.body?.[source.pointer] ?? null, key);
    case 'jwt':
      return addIfPresent(claims(facts.fields, source.claim), key);
    case 'clientIp':
      key.addLatin1(facts.clientAddress);
      return true;
  }
}

function addIfPresent(value: Uint8Array | null, key: KeyBytes): boolean {
  if (value === null) return false;
  key.addBytes(value);
  return true;
}

/** Every line of the header is a part; a header that is empty in every line is missing. */
function readHeader(fields: FieldList, name: string, key: KeyBytes): boolean {
  let emptyLines = 0;
  let isFound = false;
  for (let i = 0; i < fields.length; i += 2) {
    if (fields[i] !== name) continue;
    const value = fields[i + 1]!;
    if (value === '' && !isFound) {
      emptyLines += 1;
      continue;
    }
    for (; emptyLines > 0; emptyLines--) key.addLatin1('');
    key.addLatin1(value);
    isFound = true;
  }
  return isFound;
}

function readQuery(query: string, name: string, key: KeyBytes): boolean {
  let equals = -1;
  let at = 0;
  while (at < query.length) {
    const amp = query.indexOf('&', at);
    const end = amp === -1 ? query.length : amp;
    // Looked for only when the last one is passed: else a query of nothing but `&` would cost its square.
    if (equals < at) {
      const next = query.indexOf('=', at);
      equals = next === -1 ? query.length : next;
    }
    const nameEnd = Math.min(equals, end);
    if (isEncodedName(query, at, nameEnd, name)) {
      return addDecoded(query.slice(Math.min(nameEnd + 1, end), end), true, key);
    }
    at = end + 1;
  }
  return false;
}

/** Whether the text from..to of a query, decoded, is `name`. */
function isEncodedName(query: string, from: number, to: number, name: string): boolean {
  // A character of the name takes one of the query at least.
  if (to - from < name.length) return false;
  if (!isEncoded(query, from, to)) return to - from === name.length && query.startsWith(name, from);
  const bytes = percentDecode(query.slice(from, to), true);
  return Buffer.from(bytes).equals(Buffer.from(name, 'utf8'));
}

function isEncoded(query: string, from: number, to: number): boolean {
  for (let i = from; i < to; i++) {
    const char = query.charCodeAt(i);
    if (char === PERCENT || char === PLUS) return true;
  }
  return false;
}

function readCookie(fields: FieldList, name: string, key: KeyBytes): boolean {
  const value = cookieValue(fields, name);
  if (value === null || value === '') return false;
  key.addLatin1(value);
  return true;
}

/** Value of the first cookie of that name, without surrounding quotes; null when there is none. */
export function cookieValue(fields: FieldList, name: string): string | null {
  for (let i = 0; i < fields.length; i += 2) {
    if (fields[i] !== 'cookie') continue;
    for (const pair of fields[i + 1]!.split(';')) {
      const equals = pair.indexOf('=');
      if (equals === -1 || pair.slice(0, equals).trim() !== name) continue;
      const value = pair.slice(equals + 1).trim();
      const isQuoted = value.length >= 2 && value.startsWith('"') && value.endsWith('"');
      return isQuoted ? value.slice(1, -1) : value;
    }
  }
  return null;
}

function readSegment(path: string, segment: number, key: KeyBytes): boolean {
  let from = 1;
  for (let i = 1; i < segment; i++) {
    const slash = path.indexOf('/', from);
    if (slash === -1) return false;
    from = slash + 1;
  }
  const slash = path.indexOf('/', from);
  return addDecoded(path.slice(from, slash === -1 ? path.length : slash), false, key);
}

function addDecoded(text: string, plusIsSpace: boolean, key: KeyBytes): boolean {
  if (text === '') return false;
  if (!text.includes('%') && !(plusIsSpace && text.includes('+'))) key.addLatin1(text);
  else key.addBytes(percentDecode(text, plusIsSpace));
  return true;
}

const PERCENT = 0x25;
const PLUS = 0x2b;
const SPACE = 0x20;

/** Decodes once; a stray `%` stands for itself. */
function percentDecode(text: string, plusIsSpace: boolean): Uint8Array {
  const bytes = new Uint8Array(text.length);
  let length = 0;
  for (let i = 0; i < text.length; i++) {
    const char = text.charCodeAt(i);
    const high = char === PERCENT ? hexDigit(text.charCodeAt(i + 1)) : -1;
    const low = high === -1 ? -1 : hexDigit(text.charCodeAt(i + 2));
    if (low !== -1) {
      bytes[length++] = high * 16 + low;
      i += 2;
    } else {
      bytes[length++] = plusIsSpace && char === PLUS ? SPACE : char;
    }
  }
  return bytes.subarray(0, length);
}

/** Value of a hexadecimal digit's character code; -1 for anything else, NaN behind the end included. */
function hexDigit(char: number): number {
  if (char >= 0x30 && char <= 0x39) return char - 0x30;
  const lower = char | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}

/** Finds a claim of the request's bearer token; null when there is no token or no such claim. */
export type ClaimReader = (fields: FieldList, claim: string) => Uint8Array | null;

/**
 * Reads a claim from an `Authorization: Bearer` JWT without verifying it: good enough to spread load
 * when something else verifies the token, never for a residency lock.
 */
export const readUnverifiedClaim: ClaimReader = (fields, claim) => {
  for (let i = 0; i < fields.length; i += 2) {
    if (fields[i] !== 'authorization') continue;
    const match = /^bearer +[\w-]+\.([\w-]+)\.[\w-]*$/i.exec(fields[i + 1]!);
    if (match === null) return null;
    const scan = new JsonScan([`/${claim.replaceAll('~', '~0').replaceAll('/', '~1')}`]);
    scan.push(Buffer.from(match[1]!, 'base64url'));
    scan.finish();
    return scan.value(0);
  }
  return null;
};
