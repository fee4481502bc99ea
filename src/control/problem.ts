// Errors of the control API as RFC 9457 problem documents, for replies and for bare connections.

import type { FastifyReply } from 'fastify';

const TYPE = 'application/problem+json';

/**
 * Answers with a problem document.
 * @param title what was wrong and what is allowed. @param reason one word for programs.
 * @param extra members of its own (RFC 9457, section 3.2).
 */
export function sendProblem(
  reply: FastifyReply,
  status: number,
  title: string,
  reason?: string,
  extra?: Readonly<Record<string, unknown>>,
): FastifyReply {
  const problem = { type: 'about:blank', title, status, ...(reason !== undefined && { reason }), ...extra };
  return reply.code(status).type(TYPE).send(problem);
}

/** The same as bytes, for a connection whose request could not be read; closes it. */
export function rawProblem(status: number, phrase: string, title: string): string {
  const body = JSON.stringify({ type: 'about:blank', title, status });
  const head = [
    `HTTP/1.1 ${status} ${phrase}`,
    `content-type: ${TYPE}`,
    `content-length: ${Buffer.byteLength(body)}`,
    'connection: close',
  ];
  return `${head.join('\r\n')}\r\n\r\n${body}`;
}
