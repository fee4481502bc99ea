// Where a request would go and why, in words: runs `decide` itself and reads its result and the set's view
// out. For the command line, the control API and anyone who wonders.

import { NO_REGION, type RegionIndex } from '../core/ids.ts';
import { type DecideContext, decide, type Forward, type RequestFacts } from './decide.ts';
import { type LiveView, viewOfSet } from './eligibility.ts';
import { fallbacksOf } from './fallbacks.ts';
import { JsonScan } from './json-scan.ts';
import { decodePathForMatching, hostForMatching } from './route-matcher.ts';
import type { Route, Snapshot } from './snapshot.ts';

export interface ExplainRequest {
  readonly method: string;
  /** Absolute URL, or a path. */
  readonly url: string;
  readonly headers: readonly (readonly [string, string])[];
  readonly body?: string | undefined;
  readonly clientAddress: string;
}

export interface RegionVerdict {
  readonly region: string;
  /** `eligible` where nothing was decided: the request was refused for another reason. */
  readonly verdict: 'chosen' | 'fallback' | 'eligible' | 'removed';
  /** 1 = the first fallback. */
  readonly rank?: number;
  readonly stage?: 'route' | 'filter' | 'gate';
  readonly reason?: string;
  readonly weight: number;
  readonly healthy: number;
  readonly registered: number;
}

export interface Explanation {
  readonly route: string | null;
  readonly policy?: string;
  /** Whether the request carries the route's shard key; the key itself is never shown. */
  readonly key?: 'found' | 'missing';
  readonly shard?: number;
  /** Owner of the shard, or what the policy named. */
  readonly picked?: string | null;
  readonly chosen: string | null;
  readonly choice?: string;
  /** Why nothing was chosen. */
  readonly refused?: string;
  readonly panic?: boolean;
  readonly regions: readonly RegionVerdict[];
  readonly fallbacks: readonly string[];
  readonly generation: number;
}

export function explain(
  snapshot: Snapshot,
  live: LiveView,
  request: ExplainRequest,
  context: DecideContext,
): Explanation {
  const facts = factsOf(request);
  let decision = decide(snapshot, live, facts, context);
  if (decision.kind === 'need_body') {
    const body = valuesOf(request.body ?? '', decision.key.pointers, decision.route.keyMaxBody);
    decision = decide(snapshot, live, { ...facts, body }, context);
  }
  const generation = snapshot.plan.generation;
  if (decision.kind === 'need_body') throw new Error('a decision asked for the body twice');
  if (decision.kind === 'refuse') {
    const { route, reason } = decision;
    const regions = route === undefined ? [] : verdicts(snapshot, live, route, undefined);
    return { route: route?.id ?? null, chosen: null, refused: reason, regions, fallbacks: [], generation };
  }
  const name = (region: RegionIndex): string | null =>
    region === NO_REGION ? null : snapshot.regions[region]!.id;
  return {
    route: decision.route.id,
    policy: decision.route.policy,
    key: decision.hadKey ? 'found' : 'missing',
    ...(decision.isKeyed ? { shard: decision.shard } : {}),
    picked: name(decision.picked),
    chosen: name(decision.region),
    choice: decision.choice,
    panic: decision.view.panic,
    regions: verdicts(snapshot, live, decision.route, decision),
    fallbacks: fallbacksOf(snapshot, decision).map((region) => snapshot.regions[region]!.id),
    generation,
  };
}

function verdicts(
  snapshot: Snapshot,
  live: LiveView,
  route: Route,
  decision: Forward | undefined,
): RegionVerdict[] {
  const set = decision?.set ?? route.set;
  const view = decision?.view ?? viewOfSet(snapshot, set, live);
  const fallbacks = decision === undefined ? [] : fallbacksOf(snapshot, decision);
  return snapshot.regions.map((region): RegionVerdict => {
    const facts = {
      region: region.id,
      weight: set.weights[region.index]!,
      healthy: live.healthy[region.index]!,
      registered: live.registered[region.index]!,
    };
    if (!route.set.members.includes(region.index)) {
      return { ...facts, verdict: 'removed', stage: 'route', reason: 'not_in_route' };
    }
    const removal = view.removed.find((removed) => removed.region === region.index);
    if (removal !== undefined)
      return { ...facts, verdict: 'removed', stage: removal.stage, reason: removal.reason };
    if (decision === undefined) return { ...facts, verdict: 'eligible' };
    if (decision.region === region.index) return { ...facts, verdict: 'chosen' };
    return { ...facts, verdict: 'fallback', rank: fallbacks.indexOf(region.index) + 1 };
  });
}

/** Values at `pointers`, found in as much of the body as a worker would read. */
function valuesOf(text: string, pointers: readonly string[], limit: number): (Uint8Array | null)[] {
  const bytes = Buffer.from(text, 'utf8');
  const scan = new JsonScan(pointers);
  scan.push(bytes.subarray(0, limit));
  // A number that the limit has cut is not a shorter number.
  if (bytes.length <= limit) scan.finish();
  return pointers.map((_, i) => scan.value(i));
}

/** The parts of a request as a worker would see them. */
function factsOf(request: ExplainRequest): RequestFacts {
  const url = URL.canParse(request.url) ? new URL(request.url) : undefined;
  const target = url === undefined ? targetOf(request.url) : `${url.pathname}${url.search}`;
  const mark = target.indexOf('?');
  const rawPath = mark === -1 ? target : target.slice(0, mark);
  const fields = request.headers.flatMap(([name, value]) => [name.toLowerCase(), latin1Of(value)]);
  const field = (name: string): string | undefined => {
    const at = fields.findIndex((text, i) => i % 2 === 0 && text === name);
    return at === -1 ? undefined : fields[at + 1];
  };
  const encoding = field('content-encoding')?.toLowerCase() ?? 'identity';
  return {
    method: request.method,
    host: hostForMatching((field('host') ?? url?.host ?? '').replace(/:\d+$/, '')),
    path: decodePathForMatching(rawPath),
    rawPath,
    query: mark === -1 ? '' : target.slice(mark + 1),
    fields,
    clientAddress: request.clientAddress,
    clientLocation: undefined,
    isTrusted: false,
    contentLength: request.body === undefined ? undefined : Buffer.byteLength(request.body),
    body: request.body === undefined || encoding !== 'identity' ? null : undefined,
    field,
  };
}

/** A path as a client would send it: without fragment, other characters than ASCII encoded. */
function targetOf(path: string): string {
  return path.replace(/#.*$/s, '').replace(/[^\0-\x7f]+/g, (run) => encodeURIComponent(run.toWellFormed()));
}

/** A value as it arrives: clients send UTF-8, and every character of a field stands for one byte. */
function latin1Of(value: string): string {
  return Buffer.from(value, 'utf8').toString('latin1');
}
