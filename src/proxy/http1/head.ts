// Heads of HTTP/1.1 messages, strictly (RFC 9112; http-rules 1, 2): text in, start line and fields out, or
// the rule that was broken. Nothing is repaired. Used for requests and, as servers are no more trusted than
// clients, for responses and trailers too. Pure.

import { internFieldName } from '../field-kinds.ts';

export interface RequestLine {
  readonly method: string;
  readonly target: string;
  readonly httpMinor: 0 | 1;
}

export interface StatusLine {
  readonly status: number;
  readonly httpMinor: 0 | 1;
}

/** A broken rule, in words. */
export interface Fault {
  readonly fault: string;
}

const fault = (rule: string): Fault => ({ fault: rule });

// Control characters, and a CR or LF that is not part of a CRLF. One pass over the whole block, so that
// nothing behind it has to look for them again.
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for
const FORBIDDEN = /[\0-\x08\x0b\x0c\x0e-\x1f\x7f]|\r(?!\n)|(?<!\r)\n/;

/** `block` is a head without its final empty line. undefined when no byte of it is forbidden. */
export function checkBytes(block: string): Fault | undefined {
  return FORBIDDEN.test(block) ? fault('a control character, or a line end that is not CRLF') : undefined;
}

const METHOD = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,32}$/;
// By far the most common; the pattern is for the rest.
const COMMON_METHODS = new Set(['GET', 'POST', 'PUT', 'DELETE', 'HEAD', 'OPTIONS', 'PATCH']);

/** `line` is the first line of `block`, without its end. */
export function parseRequestLine(line: string): RequestLine | Fault {
  const first = line.indexOf(' ');
  const last = line.lastIndexOf(' ');
  if (first < 1 || last === first) return fault('the request line is not METHOD TARGET VERSION');
  const httpMinor = minorOf(line, last + 1, line.length);
  if (httpMinor === undefined) return fault('the version is not HTTP/1.0 or HTTP/1.1');
  const method = line.slice(0, first);
  if (!COMMON_METHODS.has(method) && !METHOD.test(method)) return fault('the method is no token');
  // A second space inside the target is left for the check of its characters.
  return { method, target: line.slice(first + 1, last), httpMinor };
}

/** `HTTP/1.x NNN phrase`; the phrase may be empty, its space too (common, and harmless). */
export function parseStatusLine(line: string): StatusLine | Fault {
  const httpMinor = minorOf(line, 0, 8);
  const separator = line.charCodeAt(12);
  const isComplete = line.length === 12 || separator === SPACE;
  if (httpMinor === undefined || line.charCodeAt(8) !== SPACE || !isComplete) {
    return fault('the status line is not HTTP/1.x STATUS');
  }
  const text = line.slice(9, 12);
  if (!/^[1-9]\d\d$/.test(text)) return fault('the status is not three digits');
  return { status: Number(text), httpMinor };
}

function minorOf(line: string, from: number, to: number): 0 | 1 | undefined {
  if (to - from !== 8 || !line.startsWith('HTTP/1.', from)) return undefined;
  const digit = line.charCodeAt(from + 7);
  if (digit === 0x31) return 1;
  return digit === 0x30 ? 0 : undefined;
}

const SPACE = 0x20;
const TAB = 0x09;

/**
 * Fields of a block from position `from` to its end.
 * @returns names (lower-case) and values alternating.
 */
export function parseFields(block: string, from: number): string[] | Fault {
  const fields: string[] = [];
  let at = from;
  while (at < block.length) {
    const next = block.indexOf('\r\n', at);
    const end = next === -1 ? block.length : next;
    const colon = block.indexOf(':', at);
    if (colon === -1 || colon >= end) return fault('a field line has no colon');
    // A leading space (a folded line), an empty name, a space before the colon: none is a token.
    const name = internFieldName(block.slice(at, colon));
    if (name === undefined) return fault('a field name is no token');
    fields.push(name, valueBetween(block, colon + 1, end));
    at = end + 2;
  }
  return fields;
}

function valueBetween(block: string, from: number, to: number): string {
  let start = from;
  let end = to;
  while (start < end && isBlank(block.charCodeAt(start))) start += 1;
  while (end > start && isBlank(block.charCodeAt(end - 1))) end -= 1;
  return block.slice(start, end);
}

function isBlank(code: number): boolean {
  return code === SPACE || code === TAB;
}

/** Position behind the first line and its end, and the line; for a block that has only one line too. */
export function firstLine(block: string): { readonly line: string; readonly rest: number } {
  const end = block.indexOf('\r\n');
  return end === -1 ? { line: block, rest: block.length } : { line: block.slice(0, end), rest: end + 2 };
}
