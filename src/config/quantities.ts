// The scalar types of the configuration: what an operator writes (`250ms`, `64KiB`, `20%`) and what
// the program gets (milliseconds, bytes, a share of one). Each carries facts in its metadata: `allowed`,
// the end of the sentence "must be …", with an `example`, and `written`, its JSON Schema as an operator
// writes it. json-schema.ts turns both into editor help, explain-issue.ts into messages; no sentence about
// what is allowed stands anywhere else, so check, schema and reference cannot disagree.

import { isIP } from 'node:net';
import { z } from 'zod';
import { type Parsed, parseDuration, parseShare, parseSize } from '../core/units.ts';

interface Kind {
  readonly parse: (text: string) => Parsed;
  readonly noun: string;
  readonly example: string;
  readonly pattern: string;
}

// A product of decimals such as 2.3 x 1000 is off by less than this; a wanted fraction is not.
const ROUNDING = 1e-6;

/** A number with a unit, from `min` to `max` as an operator would write them. */
function quantity(kind: Kind, min: string, max: string) {
  const lowest = boundOf(kind, min);
  const highest = boundOf(kind, max);
  return z
    .union([z.string(), z.number()])
    .transform((raw, ctx) => {
      const parsed = kind.parse(String(raw));
      const value = parsed.ok ? Math.round(parsed.value) : Number.NaN;
      const whole = parsed.ok && Math.abs(value - parsed.value) < ROUNDING;
      if (whole && value >= lowest && value <= highest) return value;
      ctx.addIssue({ code: 'custom' });
      return z.NEVER;
    })
    .meta({
      allowed: `${kind.noun} from ${min} to ${max}`,
      example: kind.example,
      written: { anyOf: [{ type: 'string', pattern: kind.pattern }, { const: 0 }] },
    });
}

function boundOf(kind: Kind, text: string): number {
  const parsed = kind.parse(text);
  if (!parsed.ok) throw new Error(`the schema has a bound that is not ${parsed.allowed}: ${text}`);
  return parsed.value;
}

const DURATION: Kind = {
  parse: parseDuration,
  noun: 'a duration',
  example: '250ms, 5s or 2m',
  pattern: '^(0|\\d+(\\.\\d+)?\\s*(ms|s|m|h|d))$',
};
const SIZE: Kind = {
  parse: parseSize,
  noun: 'a size',
  example: '512B, 64KiB or 1MiB',
  pattern: '^(0|\\d+(\\.\\d+)?\\s*(B|KiB|MiB|GiB))$',
};

/** `250ms`, `5s`, `2m`, `1h`, `14d`, `0` -> whole milliseconds. */
export const duration = (min: string, max: string) => quantity(DURATION, min, max);

/** `512B`, `64KiB`, `1MiB`, `0` -> whole bytes. */
export const size = (min: string, max: string) => quantity(SIZE, min, max);

/** `20%` or `0.2` -> 0.2. Bounds are shares of one. */
export const share = (min = 0, max = 1) =>
  z
    .union([z.string(), z.number()])
    .transform((raw, ctx) => {
      const parsed = parseShare(String(raw));
      if (parsed.ok && parsed.value >= min && parsed.value <= max) return parsed.value;
      ctx.addIssue({ code: 'custom' });
      return z.NEVER;
    })
    .meta({
      allowed: `a share from ${percent(min)} to ${percent(max)}`,
      example: '20% or 0.2',
      written: {
        anyOf: [
          { type: 'string', pattern: '^\\d+(\\.\\d+)?\\s*%?$' },
          { type: 'number', minimum: min, maximum: max },
        ],
      },
    });

function percent(value: number): string {
  return `${Math.round(value * 1e4) / 100}%`;
}

/** A whole number. */
export const whole = (min: number, max: number) => z.int().min(min).max(max);

/** A number, with a fraction or without. */
export const decimal = (min: number, max: number) => z.number().min(min).max(max);

interface TextFacts {
  readonly allowed: string;
  readonly example?: string;
  /** For editors; says less than the check where a pattern cannot say it all. */
  readonly pattern?: RegExp;
}

/** Text that passes `test`. */
function checked(test: (text: string) => boolean, { pattern, ...facts }: TextFacts) {
  const written = { type: 'string', ...(pattern === undefined ? {} : { pattern: pattern.source }) };
  return z
    .string()
    .refine((text) => test(text))
    .meta({ ...facts, written });
}

/** Text of a regular form; `allowed` ends the sentence "must be …". */
export const form = (pattern: RegExp, allowed: string, example?: string) =>
  checked((text) => pattern.test(text), { allowed, pattern, ...(example !== undefined && { example }) });

/** Free text that is not empty. */
export const text = (maxCharacters: number) => z.string().min(1).max(maxCharacters);

/** Something that no message, log or editor may repeat. Empty (`${TOKEN:-}`) is the same as not set. */
export const secret = z
  .string()
  .max(4096)
  .transform((value) => (value === '' ? undefined : value))
  .meta({ secret: true, allowed: 'text of at most 4096 characters' });

const ADDRESS_PATTERN = /^(\[[0-9a-fA-F:.]+\]|[0-9.]+):\d{1,5}$/;

/** `127.0.0.1:8080` or `[::1]:8080`. */
export const tcpAddress = checked((value) => splitAddress(value) !== null, {
  allowed: 'IP:PORT',
  example: '127.0.0.1:8080 or [::1]:8080',
  pattern: ADDRESS_PATTERN,
});

/** The same, or `unix:/path`. */
export const anyAddress = checked((value) => isUnixAddress(value) || splitAddress(value) !== null, {
  allowed: 'IP:PORT, or unix: and a path of at most 100 bytes',
  example: '127.0.0.1:8080, [::1]:8080 or unix:/run/foreshard.sock',
  pattern: new RegExp(`${ADDRESS_PATTERN.source}|^unix:/.`),
});

function isUnixAddress(value: string): boolean {
  // Linux takes 107 bytes of path, macOS 103; a longer one would fail at start-up with EINVAL alone.
  return /^unix:\/[^\0]+$/.test(value) && Buffer.byteLength(value) <= 'unix:'.length + 100;
}

/**
 * Host and port of `127.0.0.1:8080` or `[::1]:8080`, the host in its canonical form (`::1` however it
 * was written); null when the text is no such address. Port 0 lets the system choose. Names are
 * refused: what is listened on must not depend on a resolver.
 */
export function splitAddress(value: string): { readonly host: string; readonly port: number } | null {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([0-9.]+)):(\d{1,5})$/.exec(value);
  if (match === null) return null;
  const [, six, four, digits] = match;
  const port = Number(digits);
  if (port > 65_535) return null;
  if (four !== undefined) return isIP(four) === 4 ? { host: four, port } : null;
  // URL writes an IPv6 address in the one form of RFC 5952.
  return isIP(six!) === 6 ? { host: new URL(`http://[${six}]/`).hostname.slice(1, -1), port } : null;
}

/** Whether only this machine can reach the IP address `host` (127.0.0.0/8, ::1). */
export function isLoopback(host: string): boolean {
  return host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));
}

/** Origin of a server: scheme, host and port, nothing behind them. Normalised to `http://host:port`. */
export const serverUrl = z
  .string()
  .transform((value, ctx) => {
    const url = URL.parse(value);
    const bare =
      url !== null && url.pathname === '/' && url.search === '' && url.hash === '' && url.username === '';
    if (bare && (url.protocol === 'http:' || url.protocol === 'https:')) return url.origin;
    ctx.addIssue({ code: 'custom' });
    return z.NEVER;
  })
  .meta({
    allowed: 'http://HOST:PORT or https://HOST:PORT without a path',
    written: { type: 'string', pattern: '^https?://[^/?#@]+/?$' },
  });

/** Any http(s) URL. */
export const httpUrl = checked(
  (value) => value.length <= 2048 && /^https?:$/.test(URL.parse(value)?.protocol ?? ''),
  { allowed: 'an http:// or https:// URL', pattern: /^https?:\/\/./ },
);

/** `10.0.0.0/8`, `::1/128`, or one address. */
export const cidr = checked(isNetwork, {
  allowed: 'a network or one address',
  example: '10.0.0.0/8, ::1/128 or 192.0.2.1',
});

function isNetwork(value: string): boolean {
  const [address = '', bits, ...rest] = value.split('/');
  const family = isIP(address);
  const widest = family === 4 ? 32 : 128;
  const bitsFit = bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= widest);
  return family !== 0 && bitsFit && rest.length === 0;
}

const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}$/;

/** Field name of RFC 9110, lower-cased: names are compared without case. */
export const fieldName = form(TOKEN, 'a header name', 'x-user-id').transform((name) => name.toLowerCase());

/** Values by header name; a name may stand once, whatever its case. */
export const fieldValues = z
  .record(form(TOKEN, 'a header name', 'x-user-id'), z.string().max(1024))
  .refine((fields) => Object.keys(fields).length <= 32)
  .refine(
    (fields) =>
      new Set(Object.keys(fields).map((key) => key.toLowerCase())).size === Object.keys(fields).length,
  )
  .transform((fields) =>
    Object.fromEntries(Object.entries(fields).map(([name, value]) => [name.toLowerCase(), value])),
  )
  .meta({ allowed: 'a mapping of at most 32 header names, each once whatever its case' });

/** Name of a cookie: a token of RFC 6265. */
export const cookieName = form(/^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}$/, 'a cookie name', 'foreshard');

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/;
const NAME_ALLOWED = '1 to 63 letters, digits, dots, dashes or underscores, the first one a letter or digit';

/** Names of regions and routes: they appear in headers, metrics and paths, so their characters are few. */
export const name = form(NAME, NAME_ALLOWED);

/** A name, or empty for none. */
export const nameOrNone = form(new RegExp(`^$|${NAME.source}`), `empty, or ${NAME_ALLOWED}`);

/** RFC 6901. */
export const jsonPointer = form(/^(\/([^~/]|~[01])*)*$/, 'a JSON pointer', '/user/id');

/** Method of RFC 9110, upper-cased. */
export const methodName = form(/^[A-Za-z]{1,32}$/, 'a method name', 'GET').transform((method) =>
  method.toUpperCase(),
);

/** Host of a request without its port, lower-cased. */
export const hostPattern = form(
  /^(\*|(\*\.)?[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*|\[[0-9a-fA-F:.]+\])$/,
  'a host without port, *.HOST for its subdomains, or *',
).transform((host) => host.toLowerCase());

/** Starts with /; `*` only as a whole segment, `**` only as the last one. */
function isWildcardPath(value: string): boolean {
  if (value.length > 2048 || !/^\/[^?#\s]*$/.test(value)) return false;
  const segments = value.slice(1).split('/');
  const last = segments.length - 1;
  return segments.every((segment, i) => {
    return !segment.includes('*') || segment === '*' || (segment === '**' && i === last);
  });
}

/** Path of a route. */
export const pathPattern = checked(isWildcardPath, {
  allowed: 'a path with * as a whole segment and ** as the last one',
  example: '/orders/** or /users/*/cart',
  pattern: /^\/[^?#\s]*$/,
});
