// Inside a region: power of two choices. Two servers are drawn and the one with less to do gets the
// request; with that, no server is ever far above the rest, and no two proxies need to talk (Mitzenmacher
// 2001). "Less to do" weighs requests in flight, how fast the server answers and its weight. A server
// that fails fast must not look fast: only successes enter its latency, and failures in a row weigh it
// down.

import type { Random } from '../core/random.ts';

export interface Candidate {
  readonly slot: number;
  readonly weight: number;
}

/** Load of servers by slot, as this process sees it. */
export interface ServerLoads {
  inFlight(slot: number): number;
  /** Average time to a response head, microseconds; 0 = not known yet. */
  latencyUs(slot: number): number;
  /** Time to the response head that one more request would take, microseconds; 0 = not known yet. */
  expectedUs(slot: number): number;
  failuresInARow(slot: number): number;
  /** 0..1: share of its weight that a server in slow start has. */
  ramp(slot: number): number;
}

export interface ServerChoice {
  readonly loads: ServerLoads;
  readonly random: Random;
  /** Most requests in flight on one server. */
  readonly inFlightLimit: number;
  /** Slots that this request has been to. */
  readonly tried: readonly number[];
  /** Expected time from which on a server is too late for the client, microseconds; Infinity = none is. */
  readonly lateUs: number;
}

/** `full`: there are servers, each at its limit. `none`: none that was not tried. */
export type Chosen<S> = S | 'full' | 'none';

// Below this, differences in latency are noise of this machine, not of the servers.
const LATENCY_FLOOR_US = 1000;
// A server just back from the dead gets a trickle, not nothing: otherwise it would never be seen to work.
const LEAST_RAMP = 0.01;

export function chooseServer<S extends Candidate>(servers: readonly S[], choice: ServerChoice): Chosen<S> {
  const count = servers.length;
  if (count === 0) return 'none';
  const at = below(choice.random, count);
  const first = servers[at]!;
  // Drawn from the others, so that two servers are always compared where there are two.
  const second = count === 1 ? first : servers[(at + 1 + below(choice.random, count - 1)) % count]!;
  const firstFits = fits(first, choice);
  const secondFits = second !== first && fits(second, choice);
  if (firstFits && secondFits) {
    const isFirstLate = isLate(first, choice);
    // The cost shares work out; of two servers only one may have time for it.
    if (isFirstLate !== isLate(second, choice)) return isFirstLate ? second : first;
    return cost(second, first, choice) < cost(first, second, choice) ? second : first;
  }
  if (firstFits) return first;
  if (secondFits) return second;
  return scan(servers, choice);
}

function below(random: Random, n: number): number {
  return n === 1 ? 0 : Math.floor(random.next() * n);
}

function fits(server: Candidate, { loads, inFlightLimit, tried }: ServerChoice): boolean {
  return !tried.includes(server.slot) && loads.inFlight(server.slot) < inFlightLimit;
}

/** Whether the answer of this server would come later than after `lateUs`. */
export function isLate({ slot }: Candidate, { loads, lateUs }: ServerChoice): boolean {
  return loads.expectedUs(slot) > lateUs;
}

/** Expected work before the request is served, relative to `other`; only comparisons mean something. */
function cost(server: Candidate, other: Candidate, { loads }: ServerChoice): number {
  const own = loads.latencyUs(server.slot);
  // A server without a sample is taken to be as fast as the one it is compared with.
  const latency = Math.max(LATENCY_FLOOR_US, own === 0 ? loads.latencyUs(other.slot) : own);
  const weight = server.weight * Math.max(LEAST_RAMP, loads.ramp(server.slot));
  return ((loads.inFlight(server.slot) + 1) * latency * (1 + loads.failuresInARow(server.slot))) / weight;
}

/** Both draws were tried or full: look at all, from a random start so that nobody is always first. */
function scan<S extends Candidate>(servers: readonly S[], choice: ServerChoice): Chosen<S> {
  const start = below(choice.random, servers.length);
  let result: Chosen<S> = 'none';
  let lowest = Number.POSITIVE_INFINITY;
  for (let i = 0; i < servers.length; i++) {
    const server = servers[(start + i) % servers.length]!;
    if (choice.tried.includes(server.slot)) continue;
    if (!fits(server, choice)) {
      if (result === 'none') result = 'full';
      continue;
    }
    const own = cost(server, server, choice);
    if (own < lowest) {
      lowest = own;
      result = server;
    }
  }
  return result;
}
