// The life of a request, in order: screen the head, decide, take the body, forward, answer, record.
// Start reading here. Each step is one call that returns a value; what a step refuses ends in one local
// reply. Knows neither node:http nor undici: the listener and the upstream client are behind
// downstream.ts and upstream.ts.

import type { Reason } from '../core/reasons.ts';
import { type Decision, decide, type Forward, type RequestFacts } from '../routing/decide.ts';
import { JsonScan } from '../routing/json-scan.ts';
import { parseLocation } from '../routing/policies/geographic-proximity.ts';
import { decodePathForMatching } from '../routing/route-matcher.ts';
import { AttemptLoop, type LoopEnd } from './attempt-loop.ts';
import { type ContextHolder, countLocalReply, type DataPlane, type Taken } from './data-plane.ts';
import type { BodyFailure, Downstream, RequestBody } from './downstream.ts';
import { fieldsForServer, hasPassed } from './headers.ts';
import { replyLocally } from './local-reply.ts';
import { type Arrival, arrive, bounded, scrub, UNSENT_FIELD } from './manager-hop.ts';
import { type Refusal, type ScreenedRequest, screenRequest } from './request-head.ts';
import { WheelTimer } from './timer-wheel.ts';
import { loggablePath, RequestTrace } from './trace.ts';
import type { OutgoingBody } from './upstream.ts';

/** How a request ended without having been forwarded, or after it. */
type End = LoopEnd | Refusal;

/** One request under way. */
interface Walk {
  readonly client: Downstream;
  readonly plane: DataPlane;
  readonly taken: Taken;
  readonly trace: RequestTrace;
  /** What a proxy said of the request, when this is a manager. */
  arrival: Arrival | undefined;
  isOver: boolean;
}

/**
 * Serves one request to its end. Never throws. Without promises where there is no body to wait for: a chain of
 * them costs more than the decision.
 */
export function handleRequest(client: Downstream, plane: DataPlane, contexts: ContextHolder): void {
  const taken = contexts.take(plane.store);
  const isSampled = plane.random.next() < taken.snapshot.settings.traceSample;
  const trace = new RequestTrace(plane.ids.next(), plane.tools.now(), client.head.method, isSampled);
  plane.column.addRequests(1);
  const walk: Walk = { client, plane, taken, trace, arrival: undefined, isOver: false };
  try {
    const end = serve(walk);
    if (end !== undefined) finish(walk, end);
  } catch (error) {
    fail(walk, error);
  }
}

/** A fault of ours before the request's end; behind it nobody is left to tell, and the thread dies of it. */
function fail(walk: Walk, error: unknown): void {
  if (walk.isOver) throw error;
  walk.trace.detail = error instanceof Error ? (error.stack ?? error.message) : String(error);
  finish(walk, { kind: 'refuse', reason: 'internal' });
}

function finish(walk: Walk, end: End): void {
  const { client, plane, taken, trace } = walk;
  if (walk.isOver) return;
  walk.isOver = true;
  conclude(end, client, plane, trace);
  plane.column.addRequests(-1);
  trace.endedAt = plane.tools.now();
  measure(trace, taken);
  plane.record(trace, taken);
}

/** @returns how the request ended; undefined when that is told to `finish` later. */
function serve(walk: Walk): End | undefined {
  const { client, plane, taken, trace } = walk;
  const request = screenRequest(client.head, taken.snapshot.settings.limits);
  if (request.kind === 'refusal') return request;
  client.frame(request);
  if (hasPassed(request.via, plane.pseudonym)) return { kind: 'refuse', reason: 'loop_detected' };
  if (request.target === '*') return answerForOurselves(client);

  const facts = factsOf(client, request, taken);
  const { manager, exportsSpans } = taken.snapshot.settings;
  if (manager !== null) {
    walk.arrival = arrive(manager, request, facts.isTrusted);
    trace.requestId = walk.arrival.requestId ?? trace.requestId;
    if (walk.arrival.isMisdirected) return { kind: 'refuse', reason: 'residency' };
  }
  if (exportsSpans) {
    const parent = facts.isTrusted ? request.traceparent : '';
    trace.span = plane.ids.span(parent, trace.requestId, trace.isSampled);
  }
  const decision = decideFor(walk, facts);
  if (decision.kind !== 'need_body' && client.body === null) return goOn(walk, request, decision, NO_BODY);
  serveWithBody(walk, request, facts, decision).catch((error: unknown) => fail(walk, error));
  return undefined;
}

async function serveWithBody(
  walk: Walk,
  request: ScreenedRequest,
  facts: RequestFacts,
  first: Decision,
): Promise<void> {
  const { client, plane, taken, trace } = walk;
  let decision = first;
  let body: OutgoingBody | undefined;
  if (decision.kind === 'need_body') {
    // Before anything else can end the request: what is logged of it must know which parts are key.
    note(decision, request, taken, trace);
    const read = await readKeyFromBody(client, request, decision, plane, trace);
    if (read.kind === 'body_failed') return finish(walk, read.end);
    body = read.body;
    decision = decideFor(walk, { ...facts, body: read.values });
  }
  if (body === undefined && client.body !== null && decision.kind === 'forward') {
    note(decision, request, taken, trace);
    const read = await takeBody(
      bounded(client.body, taken.snapshot.settings.manager),
      decision,
      plane,
      trace,
    );
    if (read.kind === 'body_failed') return finish(walk, read.end);
    body = read;
  }
  const end = goOn(walk, request, decision, body ?? NO_BODY);
  if (end !== undefined) finish(walk, end);
}

/** From a decision on; returns as `serve` does. */
function goOn(walk: Walk, request: ScreenedRequest, decision: Decision, body: OutgoingBody): End | undefined {
  const { client, taken, trace } = walk;
  note(decision, request, taken, trace);
  if (decision.kind === 'refuse') return decision;
  if (decision.kind === 'need_body') throw new Error('a decision asked for the body twice');
  if (client.isGone) return { kind: 'client_gone', status: undefined };
  forward({ client, request, decision, body, trace, taken, routeField: walk.arrival?.routeField }, walk);
  return undefined;
}

function decideFor({ taken, trace }: Walk, facts: RequestFacts): Decision {
  const { snapshot, live, context } = taken;
  if (!trace.isSampled) return decide(snapshot, live, facts, context.deciding);
  const { recorder } = context;
  recorder.begin();
  const decision = decide(snapshot, live, facts, recorder.context);
  trace.inputs = recorder.inputsOf(decision, snapshot, live);
  return decision;
}

/** OPTIONS *: asks about this proxy, not about any server behind it. */
function answerForOurselves(client: Downstream): End {
  client.sendHead(204, ['allow', 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS'], 'none', true);
  client.finish();
  return { kind: 'answered', status: 204 };
}

function factsOf(client: Downstream, request: ScreenedRequest, taken: Taken): RequestFacts {
  const { trusted } = taken.context;
  const { clientLocationHeader } = taken.snapshot.settings;
  const field = (name: string): string | undefined => fieldValue(request.fields, name);
  const isTrusted = trusted.includes(client.peerAddress);
  const location = clientLocationHeader !== undefined && isTrusted ? field(clientLocationHeader) : undefined;
  return {
    method: request.method,
    host: request.host,
    path: decodePathForMatching(request.rawPath),
    rawPath: request.rawPath,
    query: request.query,
    fields: request.fields,
    clientAddress: trusted.clientAddress(client.peerAddress, request.forwardedFor, request.forwarded),
    clientLocation: location === undefined ? undefined : parseLocation(location),
    isTrusted,
    contentLength: request.contentLength,
    body: client.body === null || isEncoded(request.fields) ? null : undefined,
    field,
  };
}

function fieldValue(fields: readonly string[], name: string): string | undefined {
  for (let i = 0; i < fields.length; i += 2) if (fields[i] === name) return fields[i + 1];
  return undefined;
}

/** A compressed body is not searched for a key: the contract counts it as missing. */
function isEncoded(fields: readonly string[]): boolean {
  const encoding = fieldValue(fields, 'content-encoding');
  return encoding !== undefined && encoding.toLowerCase() !== 'identity';
}

interface BodyFailed {
  readonly kind: 'body_failed';
  readonly end: LoopEnd;
}

interface KeyFromBody {
  readonly kind: 'key_read';
  readonly values: readonly (Uint8Array | null)[] | null;
  readonly body: OutgoingBody;
}

/** Reads as much of the body as the key needs; what was read goes to the server with the rest. */
async function readKeyFromBody(
  client: Downstream,
  request: ScreenedRequest,
  { route, key }: Extract<Decision, { kind: 'need_body' }>,
  plane: DataPlane,
  trace: RequestTrace,
): Promise<KeyFromBody | BodyFailed> {
  const source = client.body!;
  const scan = new JsonScan(key.pointers);
  const isSmall = source.length !== undefined && source.length <= route.retry.maxBody;
  const startedAt = plane.tools.now();
  const read = isSmall
    ? await source.collect(source.length, route.timeouts.idle)
    : await source.collect(route.keyMaxBody, route.timeouts.idle, (chunk) => scan.push(chunk));
  trace.bodyWaitMs += plane.tools.now() - startedAt;
  if (read.kind === 'failed') return bodyFailure(read.why);
  if (isSmall) scan.push(read.bytes.subarray(0, route.keyMaxBody));
  if (read.kind === 'whole') scan.finish();
  const values = key.pointers.map((_, i) => scan.value(i));
  const body: OutgoingBody =
    read.kind === 'whole'
      ? { kind: 'buffered', bytes: read.bytes }
      : { kind: 'streamed', length: request.contentLength, prefix: read.bytes, rest: source };
  return { kind: 'key_read', values, body };
}

/** A small body is taken whole before a server is bothered with it, so that it can be sent twice. */
async function takeBody(
  source: RequestBody,
  { route }: Forward,
  plane: DataPlane,
  trace: RequestTrace,
): Promise<OutgoingBody | BodyFailed> {
  if (source.length === undefined || source.length > route.retry.maxBody) {
    return { kind: 'streamed', length: source.length, prefix: null, rest: source };
  }
  const startedAt = plane.tools.now();
  const read = await source.collect(source.length, route.timeouts.idle);
  trace.bodyWaitMs += plane.tools.now() - startedAt;
  if (read.kind === 'failed') return bodyFailure(read.why);
  return { kind: 'buffered', bytes: read.bytes };
}

const NO_BODY: OutgoingBody = { kind: 'none' };

/** `malformed` was answered by the listener already, on the bare connection. */
function bodyFailure(why: BodyFailure): BodyFailed {
  const reason = why === 'idle' ? 'body_timeout' : why === 'too_large' ? 'body_too_large' : undefined;
  const end: LoopEnd =
    reason === undefined ? { kind: 'client_gone', status: undefined } : { kind: 'refuse', reason };
  return { kind: 'body_failed', end };
}

function note(decision: Decision, request: ScreenedRequest, taken: Taken, trace: RequestTrace): void {
  trace.route = decision.route;
  trace.planGeneration = taken.snapshot.plan.generation;
  trace.path = loggablePath(request.rawPath, decision.route?.secretSegments ?? []);
  if (decision.kind !== 'forward') {
    trace.hadKey = !(decision.kind === 'refuse' && decision.reason === 'no_shard_key');
    if (decision.kind === 'refuse' && decision.reason === 'shed') trace.priority = decision.priority;
    return;
  }
  trace.decision = decision;
  trace.shard = decision.shard;
  trace.hadKey = decision.hadKey;
  trace.priority = decision.priority;
  trace.isMoving = decision.isMoving;
  trace.choice = decision.choice;
  trace.picked = decision.picked;
}

interface Ready {
  readonly client: Downstream;
  readonly request: ScreenedRequest;
  readonly decision: Forward;
  readonly body: OutgoingBody;
  readonly trace: RequestTrace;
  readonly taken: Taken;
  /** `foreshard-route` of the proxy that sent the request; undefined in a proxy. */
  readonly routeField: string | undefined;
}

class TotalTimer extends WheelTimer {
  readonly #loop: AttemptLoop;

  constructor(loop: AttemptLoop) {
    super();
    this.#loop = loop;
  }

  override onExpire(): void {
    this.#loop.expire();
  }
}

function forward(ready: Ready, walk: Walk): void {
  const { client, request, decision, body, trace, taken } = ready;
  const { plane } = walk;
  const { identity, trusted } = taken.context;
  const isTrusted = trusted.includes(client.peerAddress);
  const { manager } = taken.snapshot.settings;
  if (manager !== null) scrub(request.fields, manager.scrubRequest);
  const hop = { peerAddress: client.peerAddress, isSecure: client.isSecure, isTrusted };
  const traceparent = plane.ids.traceparent(isTrusted ? request.traceparent : '', trace.requestId);
  const serverFields = fieldsForServer(request, hop, identity, { requestId: trace.requestId, traceparent });
  const replyFields = ['via', `1.1 ${identity.pseudonym}`, 'foreshard-request-id', trace.requestId];
  if (decision.newCookie !== null) replyFields.push('set-cookie', stickyCookie(decision));

  const { routeField } = ready;
  const dispatch = { client, request, decision, body, serverFields, replyFields, trace, taken, routeField };
  const { total } = decision.route.timeouts;
  if (total === 0) return new AttemptLoop(dispatch, plane, (end) => endLoop(walk, end)).start();
  const loop = new AttemptLoop(dispatch, plane, (end) => {
    plane.tools.wheel.disarm(timer);
    endLoop(walk, end);
  });
  const timer = new TotalTimer(loop);
  plane.tools.wheel.arm(timer, total);
  loop.start();
}

/**
 * A failure is answered when the call that reported it has returned: whoever found it (a listener that refuses
 * a malformed chunk) may have the better answer, and is about to give it.
 */
function endLoop(walk: Walk, end: LoopEnd): void {
  if (end.kind === 'answered') finish(walk, end);
  else queueMicrotask(() => finish(walk, end));
}

function stickyCookie({ route, newCookie }: Forward): string {
  const { name, maxAgeSeconds } = route.cookie;
  return `${name}=${newCookie}; Path=/; Max-Age=${maxAgeSeconds}; HttpOnly; SameSite=Lax`;
}

/** Makes the local reply that is due, and writes the end into the trace. */
function conclude(end: End, client: Downstream, plane: DataPlane, trace: RequestTrace): void {
  switch (end.kind) {
    case 'answered':
      trace.status = end.status;
      return;
    case 'broken':
      trace.status = end.status;
      trace.reason = end.reason;
      return;
    case 'client_gone':
      trace.status = end.status ?? 0;
      trace.reason = 'client_closed';
      return;
    case 'refusal':
      trace.detail = end.detail;
      return refuseWith(end.reason, client, plane, trace);
    case 'refuse':
      return refuseWith(end.reason, client, plane, trace);
  }
}

function refuseWith(reason: Reason, client: Downstream, plane: DataPlane, trace: RequestTrace): void {
  trace.reason = reason;
  trace.status = replyLocally(client, {
    reason,
    detail: reason === 'internal' ? undefined : trace.detail,
    requestId: trace.requestId,
    fields: plane.stage === 'rem' && isUnsent(trace) ? [UNSENT_FIELD, '?1'] : [],
    // After a request that breaks rules nothing on its connection can be trusted.
    keepAlive:
      reason !== 'body_too_large' &&
      reason !== 'bad_request' &&
      reason !== 'header_too_large' &&
      reason !== 'body_timeout',
  });
  countLocalReply(plane.metrics, reason, trace.priority);
  if (reason === 'residency')
    plane.metrics.counter('foreshard_residency_block_total', [plane.stage]).value += 1;
}

/** No byte of the request can have reached a server. */
function isUnsent({ attempts }: RequestTrace): boolean {
  return attempts.every(({ outcome }) => outcome === 'connect_failed' || outcome === 'connect_timeout');
}

function measure(trace: RequestTrace, { context }: Taken): void {
  context.requests(trace).value += 1;
  context.seconds(trace).observe((trace.endedAt - trace.startedAt) / 1000);
  if (!trace.hadKey && trace.route !== undefined) context.keyMissing(trace.route).value += 1;
  if (trace.firstAttemptAt === 0) return;
  context.overhead.observe((trace.firstAttemptAt - trace.startedAt - trace.bodyWaitMs) / 1000);
}
