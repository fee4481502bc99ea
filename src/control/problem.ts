// Errors of the control API as RFC 9457 problem documents.

import type { FastifyReply } from 'fastify';

/**
 * Answers with a problem document.
 * @param title what was wrong and what is allowed. @param reason one word for programs.
 */
export function sendProblem(reply: FastifyReply, status: number, title: string, reason?: string): void {
  const problem = { type: 'about:blank', title, status, ...(reason !== undefined && { reason }) };
  void reply.code(status).type('application/problem+json').send(problem);
}
