// Answers that the proxy makes itself: one JSON problem (RFC 9457) with the reason word, and the same
// word in `proxy-status` (RFC 9209). In two forms: for an exchange, and as bytes for a connection whose
// request never became one.

import { REASONS, type Reason } from '../core/reasons.ts';
import type { Downstream } from './downstream.ts';

export interface LocalReply {
  readonly reason: Reason;
  /** Which rule or value; said to the client, so nothing secret. */
  readonly detail?: string | undefined;
  readonly requestId?: string | undefined;
  /** Further fields, names lower-case. */
  readonly fields?: readonly string[];
  /** False closes the connection: the rest of what the client sends cannot be trusted. */
  readonly keepAlive?: boolean;
}

// Reasons that pass by themselves; a client that comes back at once finds the same.
const RETRY_AFTER_SECONDS: Partial<Record<Reason, number>> = {
  shed: 1,
  no_healthy_server: 1,
  no_eligible_region: 1,
  retry_budget_spent: 1,
  draining: 1,
  rate_limited: 1,
};

/**
 * Sends the answer, unless the client is gone or has a head already.
 * @returns the status sent; 0 when none was.
 */
export function replyLocally(client: Downstream, reply: LocalReply): number {
  if (client.isGone || client.isHeadSent) return 0;
  const { status } = REASONS[reply.reason];
  const body = problemBody(reply);
  const fields = [...localFields(reply.reason), ...(reply.fields ?? [])];
  if (reply.requestId !== undefined) fields.push('foreshard-request-id', reply.requestId);
  client.sendHead(status, fields, body.length, reply.keepAlive ?? true);
  if (client.head.method === 'HEAD') client.finish();
  else client.finishWith(body);
  return status;
}

function localFields(reason: Reason): string[] {
  const fields = ['content-type', 'application/problem+json', 'proxy-status', proxyStatus(reason)];
  const retryAfter = RETRY_AFTER_SECONDS[reason];
  if (retryAfter !== undefined) fields.push('retry-after', String(retryAfter));
  return fields;
}

/** RFC 9209: who made the answer, the standard error word, and our reason. */
export function proxyStatus(reason: Reason): string {
  return `foreshard; error=${REASONS[reason].proxyStatus}; details="${reason}"`;
}

function problemBody({ reason, detail, requestId }: LocalReply): Buffer {
  const { status, meaning } = REASONS[reason];
  const problem = { type: 'about:blank', title: meaning, status, reason, detail, requestId };
  return Buffer.from(`${JSON.stringify(problem)}\n`);
}

/** The same as bytes, for a socket without an exchange; closes the connection. */
export function rawReply(reason: Reason): Buffer {
  const { status, meaning } = REASONS[reason];
  const body = problemBody({ reason });
  const fields = localFields(reason);
  let head = `HTTP/1.1 ${status} ${meaning.replace(/\.$/, '')}\r\n`;
  for (let i = 0; i < fields.length; i += 2) head += `${fields[i]}: ${fields[i + 1]}\r\n`;
  head += `content-length: ${body.length}\r\nconnection: close\r\n\r\n`;
  return Buffer.concat([Buffer.from(head, 'latin1'), body]);
}
