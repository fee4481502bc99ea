// What goes to a server and how its answer ends: the head of a request as text, the framing of an answer
// checked (http-rules 3, 6). Pure.

import type { AttemptFailure, Reason } from '../../core/reasons.ts';
import type { BodyFailure } from '../downstream.ts';
import type { OutgoingRequest } from '../upstream.ts';
import { type BodyDecoder, ChunkedDecoder, LengthDecoder, UntilCloseDecoder } from './body-decoder.ts';

/** Head of a request; `framing` is our Content-Length or Transfer-Encoding line, or nothing. */
export function requestText(request: OutgoingRequest, framing: string): string {
  let text = `${request.method} ${request.target} HTTP/1.1\r\nhost: ${request.host}\r\n`;
  const { fields } = request;
  for (let i = 0; i < fields.length; i += 2) text += `${fields[i]}: ${fields[i + 1]}\r\n`;
  if (request.acceptsTrailers) text += 'te: trailers\r\nconnection: te\r\n';
  return `${text}${framing}\r\n`;
}

/** Framing of a request without a body: said where the method is about one (RFC 9110, 8.6). */
export function framingOfNothing(method: string): string {
  return method === 'POST' || method === 'PUT' || method === 'PATCH' ? 'content-length: 0\r\n' : '';
}

/** How an answer's body ends (RFC 9112, 6.3), or the rule that its framing breaks. */
export function answerFraming(
  fields: readonly string[],
  status: number,
  method: string,
  trailerFields: number,
): BodyDecoder | string {
  let length: string | undefined;
  let encoding: string | undefined;
  for (let i = 0; i < fields.length; i += 2) {
    if (fields[i] === 'content-length') {
      if (length !== undefined) return 'more than one Content-Length';
      length = fields[i + 1]!;
      if (!isLength(length)) return 'Content-Length is not a length';
    } else if (fields[i] === 'transfer-encoding') {
      if (encoding !== undefined) return 'more than one Transfer-Encoding';
      encoding = fields[i + 1]!.toLowerCase();
      if (encoding !== 'chunked') return 'Transfer-Encoding other than chunked';
    }
  }
  if (length !== undefined && encoding !== undefined) return 'both Content-Length and Transfer-Encoding';
  if (method === 'HEAD' || status === 204 || status === 304) return new LengthDecoder(0);
  if (encoding !== undefined) return new ChunkedDecoder({ trailerFields });
  return length === undefined ? new UntilCloseDecoder() : new LengthDecoder(Number(length));
}

/** One to fifteen digits: more is beyond any length that a number holds exactly. */
function isLength(text: string): boolean {
  if (text.length < 1 || text.length > 15) return false;
  for (let i = 0; i < text.length; i++) {
    const digit = text.charCodeAt(i) - 0x30;
    if (digit < 0 || digit > 9) return false;
  }
  return true;
}

/** The server ended the connection before its answer was complete. */
export function cutShort(cause: string): AttemptFailure {
  return { kind: 'failed', reason: 'upstream_reset', sent: 'maybe', blamesServer: true, cause };
}

const BODY_REASONS: Readonly<Record<BodyFailure, Reason>> = {
  idle: 'body_timeout',
  gone: 'client_closed',
  malformed: 'client_closed',
  too_large: 'body_too_large',
};

/** The client did not deliver what it announced; says nothing about the server. */
export function bodyFailure(why: BodyFailure): AttemptFailure {
  const reason = BODY_REASONS[why];
  return { kind: 'failed', reason, sent: 'maybe', blamesServer: false, cause: `request body ${why}` };
}
