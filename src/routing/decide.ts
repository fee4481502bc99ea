// The decision, whole: route -> key -> shard -> eligible regions -> policy -> guard. A pure function of a
// snapshot, the facts of a request, the live view and a source of randomness; `foreshard explain`, the
// traces and the simulator call this same function. It names one region; `nextRegion` names the ones
// after it, one at a time, because most requests never need a second.

import { unreachable } from '../core/assert.ts';
import { NO_REGION, type RegionIndex } from '../core/ids.ts';
import { type Location, type PolicyKind, PRIORITIES, type Priority } from '../core/model.ts';
import { hex64, type Random } from '../core/random.ts';
import { type LiveView, type SetView, viewOfSet, viewWithinReach } from './eligibility.ts';
import { type Choice, type FallbackInput, hasRoom, redirect } from './fallbacks.ts';
import { fractionOf, newU64, SEED_ZERO, type U64, xxh64Text } from './hash.ts';
import type { RoomInput } from './in-time.ts';
import { KeyBytes } from './key-bytes.ts';
import { isMoving } from './ownership.ts';
import { consistentHash, shardOf } from './policies/consistent-hash.ts';
import { geographicProximity } from './policies/geographic-proximity.ts';
import { leastLoaded } from './policies/least-loaded.ts';
import type { Cursors, PickInput, Policy, RegionLoads } from './policies/policy.ts';
import { roundRobin } from './policies/round-robin.ts';
import { weightedRandom } from './policies/weighted-random.ts';
import type { PolicyFacts, PolicyRefusal, TokenVerifier } from './regional-policy.ts';
import { type ClaimReader, cookieValue, type KeyPlan, readKey } from './shard-key.ts';
import type { EligibleSet, Route, Snapshot } from './snapshot.ts';

const POLICIES: Readonly<Record<PolicyKind, Policy>> = {
  consistent_hash: consistentHash,
  weighted_random: weightedRandom,
  round_robin: roundRobin,
  least_loaded: leastLoaded,
  geographic_proximity: geographicProximity,
};

export interface RequestFacts extends PolicyFacts {
  readonly clientLocation: Location | undefined;
  /** The peer is one of `trustedProxies`: a priority that it names is believed. */
  readonly isTrusted: boolean;
}

/** What deciding needs besides the request; one per thread. */
export interface DecideContext {
  readonly random: Random;
  /** Monotonic milliseconds. */
  now(): number;
  readonly loads: RegionLoads;
  readonly cursors: Cursors;
  readonly key: KeyBytes;
  readonly claims: ClaimReader;
  readonly verify: TokenVerifier;
}

export interface Forward {
  readonly kind: 'forward';
  readonly route: Route;
  readonly view: SetView;
  /** The shard comes from a key (found, or made by onMissing), not from a draw. */
  readonly isKeyed: boolean;
  /** The request itself carried the key. */
  readonly hadKey: boolean;
  readonly shard: number;
  /** The table that was asked. */
  readonly set: EligibleSet;
  /** The shard is on its way from one region to another. */
  readonly isMoving: boolean;
  readonly priority: Priority;
  /** What the policy named; NO_REGION when it could name none. */
  readonly picked: RegionIndex;
  readonly region: RegionIndex;
  readonly choice: Choice;
  /** Value of a sticky cookie to set with the answer; null when there is none to set. */
  readonly newCookie: string | null;
  readonly clientLocation: Location | undefined;
}

export type Decision =
  | Forward
  | { readonly kind: 'need_body'; readonly route: Route; readonly key: KeyPlan }
  | { readonly kind: 'refuse'; readonly reason: 'no_route'; readonly route: undefined }
  | { readonly kind: 'refuse'; readonly reason: 'shed'; readonly route: Route; readonly priority: Priority }
  | {
      readonly kind: 'refuse';
      readonly reason: 'no_shard_key' | 'no_eligible_region' | PolicyRefusal;
      readonly route: Route;
    };

/**
 * Decides one request. `need_body` asks to be called again with `facts.body` set to the values at
 * `key.pointers`.
 */
export function decide(
  snapshot: Snapshot,
  live: LiveView,
  facts: RequestFacts,
  context: DecideContext,
): Decision {
  const index = snapshot.matcher.match(facts);
  if (index === -1) return { kind: 'refuse', reason: 'no_route', route: undefined };
  const route = snapshot.routes[index]!;

  const keyPlan = keyPlanFor(route, facts);
  const found = readKey(keyPlan, facts, context.key, context.claims);
  if (found === 'need_body') return { kind: 'need_body', route, key: keyPlan };
  let newCookie: string | null = null;
  let isKeyed = found === 'found';
  if (!isKeyed) {
    if (route.onMissing === 'reject') return { kind: 'refuse', reason: 'no_shard_key', route };
    if (route.onMissing === 'cookie') newCookie = stickyCookie(route, facts, context);
    isKeyed = route.onMissing !== 'random';
  }
  const request: Placement = { route, facts, isKeyed, hadKey: found === 'found', newCookie };
  const placed = place(snapshot, live, request, context);
  if (placed === 'shed') return { kind: 'refuse', reason: placed, route, priority: priorityOf(route, facts) };
  return typeof placed === 'string' ? { kind: 'refuse', reason: placed, route } : placed;
}

interface Placement {
  readonly route: Route;
  readonly facts: RequestFacts;
  readonly isKeyed: boolean;
  readonly hadKey: boolean;
  readonly newCookie: string | null;
}

/** Second half of a decision: from the key to a region, or why no region may take the request. */
function place(
  snapshot: Snapshot,
  live: LiveView,
  { route, facts, isKeyed, hadKey, newCookie }: Placement,
  context: DecideContext,
): Forward | PolicyRefusal | 'no_eligible_region' | 'shed' {
  const hash = hashOf(isKeyed, context);
  const priority = priorityOf(route, facts);
  // Critical requests stay in stable regions: their table leaves out what is at risk.
  const set = priority === 'critical' ? route.criticalSet : route.set;
  let whole = viewOfSet(snapshot, set, live);
  if (route.maxAddedLatency > 0) whole = viewWithinReach(snapshot, { route, set, live }, whole);
  const view = snapshot.policies?.restrict(set, whole, facts, context.verify) ?? whole;
  if (typeof view === 'string') return view;
  const now = context.now();
  const input: PickInput = {
    snapshot,
    route,
    set,
    view,
    hash,
    isKeyed,
    key: context.key,
    now,
    neutrality: neutralityAt(snapshot, live, now),
    random: context.random,
    loads: context.loads,
    cursors: context.cursors,
    clientLocation: facts.clientLocation,
  };
  const { clientLocation } = facts;
  const shard = shardOf(set, hash.hi);
  const from: FallbackInput = { route, set, view, shard, isKeyed, clientLocation };
  const picked = POLICIES[route.policy](input);
  const room = { snapshot, route, loads: context.loads, priority };
  let choice = judge(picked, input, room);
  let region = picked;
  if (choice !== 'policy') {
    const turned = redirect(from, picked, choice, room);
    if (typeof turned === 'string') return turned;
    ({ region, choice } = turned);
  }
  return {
    kind: 'forward',
    route,
    set,
    view,
    shard,
    isKeyed,
    clientLocation,
    hadKey,
    newCookie,
    isMoving: isMoving(set, shard),
    priority,
    picked,
    region,
    choice,
  };
}

function priorityOf({ priority }: Route, facts: RequestFacts): Priority {
  if (typeof priority === 'string') return priority;
  const named = facts.isTrusted ? facts.field(priority.header) : undefined;
  return PRIORITIES.find((known) => known === named) ?? 'normal';
}

/** How far a stale plan has been left for the base weights: 0 while it is fresh, 1 after one ttl. */
export function neutralityAt(snapshot: Snapshot, live: LiveView, now: number): number {
  if (now < live.staleSince) return 0;
  return snapshot.plan.ttl === 0 ? 1 : Math.min(1, (now - live.staleSince) / snapshot.plan.ttl);
}

function keyPlanFor(route: Route, facts: RequestFacts): KeyPlan {
  if (route.keyPerType.size === 0) return route.key;
  const type = route.typeHeader === undefined ? facts.method : facts.field(route.typeHeader);
  return (type === undefined ? undefined : route.keyPerType.get(type)) ?? route.key;
}

// Reused: a decision copies what it needs out of it.
const currentHash = newU64();

function hashOf(isKeyed: boolean, context: DecideContext): U64 {
  if (isKeyed) return context.key.hash(SEED_ZERO, currentHash);
  currentHash.hi = context.random.u32();
  currentHash.lo = context.random.u32();
  return currentHash;
}

/**
 * `onMissing: cookie`: the value the client carries already, or a new one to set. Either becomes the key.
 */
function stickyCookie(route: Route, facts: RequestFacts, context: DecideContext): string | null {
  const carried = cookieValue(facts.fields, route.cookie.name);
  // An empty cookie is none: all who send it would share one key for ever.
  const isCarried = carried !== null && carried !== '';
  const value = isCarried ? carried : hex64(context.random) + hex64(context.random);
  context.key.reset();
  context.key.addLatin1(value);
  return isCarried ? null : value;
}

// Seed of the second hash that decides which keys of a half-healthy region go elsewhere: with the first
// one, whole shards would go, and always the same.
const SPILL_SEED: Readonly<U64> = Object.freeze(xxh64Text('spill'));
const spillHash = newU64();

/** The gate and guard on a pick: why it does not get the request itself, or `policy` if it does. */
function judge(picked: RegionIndex, input: PickInput, room: RoomInput): Choice {
  if (picked === NO_REGION || input.view.keeps[picked] === 0) return 'failover';
  const keeps = shareKept(picked, input);
  if (keeps < 1) {
    const place = input.isKeyed ? fractionOf(input.key.hash(SPILL_SEED, spillHash)) : input.random.next();
    if (place >= keeps) return 'spill';
  }
  return hasRoom(picked, room) ? 'policy' : 'headroom';
}

/** Share of the requests it is picked for that a region keeps, 0..1. */
function shareKept(picked: RegionIndex, { snapshot, set, route, view, isKeyed }: PickInput): number {
  const keeps = view.keeps[picked]!;
  switch (route.policy) {
    case 'consistent_hash':
      return keeps;
    case 'weighted_random':
      // The draw for a request without a key has weighed by health already.
      return isKeyed ? keeps : 1;
    case 'round_robin':
    case 'least_loaded':
      return 1;
    case 'geographic_proximity': {
      // Nearness knows no weights: what a plan takes from a region's weight is taken here.
      return keeps * Math.min(1, set.drawWeights[picked]! / snapshot.regions[picked]!.baseWeight);
    }
    default:
      return unreachable(route.policy);
  }
}

/** A context for tools that decide one request at a time and have no traffic: loads are zero. */
export function idleContext(random: Random, claims: ClaimReader, verify: TokenVerifier): DecideContext {
  return {
    random,
    now: () => 0,
    loads: { inFlight: () => 0, waiting: () => 0, healthyShare: () => 1, utilisation: () => Number.NaN },
    cursors: new Map(),
    key: new KeyBytes(),
    claims,
    verify,
  };
}
