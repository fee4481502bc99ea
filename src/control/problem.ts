// Errors of the control API as RFC 9457 problem documents.

import type { FastifyReply } from 'fastify';

/** Answers with a problem document; `title` says what was wrong and what is allowed. */
export function sendProblem(reply: FastifyReply, status: number, title: string): void {
  void reply.code(status).type('application/problem+json').send({ type: 'about:blank', title, status });
}
