// Bounds that no shift may cross. The destination is watched against its own baseline from before the shift:
// a breach holds the ramp, one that lasts takes it back. And the engine itself is watched: one that moves too
// much for nothing, or predicts worse than the base rate, is put back to shadow mode. Pure.

export interface GuardLimits {
  /** Added error share. */
  readonly errors: number;
  /** Factor on the baseline's p99. */
  readonly p99: number;
  /** Share of capacity. */
  readonly utilisation: number;
}

/** What a region's traffic looks like over the last evaluation interval. */
export interface RegionSignals {
  /** 0..1 */
  readonly errorShare: number;
  /** Milliseconds. */
  readonly p99: number;
  /** load / capacity; undefined = unknown. */
  readonly utilisation: number | undefined;
  /** Requests seen; too few say nothing. */
  readonly requests: number;
}

export type Breach = 'errors' | 'p99' | 'utilisation';

// Fewer requests than this and one slow answer is the 99th percentile.
const LEAST_REQUESTS = 20;
// Below this a doubled p99 is noise of the machine, not of the region.
const P99_FLOOR_MS = 20;

/** What is wrong with a destination, undefined when nothing is. */
export function breachOf(now: RegionSignals, before: RegionSignals, limits: GuardLimits): Breach | undefined {
  if (now.utilisation !== undefined && now.utilisation > limits.utilisation) return 'utilisation';
  if (now.requests < LEAST_REQUESTS) return undefined;
  if (now.errorShare > before.errorShare + limits.errors) return 'errors';
  const baseline = Math.max(before.p99, P99_FLOOR_MS);
  return now.p99 > baseline * limits.p99 ? 'p99' : undefined;
}

/** Whether one place fails or delays its requests more than another; what is not measured is not worse. */
export function isWorse(one: RegionSignals | undefined, other: RegionSignals): boolean {
  if (one === undefined || one.requests === 0) return false;
  return one.errorShare > other.errorShare || one.p99 > Math.max(other.p99, P99_FLOOR_MS);
}

export type GuardVerdict = 'go' | 'hold' | 'revert';

export interface GuardState {
  /** When the present breach began, milliseconds; undefined while there is none. */
  readonly breachedSince: number | undefined;
}

/**
 * First breach: hold. Still breached after `patienceMs`: revert.
 * @param breach of any destination.
 */
export function judgeShift(
  state: GuardState,
  breach: Breach | undefined,
  now: number,
  patienceMs: number,
): { readonly state: GuardState; readonly verdict: GuardVerdict } {
  if (breach === undefined) return { state: { breachedSince: undefined }, verdict: 'go' };
  const breachedSince = state.breachedSince ?? now;
  return { state: { breachedSince }, verdict: now - breachedSince >= patienceMs ? 'revert' : 'hold' };
}

/** How good the engine's own predictions have been, as it measures itself. */
export interface EngineScore {
  /** 1 - Brier / Brier of the base rate; undefined while too few outcomes are known. */
  readonly brierSkill: number | undefined;
  /** Demotions per day that nothing followed, censored ones left out. */
  readonly falseShiftsPerDay: number;
  /** Days over which that was counted. */
  readonly observedDays: number;
}

// One needless shift a day is what an operator will put up with (issue: a healthy week stays below).
const MOST_FALSE_SHIFTS_PER_DAY = 3;
// A rate over less than this is one event divided by nearly nothing.
const LEAST_OBSERVED_DAYS = 0.25;

/** Why `auto` has to act like `shadow`, undefined when it need not. */
export function distrust(score: EngineScore): 'no_skill' | 'too_many_false_shifts' | undefined {
  if (score.brierSkill !== undefined && score.brierSkill < 0) return 'no_skill';
  const isMeasured = score.observedDays >= LEAST_OBSERVED_DAYS;
  return isMeasured && score.falseShiftsPerDay > MOST_FALSE_SHIFTS_PER_DAY
    ? 'too_many_false_shifts'
    : undefined;
}
