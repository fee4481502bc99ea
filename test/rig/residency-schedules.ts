// Residency under random faults, with no socket: a request is decided, placed and placed again as the proxy
// does it (decide, placement, retry rules), while servers fail at random, and what it reaches is compared with
// what the locks of its world allow, which is worked out here from how the world was made.

import { type Random, seededRandom } from '../../src/core/random.ts';
import type { Reason } from '../../src/core/reasons.ts';
import { placeAttempt, placeHedge, placeRetry, type Target } from '../../src/proxy/placement.ts';
import { placeInReserve } from '../../src/proxy/reserve.ts';
import { type AttemptEnd, retryCause } from '../../src/proxy/retry-policy.ts';
import { type DecideContext, decide, type Forward } from '../../src/routing/decide.ts';
import { policyDocument } from '../../src/routing/regional-policy.ts';
import { contextOf, factsOf, type RequestParts, World } from './world.ts';

export interface ScheduleCounts {
  schedules: number;
  attempts: number;
  retries: number;
  /** Second tries beside the first. */
  hedges: number;
  /** Attempts in a region other than the one that was picked first. */
  elsewhere: number;
  /** Requests decided in panic mode. */
  panics: number;
  /** Requests that no region may serve or none could take. */
  refused: number;
  /** Requests that at least one lock held. */
  locked: number;
  /** What must not be: an attempt in a region that a lock forbids, in words. */
  readonly escapes: string[];
}

interface Lock {
  readonly kind: 'route' | 'path' | 'prefix' | 'claim';
  readonly regions: readonly string[];
}

interface LockedWorld {
  readonly world: World;
  readonly locks: readonly Lock[];
}

const REGIONS = ['a', 'b', 'c', 'd', 'e'];
const POLICIES = [
  'consistent_hash',
  'weighted_random',
  'round_robin',
  'least_loaded',
  'geographic_proximity',
] as const;
// Worlds are dear to make; each sees some thousand schedules of a million.
const WORLDS = 150;
const MOST_ESCAPES_KEPT = 20;

/** Runs so many schedules; the same seed gives the same. */
export function runSchedules(schedules: number, seed: number): ScheduleCounts {
  const random = seededRandom(seed);
  const worlds = Array.from({ length: WORLDS }, () => makeWorld(random));
  const counts: ScheduleCounts = {
    schedules: 0,
    attempts: 0,
    retries: 0,
    hedges: 0,
    elsewhere: 0,
    panics: 0,
    refused: 0,
    locked: 0,
    escapes: [],
  };
  for (let i = 0; i < schedules; i++) {
    counts.schedules += 1;
    new Schedule(oneOf(worlds, random), random, counts).run();
  }
  return counts;
}

function makeWorld(random: Random): LockedWorld {
  const locks: Lock[] = [];
  const documents: Record<string, object[]> = {};
  const lock = (kind: Lock['kind'], rule: object): void => {
    const regions = someOf(REGIONS, random);
    locks.push({ kind, regions });
    // Whoever publishes it, it binds all.
    const publisher = oneOf(REGIONS, random);
    documents[publisher] ??= [];
    documents[publisher].push({ ...rule, regions });
  };
  if (random.next() < 0.6) lock('path', { path: '/locked/**' });
  if (random.next() < 0.5) lock('prefix', { key: { kind: 'header', name: 'x-tenant' }, prefix: 'eu-' });
  if (random.next() < 0.4)
    lock('claim', { claim: { name: 'country', in: ['DE', 'FR'], keys: [{ kty: 'EC' }] } });
  const residency = random.next() < 0.5 ? someOf(REGIONS, random) : undefined;
  if (residency !== undefined) locks.push({ kind: 'route', regions: residency });
  const world = new World({
    regions: REGIONS.map((id, i) => ({
      id,
      servers: 1 + Math.floor(random.next() * 3),
      weight: 1 + Math.floor(random.next() * 4),
      location: { lat: 10 * i, lon: 20 * i },
    })),
    // A plan that has emptied a region, too.
    weights: Object.fromEntries(REGIONS.map((id) => [id, random.next() < 0.15 ? 0 : 0.5 + random.next()])),
    routes: [
      {
        policy: oneOf(POLICIES, random),
        ...(residency !== undefined && { residency }),
        priority: random.next() < 0.3 ? 'critical' : 'normal',
        retry: {
          attempts: 2 + Math.floor(random.next() * 4),
          on: ['connect', 'reset', 'timeout', '502', '503', '504'],
        },
      },
    ],
    policies: Object.fromEntries(
      Object.entries(documents).map(([id, rules]) => [id, policyDocument.parse({ residency: rules })]),
    ),
  });
  return { world, locks };
}

const STATES = ['healthy', 'healthy', 'degraded', 'unhealthy', 'ejected', 'draining', 'maintenance'] as const;

class Schedule {
  readonly #world: World;
  readonly #locks: readonly Lock[];
  readonly #random: Random;
  readonly #counts: ScheduleCounts;

  constructor({ world, locks }: LockedWorld, random: Random, counts: ScheduleCounts) {
    this.#world = world;
    this.#locks = locks;
    this.#random = random;
    this.#counts = counts;
  }

  run(): void {
    const random = this.#random;
    this.#breakServers();
    const { request, claims, held } = this.#request();
    const allowed = held.reduce<readonly string[]>(
      (left, { regions }) => left.filter((id) => regions.includes(id)),
      REGIONS,
    );
    if (held.length > 0) this.#counts.locked += 1;
    const full = random.next() < 0.2;
    const context = contextOf({
      random,
      now: () => 0,
      utilisation: () => (full ? random.next() * 2 : Number.NaN),
      inFlight: () => Math.floor(random.next() * 50),
      waiting: () => Math.floor(random.next() * 50),
      verify: () => claims,
    });
    this.#walk(request, context, allowed);
  }

  /** All of a region's, all of an allowed set's, or some here and there. */
  #breakServers(): void {
    const random = this.#random;
    const dead = random.next() < 0.3 ? someOf(REGIONS, random) : [];
    for (const { id, servers } of this.#world.snapshot.regions) {
      const isDead = dead.includes(id);
      const states = servers.map(() => (isDead ? oneOf(STATES.slice(3), random) : oneOf(STATES, random)));
      this.#world.setHealth(id, ...states);
    }
  }

  /** A request, and the locks that hold it. */
  #request(): { request: RequestParts; claims: Record<string, unknown> | null; held: Lock[] } {
    const random = this.#random;
    const isLockedPath = random.next() < 0.5;
    const tenant = oneOf([undefined, 'eu-17', 'us-17'], random);
    const country = oneOf([undefined, 'DE', 'US'], random);
    const fields = ['x-shard-key', `key-${random.u32()}`];
    if (tenant !== undefined) fields.push('x-tenant', tenant);
    const holds: Readonly<Record<Lock['kind'], boolean>> = {
      route: true,
      path: isLockedPath,
      // What cannot be told counts as locked.
      prefix: tenant !== 'us-17',
      claim: country !== 'US',
    };
    return {
      request: {
        method: random.next() < 0.5 ? 'GET' : 'POST',
        target: isLockedPath ? oneOf(['/locked/1', '/%6cocked/1', '//locked//2'], random) : '/free/1',
        fields,
      },
      claims: country === undefined ? null : { country },
      held: this.#locks.filter(({ kind }) => holds[kind]),
    };
  }

  #walk(request: RequestParts, context: DecideContext, allowed: readonly string[]): void {
    const { snapshot } = this.#world;
    const counts = this.#counts;
    const decision = decide(snapshot, this.#world.live(), factsOf(request), context);
    if (decision.kind !== 'forward') {
      counts.refused += 1;
      return;
    }
    if (decision.view.panic) counts.panics += 1;
    const triedRegions: Target['region'][] = [];
    const triedSlots: number[] = [];
    const placing = () => ({
      snapshot,
      decision,
      random: this.#random,
      loads: this.#serverLoads(),
      regionLoads: context.loads,
      triedRegions,
      triedSlots,
    });
    const go = ({ region, server }: Target): void => {
      const { id } = snapshot.regions[region]!;
      counts.attempts += 1;
      if (region !== decision.picked) counts.elsewhere += 1;
      if (!allowed.includes(id) && counts.escapes.length < MOST_ESCAPES_KEPT) {
        const number = triedSlots.length + 1;
        counts.escapes.push(`attempt ${number} in ${id}, allowed ${allowed.join()}: ${request.target}`);
      }
      triedSlots.push(server.slot);
      if (!triedRegions.includes(region)) triedRegions.push(region);
      // More servers fail while the request is on its way; the next attempt may find a new state.
      if (this.#random.next() < 0.2) this.#breakServers();
    };
    let target: Target | Reason | undefined = placeAttempt(decision.region, placing());
    for (let attempts = 1; target !== undefined && typeof target !== 'string'; attempts++) {
      go(target);
      const beside = this.#random.next() < 0.3 ? placeHedge(placing(), this.#random.next() < 0.5) : undefined;
      if (beside !== undefined) {
        counts.hedges += 1;
        attempts += 1;
        go(beside);
      }
      if (!this.#isRetried(decision, request, attempts)) return;
      counts.retries += 1;
      const isMore = this.#random.next() < 0.5;
      target = placeRetry(attempts, placing(), isMore) ?? placeInReserve(placing(), isMore);
    }
  }

  #isRetried({ route }: Forward, { method = 'GET' }: RequestParts, attempts: number): boolean {
    const facts = { method, hasIdempotencyKey: this.#random.next() < 0.3, canReplayBody: true, attempts };
    return retryCause(oneOf(ENDS, this.#random), route.retry, facts) !== undefined;
  }

  #serverLoads() {
    const random = this.#random;
    const inFlight = random.next() < 0.3 ? () => (random.next() < 0.5 ? 1_000_000 : 0) : () => 1;
    const expectedUs = random.next() < 0.3 ? () => (random.next() < 0.5 ? 1e9 : 0) : () => 1000;
    return { inFlight, latencyUs: () => 1000, expectedUs, failuresInARow: () => 0, ramp: () => 1 };
  }
}

const failed = (reason: Reason, sent: 'nothing' | 'maybe'): AttemptEnd => ({
  kind: 'failed',
  reason,
  sent,
  blamesServer: true,
  cause: '',
});

const ENDS: readonly AttemptEnd[] = [
  failed('connect_failed', 'nothing'),
  failed('connect_timeout', 'nothing'),
  failed('upstream_reset', 'nothing'),
  failed('upstream_reset', 'maybe'),
  failed('response_timeout', 'maybe'),
  { kind: 'status', status: 503, sent: 'nothing' },
  { kind: 'status', status: 503, sent: 'maybe' },
  { kind: 'status', status: 200, sent: 'maybe' },
];

function oneOf<T>(list: readonly T[], random: Random): T {
  return list[Math.floor(random.next() * list.length)]!;
}

/** At least one. */
function someOf<T>(list: readonly T[], random: Random): T[] {
  const some = list.filter(() => random.next() < 0.5);
  return some.length > 0 ? some : [oneOf(list, random)];
}
