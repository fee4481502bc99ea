// What every policy gets and gives. A policy is the pick of "filter -> gate -> pick -> guard": it names the
// region that should have the request; whether that region can take it is for its caller to see.

import type { RegionIndex } from '../../core/ids.ts';
import type { Location } from '../../core/model.ts';
import type { Random } from '../../core/random.ts';
import type { SetView } from '../eligibility.ts';
import type { U64 } from '../hash.ts';
import type { KeyBytes } from '../key-bytes.ts';
import type { EligibleSet, Route, Snapshot } from '../snapshot.ts';

export interface PickInput {
  readonly snapshot: Snapshot;
  readonly route: Route;
  /** Table of the route, or the one for critical requests. */
  readonly set: EligibleSet;
  readonly view: SetView;
  /** Hash of the key, or a random one when the request has none. */
  readonly hash: Readonly<U64>;
  readonly isKeyed: boolean;
  readonly key: KeyBytes;
  /** Monotonic milliseconds. */
  readonly now: number;
  /** 0 while the plan is fresh, then rising to 1 over one ttl. */
  readonly neutrality: number;
  readonly random: Random;
  readonly loads: RegionLoads;
  readonly cursors: Cursors;
  readonly clientLocation: Location | undefined;
}

/** Load of regions as this process sees it now. */
export interface RegionLoads {
  /** Requests in flight. */
  inFlight(region: RegionIndex): number;
  /** Of those, the ones whose response head has not come yet. */
  waiting(region: RegionIndex): number;
  /** Of the stated capacity, what the servers in rotation are: 0..1. */
  healthyShare(region: RegionIndex): number;
  /** Requests/s over what these can take, 1 = full; NaN where the capacity is not known. */
  utilisation(region: RegionIndex): number;
}

/**
 * Where round robin stands, per route. The only state of a decision; it belongs to one thread and is
 * forgotten when the snapshot changes.
 */
export type Cursors = Map<number, Float64Array>;

/** Region that should have the request, NO_REGION when the policy finds none. */
export type Policy = (input: PickInput) => RegionIndex;
