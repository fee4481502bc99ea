// A received head -> a typed request, or the reason for which it is refused (http-rules 1, 2, 4, 5, 12).
// Nothing is repaired: where framing or addressing is unclear, an intermediary and its server would
// disagree on where a message ends or whom it is for. One pass over the fields; what is dropped here
// (hop-by-hop, forwarding fields, our own names) is dropped for good, headers.ts adds ours.

import { isIPv6 } from 'node:net';
import type { Reason } from '../core/reasons.ts';
import { hostForMatching } from '../routing/route-matcher.ts';
import type { RequestHead } from './downstream.ts';
import { connectionNominations, FieldKind, kindOfField } from './field-kinds.ts';

export interface ScreenedRequest {
  readonly kind: 'request';
  readonly method: string;
  /** Path and query as sent upstream. */
  readonly target: string;
  /** Path as received, without query. */
  readonly rawPath: string;
  readonly query: string;
  /** As received. */
  readonly hostField: string;
  /** As routes see it: lower-case, without port and final dot. */
  readonly host: string;
  readonly httpMinor: 0 | 1;
  /** End-to-end fields, names lower-case; without Host and framing. */
  readonly fields: string[];
  readonly contentLength: number | undefined;
  readonly isChunked: boolean;
  readonly expectsContinue: boolean;
  readonly acceptsTrailers: boolean;
  /** Values of forwarding fields, for a trusted peer; empty text where there was none. */
  readonly via: string;
  readonly forwardedFor: string;
  readonly forwardedProto: string;
  readonly forwardedHost: string;
  readonly forwarded: string;
  readonly traceparent: string;
  readonly tracestate: string;
  /** `foreshard-request-id` and `foreshard-route` as received: a manager believes a trusted proxy. */
  readonly ownRequestId: string;
  readonly ownRoute: string;
}

export interface Refusal {
  readonly kind: 'refusal';
  readonly reason: Reason;
  /** For the log and the problem document: which rule. */
  readonly detail: string;
}

export interface HeadLimits {
  readonly headerFields: number;
  readonly targetBytes: number;
}

const refuse = (reason: Reason, detail: string): Refusal => ({ kind: 'refusal', reason, detail });

/** Fields that count once; collected while the list is walked. */
interface Summary {
  hosts: number;
  host: string;
  lengths: number;
  length: string;
  encodings: number;
  encoding: string;
  connection: string;
  expect: string;
  te: string;
  via: string;
  forwardedFor: string;
  forwardedProto: string;
  forwardedHost: string;
  forwarded: string;
  traceparent: string;
  tracestate: string;
  ownRequestId: string;
  ownRoute: string;
}

export function screenRequest(head: RequestHead, limits: HeadLimits): ScreenedRequest | Refusal {
  if (head.fields.length > limits.headerFields * 2) {
    return refuse(
      'header_too_large',
      `at most ${limits.headerFields} fields, given ${head.fields.length / 2}`,
    );
  }
  if (head.target.length > limits.targetBytes) {
    return refuse('target_too_long', `at most ${limits.targetBytes} bytes, given ${head.target.length}`);
  }
  if (head.method === 'TRACE' || head.method === 'CONNECT') {
    return refuse('method_not_supported', `method ${head.method}`);
  }
  const summary = newSummary();
  const kept = collectFields(head, summary);

  const target = screenTarget(head, summary);
  if (target.kind === 'refusal') return target;
  const framing = screenFraming(head, summary);
  if (framing.kind === 'refusal') return framing;

  const nominated = connectionNominations(summary.connection);
  if (nominated === 'forbidden') return refuse('bad_request', 'Connection names a field that must stay');
  if (summary.expect !== '' && summary.expect.toLowerCase() !== '100-continue') {
    return refuse('expectation_failed', 'Expect: only 100-continue');
  }
  return {
    kind: 'request',
    method: head.method,
    target: target.target,
    rawPath: target.rawPath,
    query: target.query,
    hostField: summary.host,
    host: target.host,
    httpMinor: head.httpMinor,
    fields: nominated === null ? kept : withoutFields(kept, nominated),
    contentLength: framing.contentLength,
    isChunked: framing.isChunked,
    expectsContinue: summary.expect !== '' && head.httpMinor === 1,
    acceptsTrailers: summary.te !== '' && /(^|,)\s*trailers\s*(,|;|$)/i.test(summary.te),
    via: summary.via,
    forwardedFor: summary.forwardedFor,
    forwardedProto: summary.forwardedProto,
    forwardedHost: summary.forwardedHost,
    forwarded: summary.forwarded,
    traceparent: summary.traceparent,
    tracestate: summary.tracestate,
    ownRequestId: summary.ownRequestId,
    ownRoute: summary.ownRoute,
  };
}

function newSummary(): Summary {
  return {
    hosts: 0,
    host: '',
    lengths: 0,
    length: '',
    encodings: 0,
    encoding: '',
    connection: '',
    expect: '',
    te: '',
    via: '',
    forwardedFor: '',
    forwardedProto: '',
    forwardedHost: '',
    forwarded: '',
    traceparent: '',
    tracestate: '',
    ownRequestId: '',
    ownRoute: '',
  };
}

const joined = (before: string, value: string): string => (before === '' ? value : `${before}, ${value}`);

/** Fills `summary`; returns the end-to-end fields. */
function collectFields({ fields }: RequestHead, summary: Summary): string[] {
  const kept: string[] = [];
  for (let i = 0; i < fields.length; i += 2) {
    const { name, kind } = kindOfField(fields[i]!);
    const value = fields[i + 1]!;
    switch (kind) {
      case FieldKind.endToEnd:
        kept.push(name, value);
        break;
      case FieldKind.host:
        summary.hosts += 1;
        summary.host = value;
        break;
      case FieldKind.contentLength:
        summary.lengths += 1;
        summary.length = value;
        break;
      case FieldKind.transferEncoding:
        summary.encodings += 1;
        summary.encoding = value;
        break;
      case FieldKind.connection:
        summary.connection = joined(summary.connection, value);
        break;
      default:
        collectRareField(kind, value, summary);
    }
  }
  return kept;
}

function collectRareField(kind: FieldKind, value: string, summary: Summary): void {
  switch (kind) {
    case FieldKind.expect:
      summary.expect = joined(summary.expect, value);
      break;
    case FieldKind.te:
      summary.te = joined(summary.te, value);
      break;
    case FieldKind.via:
      summary.via = joined(summary.via, value);
      break;
    case FieldKind.forwardedFor:
      summary.forwardedFor = joined(summary.forwardedFor, value);
      break;
    case FieldKind.forwardedProto:
      summary.forwardedProto = joined(summary.forwardedProto, value);
      break;
    case FieldKind.forwardedHost:
      summary.forwardedHost = joined(summary.forwardedHost, value);
      break;
    case FieldKind.forwarded:
      summary.forwarded = joined(summary.forwarded, value);
      break;
    case FieldKind.traceparent:
      // Two of them are no trace context at all (W3C Trace Context, 3.2.1).
      summary.traceparent = summary.traceparent === '' ? value : 'invalid';
      break;
    case FieldKind.tracestate:
      summary.tracestate = joined(summary.tracestate, value);
      break;
    case FieldKind.ownRequestId:
      summary.ownRequestId = joined(summary.ownRequestId, value);
      break;
    case FieldKind.ownRoute:
      summary.ownRoute = joined(summary.ownRoute, value);
      break;
    default:
      // Hop-by-hop, or a name of ours: never forwarded.
      break;
  }
}

interface Target {
  readonly kind: 'target';
  readonly target: string;
  readonly rawPath: string;
  readonly query: string;
  readonly host: string;
}

// uri-host [ ":" port ] (RFC 9110, 7.2): a name, an IPv4 address, or an IPv6 address in brackets.
const HOST = /^(\[([0-9a-fA-F:.]+)\]|(?:[A-Za-z0-9._~!$&'()*+,;=-]|%[0-9a-fA-F]{2})+)(?::(\d{1,5}))?$/;
// A segment that is `.` or `..`, encoded or not: clients resolve these before sending, so one that
// arrives is meant for a server that routes differently than we do.
const DOT_SEGMENT = /\/(?:\.|%2e)(?:\.|%2e)?(?:\/|$)/i;

function screenTarget(head: RequestHead, summary: Summary): Target | Refusal {
  if (summary.hosts > 1) return refuse('bad_request', 'more than one Host');
  if (summary.hosts === 0 && head.httpMinor === 1) return refuse('bad_request', 'no Host');
  const host = summary.hosts === 1 ? nameOfHost(summary.host) : '';
  if (host === undefined) {
    return refuse('bad_request', 'Host is not a name or address with an optional port');
  }
  let origin = head.target;
  if (!isTargetText(origin)) return refuse('bad_request', 'target has a character that must be encoded');
  if (!origin.startsWith('/')) {
    const absolute = splitAbsolute(origin, head.method, summary.host);
    if (typeof absolute !== 'string') return absolute;
    origin = absolute;
  }
  const mark = origin.indexOf('?');
  const rawPath = mark === -1 ? origin : origin.slice(0, mark);
  const mayHaveDots = rawPath.includes('/.') || rawPath.includes('/%');
  if (mayHaveDots && DOT_SEGMENT.test(rawPath)) return refuse('bad_request', 'path has a dot segment');
  const query = mark === -1 ? '' : origin.slice(mark + 1);
  return { kind: 'target', target: origin, rawPath, query, host };
}

/** Visible ASCII without `#`, and some of it; everything else must be percent-encoded. */
function isTargetText(target: string): boolean {
  for (let i = 0; i < target.length; i++) {
    const code = target.charCodeAt(i);
    if (code <= 0x20 || code >= 0x7f || code === 0x23) return false;
  }
  return target.length > 0;
}

/**
 * Name in a Host field as routes see it; undefined when the field is no uri-host with an optional port.
 * A name in lower case with or without a port, which is nearly every one, is told by its characters alone;
 * the grammar is for the rest.
 */
function nameOfHost(field: string): string | undefined {
  let end = 0;
  while (end < field.length && isPlainInHost(field.charCodeAt(end))) end += 1;
  if (end > 0 && field.charCodeAt(end - 1) !== DOT) {
    if (end === field.length) return field;
    if (field.charCodeAt(end) === COLON && isPort(field, end + 1)) return field.slice(0, end);
  }
  const match = HOST.exec(field);
  if (match === null || !isAuthority(match[2], match[3])) return undefined;
  return hostForMatching(match[1]!);
}

function isPort(field: string, from: number): boolean {
  const digits = field.length - from;
  if (digits < 1 || digits > 5) return false;
  let port = 0;
  for (let i = from; i < field.length; i++) {
    const digit = field.charCodeAt(i) - 0x30;
    if (digit < 0 || digit > 9) return false;
    port = port * 10 + digit;
  }
  return port <= 65_535;
}

const DOT = 0x2e;
const COLON = 0x3a;

/** Lower-case letter, digit, dot or hyphen. */
function isPlainInHost(code: number): boolean {
  return (code >= 0x61 && code <= 0x7a) || (code >= 0x30 && code <= 0x39) || code === DOT || code === 0x2d;
}

function isAuthority(ipv6: string | undefined, port: string | undefined): boolean {
  return (ipv6 === undefined || isIPv6(ipv6)) && (port === undefined || Number(port) <= 65_535);
}

/** Origin form of an absolute-form target whose authority must be the Host's. */
function splitAbsolute(target: string, method: string, hostField: string): string | Refusal {
  if (target === '*') {
    return method === 'OPTIONS' ? '*' : refuse('bad_request', 'target * is for OPTIONS alone');
  }
  const match = /^https?:\/\/([^/?]*)(.*)$/i.exec(target);
  if (match === null) return refuse('bad_request', 'target is neither a path nor an http URL');
  const authority = match[1]!;
  if (authority.includes('@')) return refuse('bad_request', 'target has user information');
  if (authority.toLowerCase() !== hostField.toLowerCase()) {
    return refuse('bad_request', 'Host differs from the authority of the target');
  }
  const rest = match[2]!;
  return rest.startsWith('/') ? rest : `/${rest}`;
}

interface Framing {
  readonly kind: 'framing';
  readonly contentLength: number | undefined;
  readonly isChunked: boolean;
}

function screenFraming(head: RequestHead, summary: Summary): Framing | Refusal {
  const { lengths, encodings } = summary;
  if (encodings > 0) {
    if (head.httpMinor === 0) return refuse('bad_request', 'Transfer-Encoding in HTTP/1.0');
    if (lengths > 0) return refuse('bad_request', 'both Content-Length and Transfer-Encoding');
    if (encodings > 1 || summary.encoding.toLowerCase() !== 'chunked') {
      return refuse('bad_request', 'Transfer-Encoding other than chunked');
    }
    return { kind: 'framing', contentLength: undefined, isChunked: true };
  }
  if (lengths === 0) return { kind: 'framing', contentLength: undefined, isChunked: false };
  if (lengths > 1) return refuse('bad_request', 'more than one Content-Length');
  if (!/^\d{1,16}$/.test(summary.length) || Number(summary.length) > Number.MAX_SAFE_INTEGER) {
    return refuse('bad_request', 'Content-Length is not a length');
  }
  return { kind: 'framing', contentLength: Number(summary.length), isChunked: false };
}

function withoutFields(fields: readonly string[], names: readonly string[]): string[] {
  const kept: string[] = [];
  for (let i = 0; i < fields.length; i += 2) {
    if (!names.includes(fields[i]!)) kept.push(fields[i]!, fields[i + 1]!);
  }
  return kept;
}
