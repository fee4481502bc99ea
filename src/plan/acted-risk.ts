// The risk that is acted upon: it rises at once, because the failure will not wait, and falls only after it
// has stayed low for a while, because every change of mind moves keys. Pure.

export interface RiskDamping {
  /** How far below the acted risk the measured one must be to count as lower. */
  readonly hysteresis: number;
  /** Milliseconds that it must stay there. */
  readonly dwell: number;
}

export interface ActedRisk {
  /** 0..1 */
  readonly risk: number;
  /** Since when the measured risk has been lower by more than the hysteresis; undefined while it is not. */
  readonly lowerSince: number | undefined;
  /** Highest measured risk since then: what the acted one falls to. */
  readonly highestSince: number;
}

export const NO_RISK: ActedRisk = { risk: 0, lowerSince: undefined, highestSince: 0 };

/** @param now milliseconds on any clock that does not go back. */
export function actOnRisk(acted: ActedRisk, measured: number, now: number, damping: RiskDamping): ActedRisk {
  if (measured >= acted.risk) return { risk: measured, lowerSince: undefined, highestSince: 0 };
  if (measured > acted.risk - damping.hysteresis && !isNegligible(measured, acted.risk, damping)) {
    return { risk: acted.risk, lowerSince: undefined, highestSince: 0 };
  }
  const lowerSince = acted.lowerSince ?? now;
  const highestSince = Math.max(acted.lowerSince === undefined ? 0 : acted.highestSince, measured);
  if (now - lowerSince < damping.dwell) return { risk: acted.risk, lowerSince, highestSince };
  return { risk: highestSince, lowerSince: undefined, highestSince: 0 };
}

/** An acted risk smaller than the hysteresis could never fall otherwise. */
function isNegligible(measured: number, acted: number, damping: RiskDamping): boolean {
  return acted <= damping.hysteresis && measured < acted;
}
