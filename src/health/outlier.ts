// Passive checks: servers are judged by what real traffic sees of them. Envoy's consecutive detectors, per
// server, with the ejection growing each time and shrinking again in good times. Pure: folded counts and
// time in, verdicts out; monitor.ts applies them.

export interface OutlierSettings {
  readonly enabled: boolean;
  readonly consecutive5xx: number;
  readonly consecutiveConnectFailures: number;
  /** Milliseconds. */
  readonly baseEjection: number;
  readonly maxEjection: number;
  /** Share of a region's servers. */
  readonly maxEjected: number;
}

/** Failures in a row of one server over all workers. */
export interface FailureRuns {
  readonly run5xx: number;
  readonly runConnect: number;
}

export interface OutlierState {
  /** Monotonic milliseconds; undefined = not ejected. */
  readonly ejectedUntil: number | undefined;
  /** Ejections that still count for the length of the next one. */
  readonly ejections: number;
  /** Since when it has been in rotation without a new ejection, monotonic milliseconds. */
  readonly calmSince: number;
  /** Runs that were held against the server already: workers count on, and only what is new counts. */
  readonly judged: FailureRuns;
}

export const NO_RUNS: FailureRuns = { run5xx: 0, runConnect: 0 };

export const newOutlierState = (now: number): OutlierState => ({
  ejectedUntil: undefined,
  ejections: 0,
  calmSince: now,
  judged: NO_RUNS,
});

/**
 * Runs of all workers together. Workers do not see each other's answers: while one of them has just had a
 * success, only a worker's own run is a row of failures; without any, all of them are one.
 */
export function joinRuns(perWorker: readonly FailureRuns[], anySuccess: boolean): FailureRuns {
  const join = anySuccess ? Math.max : (...runs: number[]): number => runs.reduce((a, b) => a + b, 0);
  return {
    run5xx: join(0, ...perWorker.map((runs) => runs.run5xx)),
    runConnect: join(0, ...perWorker.map((runs) => runs.runConnect)),
  };
}

export type EjectionReason = 'consecutive_5xx' | 'consecutive_connect_failures';

/** What the runs accuse a server of, if anything. */
export function accusation(
  state: OutlierState,
  runs: FailureRuns,
  settings: OutlierSettings,
): EjectionReason | undefined {
  if (!settings.enabled || state.ejectedUntil !== undefined) return undefined;
  if (fresh(runs.runConnect, state.judged.runConnect) >= settings.consecutiveConnectFailures) {
    return 'consecutive_connect_failures';
  }
  return fresh(runs.run5xx, state.judged.run5xx) >= settings.consecutive5xx ? 'consecutive_5xx' : undefined;
}

/** A run shorter than the judged one has been broken by a success and begun anew. */
function fresh(run: number, judged: number): number {
  return run >= judged ? run - judged : run;
}

/**
 * Whether one more server of a region may go: within the share (one at least, unless it is 0), never the
 * last that can serve.
 * @param inRotation servers that are healthy and not ejected.
 */
export function mayEject(
  registered: number,
  ejected: number,
  inRotation: number,
  settings: OutlierSettings,
): boolean {
  const share = Math.floor(registered * settings.maxEjected);
  const most = settings.maxEjected === 0 ? 0 : Math.max(1, share);
  return ejected < most && inRotation > 1;
}

export function eject(
  state: OutlierState,
  runs: FailureRuns,
  now: number,
  settings: OutlierSettings,
): OutlierState {
  const ejections = state.ejections + 1;
  const length = Math.min(settings.maxEjection, settings.baseEjection * ejections);
  return { ejectedUntil: now + length, ejections, calmSince: now, judged: runs };
}

/** Back into rotation when its time is up; the length forgives one step per calm base period. */
export function settleOutlier(
  state: OutlierState,
  runs: FailureRuns,
  now: number,
  settings: OutlierSettings,
): OutlierState {
  if (state.ejectedUntil !== undefined) {
    if (now < state.ejectedUntil) return state;
    return { ...state, ejectedUntil: undefined, calmSince: now, judged: runs };
  }
  if (state.ejections > 0 && now - state.calmSince >= settings.baseEjection) {
    return { ...state, ejections: state.ejections - 1, calmSince: now };
  }
  return state;
}
