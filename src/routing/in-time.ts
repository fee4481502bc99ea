// Whether a region can answer in time what comes to it now. Below its capacity a region may have a queue, and
// queues that grow past the clients' patience never shrink again: everything in them is given up, tried again
// and given up again, while the servers work for nobody. So what cannot be answered in time is not sent.

import type { RegionIndex } from '../core/ids.ts';
import type { Priority } from '../core/model.ts';
import type { RegionLoads } from './policies/policy.ts';
import type { Route, Snapshot } from './snapshot.ts';

/** A request that looks for room. */
export interface RoomInput {
  readonly snapshot: Snapshot;
  readonly route: Route;
  readonly loads: RegionLoads;
  readonly priority: Priority;
}

/**
 * By Little's law what waits for an answer is rate x time: with capacity x response time-out in front of it a request
 * waits until it is given up. What matters less finds the room taken earlier.
 */
const SHARES: Readonly<Record<Priority, number>> = { critical: 1, high: 0.9, normal: 0.75, sheddable: 0.5 };

/**
 * Answers take longer and shorter than on average, and full servers do a little less than is stated: a mean wait of the
 * whole time-out would be too late for half of those who wait.
 */
const ON_TIME = 0.8;

/** Requests/s over capacity from which on a region is given no second tries: they are load of our own making. */
export const SPENT = 1;

/** Fewer than these say nothing of a queue: they may well be worked on side by side. */
const FEW_WAITING = 16;

export function answersInTime(region: RegionIndex, { snapshot, route, loads, priority }: RoomInput): boolean {
  const { capacity } = snapshot.regions[region]!;
  const { response } = route.timeouts;
  if (capacity === undefined || response === 0) return true;
  return loads.waiting(region) < mostWaiting(capacity * loads.healthyShare(region), response, priority);
}

/**
 * Requests without a response head from which on one more would be too late.
 * @param capacity requests/s, of the servers in rotation. @param response time-out, milliseconds.
 */
export function mostWaiting(capacity: number, response: number, priority: Priority): number {
  return Math.max(FEW_WAITING, (capacity * mostTime(response, priority)) / 1000);
}

/** Requests/s over capacity up to which servers that are late do less than is said of them; beyond, they are full. */
export const AS_STATED = 0.9;

/**
 * The same of one server: expected time to its response head from which on it is too late, microseconds. For servers
 * that can do less than is stated: where a region has as much as it is said to carry, its own bound keeps the time, and
 * whoever is sent on only carries the queue about.
 * @returns Infinity where nothing is too late.
 */
export function latestUs(region: RegionIndex, room: RoomInput): number {
  // NaN (capacity unknown) is not full.
  return room.loads.utilisation(region) >= AS_STATED ? Number.POSITIVE_INFINITY : mostUs(room);
}

/** Mean microseconds that an answer may take so that nearly all come in time; Infinity without a time-out. */
export function mostUs({ route, priority }: RoomInput): number {
  const { response } = route.timeouts;
  return response === 0 ? Number.POSITIVE_INFINITY : mostTime(response, priority) * 1000;
}

/** Mean milliseconds that an answer may take so that nearly all come in time. */
export function mostTime(response: number, priority: Priority): number {
  return response * ON_TIME * SHARES[priority];
}

/**
 * Requests/s over capacity up to which a region has some to spare for second tries beside the first. Beyond, answers are
 * slow because there is much to do, and regions would send each other more of it.
 */
export const SPARE = 0.75;

export function takesHedge(region: RegionIndex, room: RoomInput): boolean {
  // NaN (capacity unknown) is not full.
  return !(room.loads.utilisation(region) >= SPARE) && answersInTime(region, room);
}

/**
 * Whether a region may be given a request again that failed.
 * @param isMore the try before was work for a server; false for what never reached one.
 */
export function takesRetry(region: RegionIndex, room: RoomInput, isMore: boolean): boolean {
  // NaN (capacity unknown) is not spent.
  if (isMore && room.loads.utilisation(region) >= SPENT) return false;
  return answersInTime(region, room);
}
