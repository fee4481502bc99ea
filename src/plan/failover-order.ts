// In which order regions stand in for each other: those that can serve first, then the safer, then the one
// with more room, then the nearer; where nothing is known, as the operator listed them. Every region is in
// it. Pure.

export interface StandIn {
  readonly id: string;
  readonly canServe: boolean;
  /** 0..1 */
  readonly risk: number;
  /** Share of its capacity that is free under the forecast load; undefined = unknown. */
  readonly headroom: number | undefined;
  /** Position in the operator's list. */
  readonly listed: number;
}

// Differences below these are noise, and an order that follows noise moves traffic for nothing.
const RISK_STEP = 0.1;
const HEADROOM_STEP = 0.1;

export function failoverOrder(regions: readonly StandIn[]): string[] {
  const rank = (value: number, step: number): number => Math.round(value / step);
  // Headroom counts only where it is known for all.
  const compareRoom = regions.every((region) => region.headroom !== undefined);
  return [...regions]
    .sort(
      (a, b) =>
        Number(b.canServe) - Number(a.canServe) ||
        rank(a.risk, RISK_STEP) - rank(b.risk, RISK_STEP) ||
        (compareRoom ? rank(b.headroom!, HEADROOM_STEP) - rank(a.headroom!, HEADROOM_STEP) : 0) ||
        a.listed - b.listed,
    )
    .map((region) => region.id);
}
