// Who may use the control port: with a token whoever has it, without one whoever is on this machine and asks it by
// address. The latter keeps out pages of the web: a name that its owner points at 127.0.0.1 makes a browser send our
// own visitors' requests here (DNS rebinding), but with that name as Host; and a page that asks here by our own name
// says where it comes from (Origin). A read token opens what changes nothing.

import { createHash, timingSafeEqual } from 'node:crypto';
import { isIP } from 'node:net';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { systemClock } from '../core/clock.ts';
import { isDashboardPath } from './api/dashboard.ts';
import { sendProblem } from './problem.ts';
import { RateLimit } from './rate-limit.ts';

export interface Tokens {
  /** Opens everything. */
  readonly token: string | undefined;
  /** Opens what changes nothing. */
  readonly readToken: string | undefined;
}

// A load balancer's health check has no token.
const OPEN_PATHS = new Set(['/healthz', '/readyz']);
// Asked by POST because the question has a body.
const READING_POSTS = new Set(['/explain']);
// With dryRun=1 what would change these says what it would do.
const TRIED = '/sharding_policies/';

// A fleet of agents and dashboards asks tens of times a second; more is a mistake in a loop.
const REQUESTS_PER_SECOND = 1000;
const REQUEST_BURST = 2000;
// Somebody mistypes a token a few times; nobody a hundred times.
const GUESSES_PER_SECOND = 1;
const GUESS_BURST = 30;

/** A hook for all requests. @param tokens asked for with each: a reload may change them. */
export function gate(tokens: () => Tokens) {
  const requests = new RateLimit(REQUESTS_PER_SECOND, REQUEST_BURST);
  const guesses = new RateLimit(GUESSES_PER_SECOND, GUESS_BURST);
  return async (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply | undefined> => {
    const now = systemClock.monotonicMs();
    if (!requests.take(request.ip, now)) {
      return tooMany(reply, `at most ${REQUESTS_PER_SECOND} requests a second from one address`);
    }
    if (isOfAnotherSite(request)) {
      return sendProblem(reply, 403, 'Origin must be this host: pages of other sites may not ask here');
    }
    const expected = tokens();
    if (expected.token === undefined) {
      if (isLocalName(request.headers.host)) return undefined;
      const title = 'Host must be an IP address or localhost while control.token is not set';
      return sendProblem(reply, 421, title);
    }
    const { url } = request.routeOptions;
    if (OPEN_PATHS.has(url ?? '') || (isDashboardPath(url) && onlyReads(request))) return undefined;
    if (!guesses.has(request.ip, now)) return tooMany(reply, 'too many wrong tokens from this address');
    const given = bearerOf(request.headers.authorization);
    // Both are compared, whatever the first says: the time must not tell which was nearer.
    const mayWrite = isSame(given, expected.token);
    const mayRead = expected.readToken !== undefined && isSame(given, expected.readToken);
    if (mayWrite || (mayRead && onlyReads(request))) return undefined;
    if (mayRead)
      return sendProblem(
        reply,
        403,
        'control.readToken opens what changes nothing; this needs control.token',
      );
    if (given !== '') guesses.take(request.ip, now);
    return sendProblem(reply.header('www-authenticate', 'Bearer'), 401, 'a bearer token is required');
  };
}

function tooMany(reply: FastifyReply, title: string): FastifyReply {
  return sendProblem(reply.header('retry-after', 1), 429, title, 'rate_limited');
}

/** Only browsers say where a request comes from, and they always do when it may change something. */
function isOfAnotherSite({ headers }: FastifyRequest): boolean {
  if (headers['sec-fetch-site'] === 'cross-site') return true;
  const { origin, host } = headers;
  if (origin === undefined) return false;
  return !URL.canParse(origin) || new URL(origin).host !== host?.toLowerCase();
}

function onlyReads({ method, routeOptions, query }: FastifyRequest): boolean {
  const url = routeOptions.url ?? '';
  if (method === 'GET' || method === 'HEAD' || READING_POSTS.has(url)) return true;
  // As the routes read it: given twice it is an array, and refused.
  return url.startsWith(TRIED) && (query as { readonly dryRun?: unknown }).dryRun === '1';
}

/** No Host at all is an HTTP/1.0 client, which is no browser. */
function isLocalName(host: string | undefined): boolean {
  if (host === undefined) return true;
  const name = host.replace(/:\d*$/, '').toLowerCase();
  return name === 'localhost' || isIP(name) === 4 || isIP(name.replace(/^\[(.*)\]$/, '$1')) === 6;
}

function bearerOf(authorization: string | undefined): string {
  return /^Bearer +(.+)$/i.exec(authorization ?? '')?.[1] ?? '';
}

function isSame(given: string, expected: string): boolean {
  // Digests have one length, so that the comparison takes one time.
  return timingSafeEqual(digest(given), digest(expected));
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
