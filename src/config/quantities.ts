// The scalar types of the configuration: what an operator writes (`250ms`, `64KiB`, `20%`) and what
// the program gets (milliseconds, bytes, a share of one). Every bound is here or beside its key, and
// every message says what is allowed; load.ts adds what was given and where.

import { isIP } from 'node:net';
import { z } from 'zod';
import {
  formatDuration,
  formatSize,
  type Parsed,
  parseDuration,
  parseShare,
  parseSize,
} from '../core/units.ts';

interface Bounds {
  readonly min: number;
  readonly max: number;
}

function quantity(
  parse: (text: string) => Parsed,
  format: (value: number) => string,
  bounds: Bounds,
  pattern: string,
) {
  const range = `${format(bounds.min)} to ${format(bounds.max)}`;
  return z
    .union([z.string(), z.number()])
    .transform((raw, ctx) => {
      const parsed = parse(String(raw));
      if (!parsed.ok) {
        ctx.addIssue({ code: 'custom', message: `must be ${parsed.allowed}` });
        return z.NEVER;
      }
      if (parsed.value < bounds.min || parsed.value > bounds.max) {
        ctx.addIssue({ code: 'custom', message: `must be ${range}` });
        return z.NEVER;
      }
      return parsed.value;
    })
    .meta({ pattern, allowed: range });
}

/** `250ms`, `5s`, `2m`, `1h`, `14d` -> milliseconds. */
export const duration = (min: string, max: string) =>
  quantity(
    parseDuration,
    formatDuration,
    { min: must(parseDuration(min)), max: must(parseDuration(max)) },
    '^\\d+(\\.\\d+)?(ms|s|m|h|d)$|^0$',
  );

/** `512B`, `64KiB`, `1MiB` -> bytes. */
export const size = (min: string, max: string) =>
  quantity(
    parseSize,
    formatSize,
    { min: must(parseSize(min)), max: must(parseSize(max)) },
    '^\\d+(\\.\\d+)?(B|KiB|MiB|GiB)$|^0$',
  );

/** `20%` or `0.2` -> 0.2. */
export const share = (min = 0, max = 1) =>
  quantity(parseShare, (value) => `${Math.round(value * 1e4) / 100}%`, { min, max }, '^\\d+(\\.\\d+)?%?$');

function must(parsed: Parsed): number {
  if (!parsed.ok) throw new Error('a bound of the schema is not a quantity');
  return parsed.value;
}

/** `127.0.0.1:8080`, `[::1]:8080`; where `unix` is allowed also `unix:/path`. */
export const listenAddress = (unix: 'unix' | 'tcp only') =>
  z.string().superRefine((text, ctx) => {
    if (unix === 'unix' && /^unix:\/./.test(text)) return;
    const address = splitAddress(text);
    if (address === null) {
      const also = unix === 'unix' ? ' or unix:/path' : '';
      ctx.addIssue({
        code: 'custom',
        message: `must be IP:PORT such as 127.0.0.1:8080 or [::1]:8080${also}`,
      });
    }
  });

/** Parts of an `IP:PORT` address; null when it is none. Port 0 lets the system choose. */
export function splitAddress(text: string): { readonly host: string; readonly port: number } | null {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([0-9.]+)):(\d{1,5})$/.exec(text);
  if (match === null) return null;
  const host = match[1] ?? match[2]!;
  const port = Number(match[3]);
  const family = match[1] === undefined ? 4 : 6;
  return isIP(host) === family && port <= 65_535 ? { host, port } : null;
}

/** Whether only this machine can reach the address. */
export function isLoopback(host: string): boolean {
  return host === '::1' || host.startsWith('127.');
}

/** Origin of a server: scheme, host and port, nothing behind them. Normalised to `http://host:port`. */
export const serverUrl = z.string().transform((text, ctx) => {
  const url = URL.canParse(text) ? new URL(text) : null;
  const plain =
    url !== null && url.pathname === '/' && url.search === '' && url.hash === '' && url.username === '';
  if (url === null || !plain || (url.protocol !== 'http:' && url.protocol !== 'https:')) {
    ctx.addIssue({ code: 'custom', message: 'must be http://HOST:PORT or https://HOST:PORT without a path' });
    return z.NEVER;
  }
  return url.origin;
});

/** Any http(s) URL. */
export const httpUrl = z.string().superRefine((text, ctx) => {
  if (!URL.canParse(text) || !/^https?:$/.test(new URL(text).protocol)) {
    ctx.addIssue({ code: 'custom', message: 'must be an http:// or https:// URL' });
  }
});

/** `10.0.0.0/8`, `::1/128`, or one address. */
export const cidr = z.string().superRefine((text, ctx) => {
  const [address = '', bits, ...rest] = text.split('/');
  const family = isIP(address);
  const widest = family === 4 ? 32 : 128;
  const bitsFit = bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= widest);
  if (family === 0 || !bitsFit || rest.length > 0) {
    ctx.addIssue({ code: 'custom', message: 'must be a network such as 10.0.0.0/8 or ::1/128' });
  }
});

/** Field name of RFC 9110, lower-cased: names are compared without case. */
export const fieldName = z
  .string()
  .regex(/^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}$/, 'must be a header name')
  .transform((name) => name.toLowerCase());

/** Names of regions, routes: they appear in headers, metrics and paths, so their characters are few. */
export const name = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/, 'must be 1 to 63 letters, digits, dots, dashes or underscores');
