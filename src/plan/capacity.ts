// Can the others carry what a region shall lose? Weights are tried against the load that is forecast for
// *after* the move; what does not fit goes to the next region, and if there is none, less is moved: a
// demotion that fells a survivor is worse than the failure it wanted to avoid. Pure.

export interface LoadedRegion {
  readonly id: string;
  readonly baseWeight: number;
  /** After risk and health (weights.ts). */
  readonly weight: number;
  /** No server can serve: it can take nothing, wanted or not. */
  readonly isUnavailable: boolean;
  /** Requests/s; undefined = unknown, taken as enough. */
  readonly capacity: number | undefined;
}

export interface ProjectionRules {
  /** Requests/s over all regions, forecast (p90) for the time after the move. */
  readonly demand: number;
  /** Share of its capacity to which a region may be filled. */
  readonly targetUtilisation: number;
  /** Regions, best substitute first. */
  readonly failoverOrder: readonly string[];
}

export interface Projection {
  readonly id: string;
  /** Desired weight; the sum equals the sum of the weights put in. */
  readonly weight: number;
  /** Requests/s expected after the move. */
  readonly load: number;
  /** load / capacity; undefined where the capacity is unknown. */
  readonly utilisation: number | undefined;
  /** Gave back part of its demotion, because nobody could take it. */
  readonly isHeldBack: boolean;
}

export function projectCapacity(regions: readonly LoadedRegion[], rules: ProjectionRules): Projection[] {
  const sum = regions.reduce((total, region) => total + region.weight, 0);
  if (sum === 0 || rules.demand <= 0) {
    return regions.map((region) => projected(region, region.weight, 0, false));
  }
  const loads = regions.map((region) => (rules.demand * region.weight) / sum);
  const limits = regions.map((region) => limitOf(region, rules));
  let excess = 0;
  regions.forEach((_, i) => {
    if (loads[i]! <= limits[i]!) return;
    excess += loads[i]! - limits[i]!;
    loads[i] = limits[i]!;
  });
  if (excess > 0) excess = fillRoom(regions, loads, limits, { excess, order: rules.failoverOrder });
  const heldBack = new Set<number>();
  if (excess > 0) excess = giveBack(regions, loads, excess, rules, heldBack);
  if (excess > 0) spread(regions, loads, excess);
  return regions.map((region, i) =>
    projected(region, (loads[i]! / rules.demand) * sum, loads[i]!, heldBack.has(i)),
  );
}

function projected(region: LoadedRegion, weight: number, load: number, isHeldBack: boolean): Projection {
  const utilisation = region.capacity === undefined ? undefined : load / region.capacity;
  return { id: region.id, weight, load, utilisation, isHeldBack };
}

/**
 * How much a region may be given; the ordinary share of one that is at its target already goes to those with room,
 * and where nobody has room everybody keeps what is its own: the projection is no load shedding.
 */
function limitOf(region: LoadedRegion, { targetUtilisation }: ProjectionRules): number {
  if (region.isUnavailable || region.weight === 0) return 0;
  if (region.capacity === undefined) return Number.POSITIVE_INFINITY;
  return targetUtilisation * region.capacity;
}

/**
 * Puts load where there is room, in proportion to it: one region filled to the brim while another is half empty would
 * be the next to fall. @returns what found none.
 */
function fillRoom(
  regions: readonly LoadedRegion[],
  loads: number[],
  limits: readonly number[],
  { excess, order }: { readonly excess: number; readonly order: readonly string[] },
): number {
  // A demoted region is no substitute, not even for part of another's load.
  const room = regions.map((region, i) =>
    region.weight < region.baseWeight ? 0 : Math.max(0, limits[i]! - loads[i]!),
  );
  // Where somebody's capacity is not known nothing can be proportioned: the best substitute takes it.
  const endless = order
    .map((id) => regions.findIndex((region) => region.id === id))
    .find((i) => i !== -1 && room[i] === Number.POSITIVE_INFINITY);
  if (endless !== undefined) {
    loads[endless]! += excess;
    return 0;
  }
  const total = room.reduce((sum, one) => sum + one, 0);
  const taken = Math.min(excess, total);
  room.forEach((one, i) => {
    if (total > 0) loads[i]! += (taken * one) / total;
  });
  return excess - taken;
}

/**
 * Demoted regions keep what nobody can take, up to their ordinary share and to what they can carry. @returns what is still
 * left.
 */
function giveBack(
  regions: readonly LoadedRegion[],
  loads: number[],
  excess: number,
  rules: ProjectionRules,
  heldBack: Set<number>,
): number {
  const base = regions.reduce((total, region) => total + region.baseWeight, 0);
  const room = regions.map((region, i) => {
    const isDemoted = !region.isUnavailable && region.weight < region.baseWeight;
    if (!isDemoted) return 0;
    const ordinary = (rules.demand * region.baseWeight) / base;
    const carried = rules.targetUtilisation * (region.capacity ?? Number.POSITIVE_INFINITY);
    return Math.max(0, Math.min(ordinary, carried) - loads[i]!);
  });
  const total = room.reduce((sum, one) => sum + one, 0);
  if (total === 0) return excess;
  const given = Math.min(excess, total);
  room.forEach((one, i) => {
    if (one === 0) return;
    loads[i]! += (given * one) / total;
    heldBack.add(i);
  });
  return excess - given;
}

/** More demand than everybody together may carry: in proportion to capacity, so that nobody falls first. */
function spread(regions: readonly LoadedRegion[], loads: number[], excess: number): void {
  const able = regions.map((region) => (region.isUnavailable ? 0 : (region.capacity ?? region.baseWeight)));
  const total = able.reduce((sum, one) => sum + one, 0);
  if (total === 0) return;
  able.forEach((one, i) => {
    loads[i]! += (excess * one) / total;
  });
}
