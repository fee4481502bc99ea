// What comes after the picked region: who stands in for it, in which order, and whether there is anybody. Pure.

import { NO_REGION, type RegionIndex, regionIndex } from '../core/ids.ts';
import type { Location, PolicyKind } from '../core/model.ts';
import { firstUsable, mayStandIn, type SetView } from './eligibility.ts';
import { answersInTime, type RoomInput } from './in-time.ts';
import { nearestUsable } from './policies/geographic-proximity.ts';
import type { EligibleSet, Route, Snapshot } from './snapshot.ts';

export type Choice =
  /** The policy's own pick. */
  | 'policy'
  /** The pick may not have all that is its own (health, weight); this request is of the rest. */
  | 'spill'
  /** The pick may not be chosen now. */
  | 'failover'
  /** The pick is full. */
  | 'headroom';

/** The parts of a decision that its fallbacks depend on. */
export interface FallbackInput {
  readonly route: Route;
  readonly set: EligibleSet;
  readonly view: SetView;
  readonly shard: number;
  readonly isKeyed: boolean;
  readonly clientLocation: Location | undefined;
}

/** Where a request goes that the picked region does not get itself, or why nowhere. */
export function redirect(
  from: FallbackInput,
  picked: RegionIndex,
  choice: Choice,
  room: RoomInput,
): { readonly region: RegionIndex; readonly choice: Choice } | 'no_eligible_region' | 'shed' {
  // What is emptied because it may fail must not be filled by what is too much for those that stand in for it.
  let turned = { region: elsewhere(from, picked, room, from.view.takesOverflow), choice };
  // Every region that may have it is at its capacity: whoever can wait makes room for the others.
  const isWaitable = choice !== 'spill' && room.priority === 'sheddable' && from.view.usable.length > 0;
  if (turned.region === NO_REGION && isWaitable) return 'shed';
  if (turned.region === NO_REGION && choice === 'failover') {
    turned = { region: lastResort(room.snapshot, from), choice };
    if (turned.region === NO_REGION) return 'no_eligible_region';
  }
  // A full or half-healthy pick rather than a full stranger.
  if (turned.region === NO_REGION) turned = { region: picked, choice: 'policy' };
  if (answersInTime(turned.region, room)) return turned;
  // Better where it may fail than where it is too late; else it is lost there too, and costs the work.
  const demoted = elsewhere(from, picked, room, from.view.standsIn);
  return demoted === NO_REGION ? 'shed' : { region: demoted, choice: 'headroom' };
}

/**
 * First region after `picked` that is below its capacity: what one region loses must not fell the next
 * while a third has room.
 * @param mayTake by region index: 1 = comes into question.
 */
function elsewhere(
  from: FallbackInput,
  picked: RegionIndex,
  room: RoomInput,
  mayTake: Uint8Array,
): RegionIndex {
  const passed = picked === NO_REGION ? [] : [picked];
  for (;;) {
    const region = nextRegion(room.snapshot, from, passed);
    if (region === NO_REGION || (mayTake[region] === 1 && hasRoom(region, room))) return region;
    passed.push(region);
  }
}

export function hasRoom(region: RegionIndex, room: RoomInput): boolean {
  // NaN (capacity unknown) is not full.
  return !(room.loads.utilisation(region) >= FULL) && answersInTime(region, room);
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
export function fallbacksOf(
  snapshot: Snapshot,
  decision: FallbackInput & { readonly region: RegionIndex },
): RegionIndex[] {
  const tried = [decision.region];
  for (;;) {
    const next = nextRegion(snapshot, decision, tried);
    if (next === NO_REGION) return tried.slice(1);
    tried.push(next);
  }
}
