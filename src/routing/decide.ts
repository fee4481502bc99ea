// The decision, whole: route -> key -> shard -> eligible regions -> policy -> guard. A pure function of a
// snapshot, the facts of a request, the live view and a source of randomness; `foreshard explain`, the
// traces and the simulator call this same function. It names one region; `nextRegion` names the ones
// after it, one at a time, because most requests never need a second.

import { unreachable } from '../core/assert.ts';
import { NO_REGION, type RegionIndex, regionIndex } from '../core/ids.ts';
import { type Location, type PolicyKind, PRIORITIES, type Priority } from '../core/model.ts';
import { hex64, type Random } from '../core/random.ts';
import {
  firstUsable,
  type LiveView,
  mayStandIn,
  type SetView,
  viewOfSet,
  viewWithinReach,
} from './eligibility.ts';
import { fractionOf, newU64, SEED_ZERO, type U64, xxh64Text } from './hash.ts';
import { answersInTime, type RoomInput } from './in-time.ts';
import { KeyBytes } from './key-bytes.ts';
import { isMoving } from './ownership.ts';
import { consistentHash, shardOf } from './policies/consistent-hash.ts';
import { geographicProximity, nearestUsable } from './policies/geographic-proximity.ts';
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

export type Choice =
  /** The policy's own pick. */
  | 'policy'
  /** The pick may not have all that is its own (health, weight); this request is of the rest. */
  | 'spill'
  /** The pick may not be chosen now. */
  | 'failover'
  /** The pick is full. */
  | 'headroom';

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

/** Where a request goes that the picked region does not get itself, or why nowhere. */
function redirect(
  from: FallbackInput,
  picked: RegionIndex,
  choice: Choice,
  room: RoomInput,
): Pick<Forward, 'region' | 'choice'> | 'no_eligible_region' | 'shed' {
  let turned = { region: elsewhere(from, picked, room), choice };
  // Every region that may have it is at its capacity: whoever can wait makes room for the others.
  const isWaitable = choice !== 'spill' && room.priority === 'sheddable' && from.view.usable.length > 0;
  if (turned.region === NO_REGION && isWaitable) return 'shed';
  if (turned.region === NO_REGION && choice === 'failover') {
    turned = { region: lastResort(room.snapshot, from), choice };
    if (turned.region === NO_REGION) return 'no_eligible_region';
  }
  // A full or half-healthy pick rather than a full stranger.
  if (turned.region === NO_REGION) turned = { region: picked, choice: 'policy' };
  // What a full region cannot answer in time is lost there too, and costs it the work.
  return answersInTime(turned.region, room) ? turned : 'shed';
}

/**
 * First region after `picked` that is below its capacity: what one region loses must not fell the next
 * while a third has room.
 */
function elsewhere(from: FallbackInput, picked: RegionIndex, room: RoomInput): RegionIndex {
  const passed = picked === NO_REGION ? [] : [picked];
  for (;;) {
    const region = nextRegion(room.snapshot, from, passed);
    if (region === NO_REGION || hasRoom(region, room)) return region;
    passed.push(region);
  }
}

function hasRoom(region: RegionIndex, room: RoomInput): boolean {
  // NaN (capacity unknown) is not full.
  return !(room.loads.utilisation(region) >= FULL) && answersInTime(region, room);
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

/** Where nobody has room, a full region rather than none; and where nobody can, one that a forecast has emptied. */
function lastResort(snapshot: Snapshot, from: FallbackInput): RegionIndex {
  const full = nextRegion(snapshot, from, []);
  if (full !== NO_REGION) return full;
  const { reserve } = from.view;
  const [spared = NO_REGION] = [...snapshot.failoverOrder]
    .map(regionIndex)
    .filter((region) => reserve.includes(region));
  return spared;
}

/**
 * A region at its stated capacity sheds to its fallbacks; those at capacity as well are no help, and then the
 * pick keeps what is its own. At the very capacity queues already grow without end.
 */
export const FULL = 0.95;

const isByTable = (policy: PolicyKind): boolean =>
  policy === 'consistent_hash' || policy === 'weighted_random';

/** The parts of a decision that its fallbacks depend on. */
export type FallbackInput = Pick<Forward, 'route' | 'set' | 'view' | 'shard' | 'isKeyed' | 'clientLocation'>;

/**
 * The next region to turn to after `tried`, NO_REGION when none is left. A keyed request follows its
 * shard's ring order, so that a lost region's keys spread over the survivors, the same way on every
 * proxy; geographic_proximity goes by distance; others follow the plan's failover order.
 */
export function nextRegion(
  snapshot: Snapshot,
  from: FallbackInput,
  tried: readonly RegionIndex[],
): RegionIndex {
  const { route, view } = from;
  if (route.policy === 'geographic_proximity') {
    return nearestUsable(snapshot, view, from.clientLocation, (region) => tried.includes(region));
  }
  if (!from.isKeyed || !isByTable(route.policy)) return firstUsable(view, snapshot.failoverOrder, tried);
  const { orders, members } = from.set;
  const row = from.shard * orders.regionCount;
  for (let rank = 0; rank < orders.regionCount; rank++) {
    const region = regionIndex(members[orders.regions[row + rank]!]!);
    if (mayStandIn(view, region) && !tried.includes(region)) return region;
  }
  return NO_REGION;
}

/** All regions after the decision's own, in the order in which they would be turned to. */
export function fallbacksOf(snapshot: Snapshot, decision: Forward): RegionIndex[] {
  const tried = [decision.region];
  for (;;) {
    const next = nextRegion(snapshot, decision, tried);
    if (next === NO_REGION) return tried.slice(1);
    tried.push(next);
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
