// The last place for a second try: a region that the plan has emptied, when no other is left. New requests turn
// there as well once nobody else is healthy; those that were under way when the last one died must not be lost
// for having been earlier. Pure, and bound by the decision's view as placement.ts is.

import { regionIndex } from '../core/ids.ts';
import { takesRetry } from '../routing/in-time.ts';
import { type Placing, placeAttempt, roomOf, type Target } from './placement.ts';

/** @param isMore a server has had the request already: a full region is spared another one. */
export function placeInReserve(placing: Placing, isMore: boolean): Target | undefined {
  const { snapshot, decision, triedRegions } = placing;
  const room = roomOf(placing);
  for (const index of snapshot.failoverOrder) {
    const region = regionIndex(index);
    if (!decision.view.reserve.includes(region) || triedRegions.includes(region)) continue;
    if (!takesRetry(region, room, isMore)) continue;
    const placed = placeAttempt(region, placing);
    if (typeof placed !== 'string') return placed;
  }
  return undefined;
}
