// Which server an attempt goes to: in the decided region, or in the regions after it in the decision's own
// order. Pure, because a lock on regions has to hold for every attempt, and that is shown by running this a
// million times (bench/residency). Nothing here may name a region that the decision's view does not.

import { NO_REGION, type RegionIndex } from '../core/ids.ts';
import type { Random } from '../core/random.ts';
import type { Reason } from '../core/reasons.ts';
import {
  type Chosen,
  chooseServer,
  isLate,
  type ServerChoice,
  type ServerLoads,
} from '../region/choose-server.ts';
import type { Forward } from '../routing/decide.ts';
import { hasRoom, nextRegion } from '../routing/fallbacks.ts';
import { latestUs, mostUs, type RoomInput, takesHedge, takesRetry } from '../routing/in-time.ts';
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

/**
 * A server of `start`, or of the regions after it when all of its servers are at their limit, or too late for this
 * request while another region is not.
 */
export function placeAttempt(start: RegionIndex, placing: Placing): Target | Reason {
  const { snapshot, decision, triedRegions } = placing;
  const choice = choiceOf(start, placing);
  const passed: RegionIndex[] = [];
  let isFull = false;
  for (let region = start; region !== NO_REGION; ) {
    const server = serverOf(region, decision, choice);
    if (typeof server !== 'string') {
      return isLate(server, choice)
        ? (inTimeElsewhere(region, placing, choice, hasRoom) ?? { region, server })
        : { region, server };
    }
    isFull ||= server === 'full';
    passed.push(region);
    region = nextRegion(snapshot, decision, [...triedRegions, ...passed]);
  }
  return isFull ? 'shed' : 'no_healthy_server';
}

/** The request as one that looks for room in regions. */
export function roomOf({ snapshot, decision, regionLoads }: Placing): RoomInput {
  return { snapshot, route: decision.route, priority: decision.priority, loads: regionLoads };
}

function choiceOf(start: RegionIndex, placing: Placing): ServerChoice {
  const { snapshot, loads, random, triedSlots } = placing;
  return {
    loads,
    random,
    inFlightLimit: snapshot.settings.limits.inFlightPerServer,
    tried: triedSlots,
    lateUs: latestUs(start, roomOf(placing)),
  };
}

function serverOf(region: RegionIndex, { view }: Forward, choice: ServerChoice): Chosen<Server> {
  const { nearby, servers } = view;
  const server = chooseServer((nearby ?? servers)[region]!, choice);
  // The own zone is full or was tried: better another zone than nobody.
  return typeof server === 'string' && nearby !== null ? chooseServer(servers[region]!, choice) : server;
}

/**
 * The best server of a region is too late: where another region that may stand in has room and a server with time, the
 * request goes there. Else it stays, for a late answer is still one.
 */
function inTimeElsewhere(
  late: RegionIndex,
  placing: Placing,
  choice: ServerChoice,
  mayTake: typeof hasRoom,
): Target | undefined {
  const { snapshot, decision, triedRegions } = placing;
  const { view } = decision;
  const room = roomOf(placing);
  const passed = [...triedRegions, late];
  for (;;) {
    const region = nextRegion(snapshot, decision, passed);
    if (region === NO_REGION) return undefined;
    passed.push(region);
    if (view.takesOverflow[region] !== 1 || !mayTake(region, room)) continue;
    const server = serverOf(region, decision, choice);
    if (typeof server !== 'string' && !isLate(server, choice)) return { region, server };
  }
}

/**
 * Where a second try goes beside one that is under way: only where it is likely to be answered in time and takes no
 * room from others.
 * @param toRegion another region first, since what holds up one server of a region may hold up all.
 */
export function placeHedge(placing: Placing, toRegion: boolean): Target | undefined {
  const { decision, triedRegions } = placing;
  const here = triedRegions.at(-1)!;
  // Also where the first region is full: there late is no reason to leave, here it is one not to go.
  const choice = { ...choiceOf(here, placing), lateUs: mostUs(roomOf(placing)) };
  const other = toRegion ? inTimeElsewhere(here, placing, choice, takesHedge) : undefined;
  if (other !== undefined) return other;
  if (!takesHedge(here, roomOf(placing))) return undefined;
  const server = serverOf(here, decision, choice);
  return typeof server === 'string' || isLate(server, choice) ? undefined : { region: here, server };
}

/**
 * Where the attempt after `attempts` goes: the last one to another region when there is one, earlier ones stay.
 * @param isMore a server has had the request already: a full region is spared another one.
 * @returns undefined when there is no server left that should have it.
 */
export function placeRetry(attempts: number, placing: Placing, isMore: boolean): Target | undefined {
  const { snapshot, decision, triedRegions } = placing;
  const room = roomOf(placing);
  const here = triedRegions.at(-1)!;
  const isLast = attempts + 1 >= decision.route.retry.attempts;
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
