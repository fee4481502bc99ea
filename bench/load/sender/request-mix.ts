// Which requests are sent: methods, body sizes and their shares; and their bytes. Pure but for the
// random draw, which is an argument.

import type { Random } from '../../../src/core/random.ts';
import { parseSize } from '../../../src/core/units.ts';

export interface RequestKind {
  readonly method: string;
  readonly bodyBytes: number;
  /** Share of all requests is weight over the sum of weights. */
  readonly weight: number;
}

const MAX_BODY_BYTES = 64 * 1024 * 1024;
/** CONNECT changes what the connection is, TRACE must not have a body: neither is load. */
const REFUSED_METHODS = new Set(['CONNECT', 'TRACE']);

/** `METHOD[:BODY][@WEIGHT]`, e.g. `GET@9` or `POST:16KiB@1`; a sentence about what is allowed otherwise. */
export function parseRequestKind(text: string): RequestKind | string {
  const allowed = `a request must be METHOD[:BODY][@WEIGHT], e.g. GET@9 or POST:16KiB@1 (body at most 64MiB), not "${text}"`;
  const match = /^([A-Z]+)(?::([^@]+))?(?:@(\d+(?:\.\d+)?))?$/.exec(text);
  if (match === null || REFUSED_METHODS.has(match[1]!)) return allowed;
  const size = parseSize(match[2] ?? '0');
  const weight = Number(match[3] ?? 1);
  if (!size.ok || size.value > MAX_BODY_BYTES || !(weight > 0)) return allowed;
  return { method: match[1]!, bodyBytes: size.value, weight };
}

/** Draws a kind by weight. */
export function kindSource(kinds: readonly RequestKind[], random: Random): () => number {
  if (kinds.length === 1) return () => 0;
  const total = kinds.reduce((sum, kind) => sum + kind.weight, 0);
  return () => {
    let left = random.next() * total;
    for (let i = 0; i < kinds.length - 1; i++) {
      left -= kinds[i]!.weight;
      if (left < 0) return i;
    }
    return kinds.length - 1;
  };
}

export interface RequestTemplate {
  readonly hasAnswerBody: boolean;
  readonly body: Buffer | null;
  /** Head with its empty line, for a key; Latin-1 by the caller's checks. */
  head(key: number): string;
}

export interface TemplateOptions {
  /** Host field. */
  readonly host: string;
  /** Path and query; each `{key}` becomes the key. */
  readonly path: string;
  /** Lines `name: value` in addition. */
  readonly headers: readonly string[];
  /** '' sends no key header. */
  readonly keyHeader: string;
}

/** Methods that carry a length even without a body (RFC 9110, 8.6). */
const METHODS_WITH_BODY = new Set(['POST', 'PUT', 'PATCH']);

export function requestTemplate(kind: RequestKind, options: TemplateOptions): RequestTemplate {
  const hasLength = kind.bodyBytes > 0 || METHODS_WITH_BODY.has(kind.method);
  const names = new Set(options.headers.map((line) => line.slice(0, line.indexOf(':')).toLowerCase()));
  const lines = [
    ...(names.has('host') ? [] : [`host: ${options.host}`]),
    ...options.headers,
    ...(hasLength ? [`content-length: ${kind.bodyBytes}`] : []),
  ];
  const tail = `${lines.join('\r\n')}\r\n`;
  const body = kind.bodyBytes > 0 ? Buffer.alloc(kind.bodyBytes, 'x') : null;
  const keyInPath = options.path.includes('{key}');
  const plain = `${kind.method} ${options.path} HTTP/1.1\r\n${tail}`;
  return {
    hasAnswerBody: kind.method !== 'HEAD',
    body,
    head: (key) => {
      const start = keyInPath
        ? `${kind.method} ${options.path.replaceAll('{key}', keyText(key))} HTTP/1.1\r\n${tail}`
        : plain;
      return options.keyHeader === '' || key === 0
        ? `${start}\r\n`
        : `${start}${options.keyHeader}: ${keyText(key)}\r\n\r\n`;
    },
  };
}

function keyText(key: number): string {
  return `user-${key}`;
}
