// Which server an attempt goes to: in the decided region, or in the regions after it in the decision's own
// order. Pure, because a lock on regions has to hold for every attempt, and that is shown by running this a
// million times (bench/residency). Nothing here may name a region that the decision's view does not.

import { NO_REGION, type RegionIndex } from '../core/ids.ts';
import type { Random } from '../core/random.ts';
import type { Reason } from '../core/reasons.ts';
import { chooseServer, type ServerLoads } from '../region/choose-server.ts';
import type { Forward } from '../routing/decide.ts';
import { nextRegion } from '../routing/fallbacks.ts';
import { takesRetry } from '../routing/in-time.ts';
import type { RegionLoads } from '../routing/policies/policy.ts';
import type { Server, Snapshot } from '../routing/snapshot.ts';

export interface Target {
  readonly region: RegionIndex;
  readonly server: Server;
}

/** A decided request and where it has been so far. */
export interface Placing {
  readonly snapshot: Snapshot;
  readonly decision: Forward;
  readonly loads: ServerLoads;
  readonly regionLoads: RegionLoads;
  readonly random: Random;
  /** In the order of the attempts. */
  readonly triedRegions: readonly RegionIndex[];
  readonly triedSlots: readonly number[];
}

/** A server of `start`, or of the regions after it when all of its servers are at their limit. */
export function placeAttempt(start: RegionIndex, placing: Placing): Target | Reason {
  const { snapshot, decision, loads, random, triedRegions, triedSlots } = placing;
  const { nearby, servers } = decision.view;
  const choice = {
    loads,
    random,
    inFlightLimit: snapshot.settings.limits.inFlightPerServer,
    tried: triedSlots,
  };
  const passed: RegionIndex[] = [];
  let isFull = false;
  for (let region = start; region !== NO_REGION; ) {
    let server = chooseServer((nearby ?? servers)[region]!, choice);
    // The own zone is full or was tried: better another zone than nobody.
    if (typeof server === 'string' && nearby !== null) server = chooseServer(servers[region]!, choice);
    if (typeof server !== 'string') return { region, server };
    isFull ||= server === 'full';
    passed.push(region);
    region = nextRegion(snapshot, decision, [...triedRegions, ...passed]);
  }
  return isFull ? 'shed' : 'no_healthy_server';
}

/**
 * Where the attempt after `attempts` goes: the last one to another region when there is one, earlier ones stay.
 * @param isMore a server has had the request already: a full region is spared another one.
 * @returns undefined when there is no server left that should have it.
 */
export function placeRetry(attempts: number, placing: Placing, isMore: boolean): Target | undefined {
  const { snapshot, decision, regionLoads, triedRegions } = placing;
  const { route, priority } = decision;
  const room = { snapshot, route, priority, loads: regionLoads };
  const here = triedRegions.at(-1)!;
  const isLast = attempts + 1 >= route.retry.attempts;
  const passed = [...triedRegions];
  let next = nextRegion(snapshot, decision, passed);
  while (next !== NO_REGION && !takesRetry(next, room, isMore)) {
    passed.push(next);
    next = nextRegion(snapshot, decision, passed);
  }
  for (const region of isLast ? [next, here] : [here, next]) {
    if (region === NO_REGION || !takesRetry(region, room, isMore)) continue;
    const placed = placeAttempt(region, placing);
    if (typeof placed !== 'string') return placed;
  }
  return undefined;
}
