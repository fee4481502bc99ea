// Filter and gate: which regions of a set may be chosen now, and how much of its own each may keep. The
// result depends on the set and on health alone, so it is made once per change of health and shared by
// all requests until the next. Every removal keeps its stage and reason, for `explain` and traces.

import { NO_REGION, type RegionIndex, regionIndex } from '../core/ids.ts';
import type { EligibleSet, Route, Server, Snapshot } from './snapshot.ts';

/** Health as the main thread last published it, counted per region of one snapshot. */
export interface LiveView {
  readonly version: number;
  /** By region index: servers registered, whatever their state. */
  readonly registered: Uint16Array;
  /** By region index: servers that are healthy and not ejected. */
  readonly healthy: Uint16Array;
  /** By region index: those servers. */
  readonly servers: readonly (readonly Server[])[];
  /** By region index: those in our own zone, while enough of them are healthy; null without a zone. */
  readonly nearby: readonly (readonly Server[])[] | null;
  /** By region index: servers that nobody has taken out on purpose, whatever checks say of them. */
  readonly present: readonly (readonly Server[])[];
  /** Since when the plan has been stale, monotonic milliseconds; Infinity while it is fresh. */
  readonly staleSince: number;
  /** Memo of `viewOfSet`, by set index. */
  readonly setViews: (SetView | undefined)[];
  /** Memo of `viewWithinReach`, by route index and set. */
  readonly reachViews: Map<string, SetView>;
}

export type RemovalReason = 'weight_zero' | 'no_server' | 'unhealthy' | 'policy' | 'too_far';

export interface Removal {
  readonly region: RegionIndex;
  readonly stage: 'filter' | 'gate';
  readonly reason: RemovalReason;
}

export interface SetView {
  /**
   * By region index: 0 = may not be chosen; else the share of its own keys that the region keeps, the
   * rest spills to its fallbacks.
   */
  readonly keeps: Float64Array;
  /** Members with keeps > 0, ascending. */
  readonly usable: Uint16Array;
  /** By region index: 1 = may stand in for others. One that is being emptied serves what is still its own. */
  readonly standsIn: Uint8Array;
  /** By region index: 1 = the plan has not demoted it, so that it may take what is too much for others. */
  readonly takesOverflow: Uint8Array;
  /**
   * Members with a healthy server that the plan, not a human, has left without weight. A forecast may be wrong: they
   * take what no other region can.
   */
  readonly reserve: readonly RegionIndex[];
  /**
   * By region index: whom a region that may be chosen can send the request to. Healthy servers; in panic
   * all that are present: the few that look healthy would otherwise get what all of them had, and fall.
   */
  readonly servers: readonly (readonly Server[])[];
  /** By region index: whom to ask first, where that is not all of them. */
  readonly nearby: readonly (readonly Server[])[] | null;
  readonly removed: readonly Removal[];
  /** Too few servers are healthy for health to be a guide: it is ignored. */
  readonly panic: boolean;
}

/**
 * A region serves its full share until less than 1 / 1.4 = 71 % of its servers are healthy (Envoy's
 * overprovisioning factor): a few lost servers must not move keys.
 */
export const OVERPROVISIONING_FACTOR = 1.4;

/** min(1, 1.4 x healthy / registered); registered, not merely known servers: see istio#48084. */
export function healthFactor(healthy: number, registered: number): number {
  return registered === 0 ? 0 : Math.min(1, (OVERPROVISIONING_FACTOR * healthy) / registered);
}

/** View of a set under `live`, from the memo where it is there. */
export function viewOfSet(snapshot: Snapshot, set: EligibleSet, live: LiveView): SetView {
  let view = live.setViews[set.index];
  if (view === undefined) {
    view = buildView(snapshot, set, live);
    live.setViews[set.index] = view;
  }
  return view;
}

function buildView(snapshot: Snapshot, set: EligibleSet, live: LiveView): SetView {
  const removed: Removal[] = [];
  const candidates: RegionIndex[] = [];
  for (const member of set.members) {
    const region = regionIndex(member);
    const refusal = filterRegion(set, live, region);
    if (refusal === undefined) candidates.push(region);
    else removed.push({ region, stage: 'filter', reason: refusal });
  }
  const reserve = [...set.members].map(regionIndex).filter((region) => isSpared(snapshot, live, region));
  const isLost = reserve.length > 0 && candidates.every((region) => live.healthy[region] === 0);
  const panic = !isLost && isPanic(candidates, live, snapshot.settings.panicThreshold);
  const someHealthy = isLost || candidates.some((region) => live.healthy[region]! > 0);

  const keeps = new Float64Array(snapshot.regions.length);
  const standsIn = new Uint8Array(snapshot.regions.length);
  const takesOverflow = new Uint8Array(snapshot.regions.length);
  const least =
    LEAST_OF_SUBSTITUTES * Math.max(...[...set.members].map((region) => shareLeft(snapshot, set, region)));
  const usable: number[] = [];
  for (const region of candidates) {
    // In panic, too, a region without a healthy server is not chosen while another has one.
    if (someHealthy && live.healthy[region] === 0) {
      removed.push({ region, stage: 'gate', reason: 'unhealthy' });
      continue;
    }
    const { plannedHealth } = snapshot.regions[region]!;
    // What the table has taken from an ill region already must not be taken again.
    const health = healthFactor(live.healthy[region]!, live.registered[region]!) / (plannedHealth || 1);
    keeps[region] = panic ? 1 : Math.min(1, health);
    standsIn[region] = set.weights[region]! > 0 ? 1 : 0;
    takesOverflow[region] = standsIn[region]! * (shareLeft(snapshot, set, region) >= least ? 1 : 0);
    usable.push(region);
  }
  const servers = panic ? live.present : live.servers;
  return {
    keeps,
    usable: Uint16Array.from(usable),
    standsIn,
    takesOverflow,
    reserve,
    servers,
    nearby: panic ? null : live.nearby,
    removed,
    panic,
  };
}

/** A region that has lost more of its weight than this, compared with the others, has been emptied for a reason. */
export const LEAST_OF_SUBSTITUTES = 0.5;

/** Of its base weight, what the plan has left to a region; 0 where there is none. */
function shareLeft({ regions }: Snapshot, { weights }: EligibleSet, region: number): number {
  const { baseWeight } = regions[region]!;
  return baseWeight === 0 ? 0 : weights[region]! / baseWeight;
}

/**
 * View of a set for a route that bounds how much farther than the nearest a region may be: what a demotion may
 * cost a client. The nearest is looked for among those that can serve; where none is left the bound is no help.
 */
export function viewWithinReach(
  { regions }: Snapshot,
  { route, set, live }: { route: Route; set: EligibleSet; live: LiveView },
  view: SetView,
): SetView {
  const name = `${route.index} ${set.index}`;
  let within = live.reachViews.get(name);
  if (within === undefined) {
    const trips = [...view.usable].map((region) => regions[region]!.roundTripMs ?? Number.POSITIVE_INFINITY);
    const farthest = Math.min(...trips) + route.maxAddedLatency;
    const barred = [...view.usable].filter((region) => (regions[region]!.roundTripMs ?? 0) > farthest);
    within = barred.length === 0 ? view : withoutRegions(view, barred as RegionIndex[], 'too_far');
    live.reachViews.set(name, within);
  }
  return within;
}

/** A view in which these regions may neither be chosen nor stand in for others. */
export function withoutRegions(
  view: SetView,
  barred: readonly RegionIndex[],
  reason: RemovalReason,
): SetView {
  const keeps = view.keeps.slice();
  const standsIn = view.standsIn.slice();
  for (const region of barred) {
    keeps[region] = 0;
    standsIn[region] = 0;
  }
  return {
    ...view,
    keeps,
    standsIn,
    reserve: view.reserve.filter((region) => !barred.includes(region)),
    usable: view.usable.filter((region) => !barred.includes(region as RegionIndex)),
    removed: [...view.removed, ...barred.map((region) => ({ region, stage: 'filter' as const, reason }))],
  };
}

function filterRegion(set: EligibleSet, live: LiveView, region: RegionIndex): RemovalReason | undefined {
  // A region that a shift empties keeps what has not left it yet; one that goes home has its base weight.
  const isEmpty = set.weights[region] === 0 && set.holdings.leaving[region] === 0;
  if (isEmpty && live.staleSince === Number.POSITIVE_INFINITY) return 'weight_zero';
  if (live.present[region]!.length === 0) return 'no_server';
  return undefined;
}

function isSpared({ regions }: Snapshot, live: LiveView, region: RegionIndex): boolean {
  const { weight, baseWeight } = regions[region]!;
  return weight === 0 && baseWeight > 0 && live.healthy[region]! > 0;
}

/** Counted over the set, against registered servers; none healthy at all is panic too. */
function isPanic(candidates: readonly RegionIndex[], live: LiveView, threshold: number): boolean {
  let healthy = 0;
  let registered = 0;
  for (const region of candidates) {
    healthy += live.healthy[region]!;
    registered += live.registered[region]!;
  }
  return registered > 0 && (healthy === 0 || healthy / registered < threshold);
}

/**
 * First region of `order` that is usable and not among `tried`.
 * @param order region indices, best first.
 */
export function firstUsable(
  view: SetView,
  order: Iterable<number>,
  tried: readonly RegionIndex[],
): RegionIndex {
  for (const candidate of order) {
    const region = regionIndex(candidate);
    if (mayStandIn(view, region) && !tried.includes(region)) return region;
  }
  return NO_REGION;
}

/** May a request go there that is not the region's own? */
export function mayStandIn(view: SetView, region: RegionIndex): boolean {
  return view.keeps[region]! > 0 && view.standsIn[region] === 1;
}
