// Fields that go out: to servers the client's end-to-end fields and ours, to clients the server's and ours
// (http-rules 4). Incoming hop-by-hop and forwarding fields are gone already (request-head.ts); here they
// are rebuilt from what this hop knows, or extended where a trusted peer is believed.

import type { FieldList } from '../core/model.ts';
import { connectionNominations, FieldKind, kindOfField } from './field-kinds.ts';
import type { ScreenedRequest } from './request-head.ts';

/** Who and where this proxy is; made once per snapshot. */
export interface HopIdentity {
  /** `foreshard-<instance>`, our pseudonym in Via. */
  readonly pseudonym: string;
  readonly forwardedHeader: 'x' | 'rfc7239' | 'none';
  /** Region where this proxy stands; empty when not configured. */
  readonly originRegion: string;
}

export interface ClientHop {
  readonly peerAddress: string;
  readonly isSecure: boolean;
  /** The peer is one of `trustedProxies`: what it forwards is believed. */
  readonly isTrusted: boolean;
}

/** Fields for the server, without those that change with every attempt (`attemptFields`). */
export function fieldsForServer(
  request: ScreenedRequest,
  hop: ClientHop,
  identity: HopIdentity,
  own: { readonly requestId: string; readonly traceparent: string },
): string[] {
  const fields = request.fields;
  const protocol = hop.isSecure ? 'https' : 'http';
  if (identity.forwardedHeader === 'x') addForwardedX(fields, request, hop, protocol);
  else if (identity.forwardedHeader === 'rfc7239') {
    const before = hop.isTrusted && request.forwarded !== '' ? `${request.forwarded}, ` : '';
    fields.push('forwarded', before + forwardedElement(request, hop, protocol));
  }
  const via = `1.${request.httpMinor} ${identity.pseudonym}`;
  fields.push('via', request.via === '' ? via : `${request.via}, ${via}`);
  fields.push('foreshard-request-id', own.requestId, 'traceparent', own.traceparent);
  if (hop.isTrusted && request.tracestate !== '' && request.traceparent !== '') {
    fields.push('tracestate', request.tracestate);
  }
  return fields;
}

function addForwardedX(fields: string[], request: ScreenedRequest, hop: ClientHop, protocol: string): void {
  const before = hop.isTrusted ? request.forwardedFor : '';
  fields.push('x-forwarded-for', before === '' ? hop.peerAddress : `${before}, ${hop.peerAddress}`);
  const proto = hop.isTrusted ? request.forwardedProto : '';
  fields.push('x-forwarded-proto', proto === '' ? protocol : proto);
  const host = hop.isTrusted ? request.forwardedHost : '';
  // HTTP/1.0 may have named none.
  if (host !== '' || request.hostField !== '') fields.push('x-forwarded-host', host || request.hostField);
}

/** RFC 7239: an IPv6 address or a host with a port must be quoted. */
function forwardedElement(request: ScreenedRequest, hop: ClientHop, protocol: string): string {
  const isIpv6 = hop.peerAddress.includes(':');
  const node = hop.peerAddress === 'unix' ? 'unknown' : hop.peerAddress;
  const isToken = /^[\w.-]+$/.test(request.hostField);
  const host = isToken ? `;host=${request.hostField}` : `;host="${request.hostField}"`;
  const named = request.hostField === '' ? '' : host;
  return `for=${isIpv6 ? `"[${node}]"` : node}${named};proto=${protocol}`;
}

/** True when a Via list names this very instance: the request has been here before. */
export function hasPassed(via: string, pseudonym: string): boolean {
  // Taking the list apart costs more than looking for the name in it, and nearly never is it there.
  if (!via.includes(pseudonym)) return false;
  return via.split(',').some((element) => element.trim().split(/\s+/)[1] === pseudonym);
}

/** What `foreshard-route` tells (an RFC 9651 dictionary). */
export interface RouteField {
  readonly region: string;
  readonly shard: number;
  readonly generation: number;
  readonly attempt: number;
  /** Regions tried before this one. */
  readonly path: readonly string[];
  readonly origin: string;
  readonly priority: string;
}

export function routeFieldValue(route: RouteField): string {
  const origin = route.origin === '' ? '' : `, origin=${route.origin}`;
  return (
    `region=${route.region}, shard=${route.shard}, generation=${route.generation}, ` +
    `attempt=${route.attempt}, path=(${route.path.join(' ')})${origin}, priority=${route.priority}`
  );
}

export interface ServerHead {
  /** For the client: names lower-case, no framing, no hop-by-hop field. */
  readonly fields: string[];
  /** Declared length of the body; undefined when the server declared none. */
  readonly contentLength: number | undefined;
  /** ORCA report of the server, if it sent one. */
  readonly loadReport: string | undefined;
  /** Server-sent events: it goes on until somebody ends it. */
  readonly isEventStream: boolean;
}

/**
 * Response fields for the client. The framing was checked when the head came (upstream-pools.ts).
 * `malformed` when Connection nominates a field that must stay.
 */
export function fieldsForClient(received: FieldList): ServerHead | 'malformed' {
  const fields: string[] = [];
  let contentLength: number | undefined;
  let loadReport: string | undefined;
  let isEventStream = false;
  let connection = '';
  let via = '';
  for (let i = 0; i < received.length; i += 2) {
    const name = received[i]!;
    const value = received[i + 1]!;
    switch (kindOfField(name).kind) {
      case FieldKind.contentLength:
        contentLength = Number(value);
        break;
      case FieldKind.connection:
        connection = connection === '' ? value : `${connection}, ${value}`;
        break;
      case FieldKind.via:
        via = via === '' ? value : `${via}, ${value}`;
        break;
      case FieldKind.dropped:
        if (name === 'endpoint-load-metrics') loadReport = value;
        break;
      case FieldKind.transferEncoding:
      case FieldKind.upgrade:
      case FieldKind.te:
      case FieldKind.ownRequestId:
      case FieldKind.ownRoute:
        break;
      default:
        if (name === 'content-type') isEventStream = value.startsWith('text/event-stream');
        fields.push(name, value);
    }
  }
  const nominated = connectionNominations(connection);
  if (nominated === 'forbidden') return 'malformed';
  if (via !== '') fields.push('via', via);
  return {
    fields: nominated === null ? fields : without(fields, nominated),
    contentLength,
    loadReport,
    isEventStream,
  };
}

function without(fields: readonly string[], names: readonly string[]): string[] {
  return fields.filter((_, i) => !names.includes(fields[i - (i % 2)]!));
}

/** Trailers that may pass: none that frames, routes or authenticates (RFC 9110, 6.5.1). */
export function trailersForClient(received: FieldList, limit: number): string[] {
  const trailers: string[] = [];
  for (let i = 0; i < received.length && trailers.length < limit * 2; i += 2) {
    const { name, kind } = kindOfField(received[i]!);
    if (kind === FieldKind.endToEnd && !FORBIDDEN_TRAILERS.has(name)) trailers.push(name, received[i + 1]!);
  }
  return trailers;
}

const FORBIDDEN_TRAILERS = new Set([
  ...[
    'content-encoding',
    'content-type',
    'content-range',
    'authorization',
    'set-cookie',
    'cookie',
    'www-authenticate',
  ],
  ...['cache-control', 'age', 'date', 'location', 'vary', 'retry-after', 'expires', 'max-forwards', 'range'],
]);
