// Errors of the control API as RFC 9457 problem documents, for replies and for bare connections.

import type { FastifyReply } from 'fastify';

const TYPE = 'application/problem+json';
// Where the caller names none: what every resource refuses in the same way.
const COMMON_REASONS: Readonly<Record<number, string>> = {
  400: 'bad_request',
  401: 'unauthorized',
  413: 'body_too_large',
  415: 'unsupported_media_type',
};

/**
 * Answers with a problem document.
 * @param title what was wrong and what is allowed. @param reason one word for programs.
 * @param extra members of its own (RFC 9457, section 3.2).
 */
export function sendProblem(
  reply: FastifyReply,
  status: number,
  title: string,
  reason: string | undefined = COMMON_REASONS[status],
  extra?: Readonly<Record<string, unknown>>,
): FastifyReply {
  const problem = { type: 'about:blank', title, status, ...(reason !== undefined && { reason }), ...extra };
  return reply.code(status).type(TYPE).send(problem);
}

/** The same as bytes, for a connection whose request could not be read; closes it. */
export function rawProblem(status: number, phrase: string, title: string): string {
  const reason = COMMON_REASONS[status];
  const body = JSON.stringify({
    type: 'about:blank',
    title,
    status,
    ...(reason !== undefined && { reason }),
  });
  const head = [
    `HTTP/1.1 ${status} ${phrase}`,
    `content-type: ${TYPE}`,
    `content-length: ${Buffer.byteLength(body)}`,
    'connection: close',
  ];
  return `${head.join('\r\n')}\r\n\r\n${body}`;
}
