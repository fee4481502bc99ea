// Who may use the control port: with a token whoever has it, without one whoever is on this machine and
// asks it by address. The latter keeps out pages of the web: a name that its owner points at 127.0.0.1
// makes a browser send our own visitors' requests here (DNS rebinding), but with that name as Host.

import { createHash, timingSafeEqual } from 'node:crypto';
import { isIP } from 'node:net';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { sendProblem } from './problem.ts';

// A load balancer's health check has no token.
const OPEN_PATHS = new Set(['/healthz', '/readyz']);

/** A hook for all requests. @param token asked for with each: a reload may change it. */
export function gate(token: () => string | undefined) {
  return async (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply | undefined> => {
    const expected = token();
    if (expected === undefined) {
      if (isLocalName(request.headers.host)) return undefined;
      const title = 'Host must be an IP address or localhost while control.token is not set';
      return sendProblem(reply, 421, title);
    }
    if (OPEN_PATHS.has(request.routeOptions.url ?? '')) return undefined;
    if (hasToken(request.headers.authorization, expected)) return undefined;
    return sendProblem(reply.header('www-authenticate', 'Bearer'), 401, 'a bearer token is required');
  };
}

/** No Host at all is an HTTP/1.0 client, which is no browser. */
function isLocalName(host: string | undefined): boolean {
  if (host === undefined) return true;
  const name = host.replace(/:\d*$/, '').toLowerCase();
  return name === 'localhost' || isIP(name) === 4 || isIP(name.replace(/^\[(.*)\]$/, '$1')) === 6;
}

function hasToken(authorization: string | undefined, expected: string): boolean {
  const given = /^Bearer +(.+)$/i.exec(authorization ?? '')?.[1] ?? '';
  // Digests have one length, so that the comparison takes one time.
  return timingSafeEqual(digest(given), digest(expected));
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
