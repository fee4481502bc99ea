// Heads of HTTP/1.1 messages, strictly (RFC 9112; http-rules 1, 2): text in, start line and fields out, or
// the rule that was broken. Nothing is repaired. Used for requests and, as servers are no more trusted than
// clients, for responses and trailers too. Pure.

import { fieldNameAt } from '../field-kinds.ts';

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

const TAB = 0x09;
const LF = 0x0a;
const CR = 0x0d;
const SPACE = 0x20;
const DELETE = 0x7f;
const ZERO = 0x30;

// Most lines of a head that are looked at; no limit on fields is set higher.
const MAX_LINES = 2100;
// End of every line of the head being parsed. Parsing is never interrupted, so one array will do.
const ends = new Int32Array(MAX_LINES);

/**
 * Finds the lines of a head in one pass. (Over characters: measured, a pass over the bytes or a regular
 * expression takes half as long again.)
 * @returns the number of lines; -1 when a character is forbidden: a control character, or a CR or LF that is
 *   not part of a CRLF; -2 when there are too many lines.
 */
function scanLines(text: string): number {
  let line = 0;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code >= SPACE && code !== DELETE) continue;
    if (code === TAB) continue;
    if (code !== CR || text.charCodeAt(at + 1) !== LF) return -1;
    if (line === MAX_LINES - 1) return -2;
    ends[line] = at;
    line += 1;
    at += 1;
  }
  ends[line] = text.length;
  return line + 1;
}

export interface ParsedHead {
  /** The request or status line. */
  readonly first: string;
  /** Names (lower-case) and values alternating. */
  readonly fields: string[];
}

/** A head as Latin-1 text, without its final empty line. */
export function parseHead(text: string): ParsedHead | Fault {
  const lines = scanLines(text);
  if (lines < 0) return scanFault(lines);
  const fields = takeFields(text, 1, lines);
  return 'fault' in fields ? fields : { first: text.slice(0, ends[0]), fields };
}

/** The fields of a trailer section, which has no first line. */
export function parseTrailers(text: string): string[] | Fault {
  const lines = scanLines(text);
  return lines < 0 ? scanFault(lines) : takeFields(text, 0, lines);
}

function scanFault(lines: number): Fault {
  return fault(lines === -2 ? 'too many lines' : 'a control character, or a line end that is not CRLF');
}

function takeFields(text: string, firstLine: number, lines: number): string[] | Fault {
  const fields: string[] = [];
  let at = firstLine === 0 ? 0 : ends[firstLine - 1]! + 2;
  for (let line = firstLine; line < lines; line++) {
    const end = ends[line]!;
    const colon = text.indexOf(':', at);
    if (colon === -1 || colon >= end) return fault('a field line has no colon');
    // A leading space (a folded line), an empty name, a space before the colon: none is a token.
    const name = fieldNameAt(text, at, colon);
    if (name === undefined) return fault('a field name is no token');
    fields.push(name, valueBetween(text, colon + 1, end));
    at = end + 2;
  }
  return fields;
}

const METHOD = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,32}$/;
// By far the most common; the pattern is for the rest.
const COMMON_METHODS = new Set(['GET', 'POST', 'PUT', 'DELETE', 'HEAD', 'OPTIONS', 'PATCH']);

/** `METHOD TARGET HTTP/1.x`, each apart by one space. */
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
  const hundreds = line.charCodeAt(9) - ZERO;
  const tens = line.charCodeAt(10) - ZERO;
  const ones = line.charCodeAt(11) - ZERO;
  // Written so that NaN, of a line that ends early, is refused as well.
  if (!(hundreds >= 1 && hundreds <= 9 && tens >= 0 && tens <= 9 && ones >= 0 && ones <= 9)) {
    return fault('the status is not three digits');
  }
  return { status: hundreds * 100 + tens * 10 + ones, httpMinor };
}

function minorOf(line: string, from: number, to: number): 0 | 1 | undefined {
  if (to - from !== 8 || !line.startsWith('HTTP/1.', from)) return undefined;
  const digit = line.charCodeAt(from + 7);
  if (digit === 0x31) return 1;
  return digit === 0x30 ? 0 : undefined;
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

/** An LF without CR before it, in what has come of a head: its end would never be found. */
export function hasBareLineFeed(bytes: Buffer): boolean {
  for (let at = bytes.indexOf(LF); at !== -1; at = bytes.indexOf(LF, at + 1)) {
    if (at === 0 || bytes[at - 1] !== CR) return true;
  }
  return false;
}

/** All lines of a field as one list (RFC 9110, 5.3); undefined when there is none. */
function joinedValue(fields: readonly string[], name: string): string | undefined {
  let joined: string | undefined;
  for (let i = 0; i < fields.length; i += 2) {
    if (fields[i] !== name) continue;
    joined = joined === undefined ? fields[i + 1]! : `${joined}, ${fields[i + 1]}`;
  }
  return joined;
}

/** Whether the sender leaves the connection open behind this message (RFC 9112, 9.3). */
export function keepsConnection(fields: readonly string[], httpMinor: 0 | 1): boolean {
  const connection = joinedValue(fields, 'connection');
  if (connection === undefined) return httpMinor === 1;
  if (/(^|,)\s*close\s*(,|$)/i.test(connection)) return false;
  return httpMinor === 1 || /(^|,)\s*keep-alive\s*(,|$)/i.test(connection);
}

/** Upgrade is honoured for one protocol, on HTTP/1.1, without a body; else the request stays plain. */
export function wantsWebSocket(line: RequestLine, fields: readonly string[]): boolean {
  return (
    joinedValue(fields, 'upgrade')?.toLowerCase() === 'websocket' &&
    line.method === 'GET' &&
    line.httpMinor === 1 &&
    joinedValue(fields, 'transfer-encoding') === undefined &&
    (joinedValue(fields, 'content-length') ?? '0') === '0' &&
    /(^|,)\s*upgrade\s*(,|$)/i.test(joinedValue(fields, 'connection') ?? '')
  );
}
