// What operators have said of regions at run time. Wins over file, forecast and health of weights: a human's word is
// where base weights are made. Data and questions only; who applies them is compose/.

export const OVERRIDE_KINDS = ['drain', 'maintenance', 'weight'] as const;
export type OverrideKind = (typeof OVERRIDE_KINDS)[number];

export interface RegionOverride {
  readonly kind: OverrideKind;
  /** Base weight; of kind `weight` only. */
  readonly weight?: number | undefined;
  readonly reason: string;
  readonly by: string;
  /** ISO 8601. */
  readonly at: string;
  /** ISO 8601; from then on the file's word holds again. Absent = until it is taken back. */
  readonly until?: string | undefined;
}

export type RegionOverrides = Readonly<Record<string, RegionOverride>>;

/** Base weight under an override: a region that is drained or in maintenance gets nothing new. */
export function overriddenWeight(configured: number, override: RegionOverride | undefined): number {
  if (override === undefined) return configured;
  return override.kind === 'weight' ? (override.weight ?? configured) : 0;
}

/** Those that are over. @param now wall milliseconds. */
export function expiredOverrides(overrides: RegionOverrides, now: number): string[] {
  return Object.entries(overrides)
    .filter(([, { until }]) => until !== undefined && Date.parse(until) <= now)
    .map(([region]) => region);
}
