// The engine's own accuracy: every prediction is kept until its outcome is known and then scored, per model
// and entity. Probabilities by Brier score and skill over the base rate, lead time and false alarms; forecasts
// by MASE, error over persistence and coverage. A prediction that was acted upon leaves the scores unless the
// failure came anyway: a prevented failure would count as a false alarm. Pure state, bounded, no clock.

export interface ProbabilityFigures {
  readonly scored: number;
  readonly censored: number;
  /** Failures that predictions of this window were about. */
  readonly events: number;
  /** Mean of (p - outcome)^2; undefined while nothing was scored. */
  readonly brier: number | undefined;
  /** 1 - brier / brier of the base rate; undefined before five events. */
  readonly skill: number | undefined;
  readonly baseRate: number | undefined;
  /** Median milliseconds from the first alarm to the event, of the events that were foreseen. */
  readonly leadMs: number | undefined;
  readonly foreseen: number;
  readonly falseAlarmsPerDay: number | undefined;
}

export interface ForecastFigures {
  readonly scored: number;
  /** Mean absolute error over the mean absolute step of the series. */
  readonly mase: number | undefined;
  /** Mean absolute error over that of persistence at the same horizon. */
  readonly overPersistence: number | undefined;
  /** Share of values inside the interval. */
  readonly coverage: number | undefined;
}

interface PendingProbability {
  readonly at: number;
  readonly until: number;
  readonly p: number;
  readonly acted: boolean;
  /** The first of its window above the alarm level. */
  readonly isAlarm: boolean;
}

interface Settled {
  readonly at: number;
  readonly p: number;
  readonly outcome: 0 | 1;
}

/** From here on a probability is an alarm. */
export const ALARM = 0.5;
/** Before this many events a skill would be an accident. */
export const EVENTS_FOR_SKILL = 5;
// A day of predictions at one every 30 s.
const KEPT = 2880;
const MAX_PENDING = 4096;
const MAX_LEADS = 200;
const DAY_MS = 86_400_000;

/** What one model says of one entity, and what came of it. */
export class ProbabilityScore {
  #pending: PendingProbability[] = [];
  #settled: Settled[] = [];
  #leads: (number | undefined)[] = [];
  #censored = 0;
  #falseAlarms: number[] = [];
  /** Until when the same alarm is not a new one. */
  #episodeEnd = Number.NEGATIVE_INFINITY;
  #inEvent = false;

  /** @param until end of the window that the probability is about; both wall milliseconds. */
  predicted(at: number, until: number, p: number, acted = false): void {
    // While the failure lasts there is nothing to foresee.
    if (this.#inEvent || !(p >= 0 && p <= 1)) return;
    if (this.#pending.length >= MAX_PENDING) this.#pending.shift();
    // One alarm a window: a level held for an hour is twelve alarms of five minutes, not one and not hundreds.
    const isAlarm = p >= ALARM && at >= this.#episodeEnd;
    if (isAlarm) this.#episodeEnd = until;
    this.#pending.push({ at, until, p, acted, isAlarm });
  }

  /** The failure began: every prediction whose window it lies in was about it. */
  eventBegan(at: number): void {
    if (this.#inEvent) return;
    this.#inEvent = true;
    // Windows that closed before it were about something else; one that ends with it was about it.
    this.pass(at - 1);
    for (const { at: made, p } of this.#pending) if (made < at) this.#settle({ at: made, p, outcome: 1 });
    const first = this.#pending.find(({ p }) => p >= ALARM);
    this.#leads.push(first === undefined ? undefined : at - first.at);
    if (this.#leads.length > MAX_LEADS) this.#leads.shift();
    this.#pending = [];
    this.#episodeEnd = Number.NEGATIVE_INFINITY;
  }

  /**
   * An operator says afterwards that a failure began at `at`: predictions of the `horizonMs` before it, already
   * settled as wrong or still waiting, were about it.
   */
  confirmed(at: number, horizonMs: number): void {
    const isAbout = (made: number): boolean => made < at && made >= at - horizonMs;
    const waiting = this.#pending.filter((pending) => isAbout(pending.at));
    if (waiting.length === 0 && !this.#settled.some((settled) => isAbout(settled.at))) return;
    const first = [...this.#settled, ...waiting].find((one) => isAbout(one.at) && one.p >= ALARM);
    this.#leads.push(first === undefined ? undefined : at - first.at);
    this.#falseAlarms = this.#falseAlarms.filter((made) => !isAbout(made));
    this.#settled = this.#settled.map((settled) =>
      isAbout(settled.at) ? { ...settled, outcome: 1 } : settled,
    );
    this.#pending = this.#pending.filter((pending) => !isAbout(pending.at));
    for (const { at: made, p } of waiting) this.#settle({ at: made, p, outcome: 1 });
  }

  eventEnded(): void {
    this.#inEvent = false;
  }

  /** Time went on to `now`: windows that closed without a failure are settled. */
  pass(now: number): void {
    while (this.#pending.length > 0 && this.#pending[0]!.until <= now) {
      const { at, p, acted, isAlarm } = this.#pending.shift()!;
      if (acted) this.#censored += 1;
      else this.#settle({ at, p, outcome: 0 });
      if (isAlarm && !acted) this.#falseAlarms.push(at);
    }
    const oldest = this.#settled[0]?.at ?? now;
    while (this.#falseAlarms.length > 0 && this.#falseAlarms[0]! < oldest) this.#falseAlarms.shift();
  }

  figures(): ProbabilityFigures {
    const n = this.#settled.length;
    const events = this.#leads.length;
    const none = { brier: undefined, skill: undefined, baseRate: undefined, falseAlarmsPerDay: undefined };
    const leads = this.#leads.filter((lead) => lead !== undefined).sort((a, b) => a - b);
    const base = {
      scored: n,
      censored: this.#censored,
      events,
      leadMs: leads[leads.length >> 1],
      foreseen: leads.length,
    };
    if (n === 0) return { ...base, ...none };
    const baseRate = this.#settled.reduce((sum, { outcome }) => sum + outcome, 0) / n;
    const brier = this.#settled.reduce((sum, { p, outcome }) => sum + (p - outcome) ** 2, 0) / n;
    const reference = baseRate * (1 - baseRate);
    const days = (this.#settled.at(-1)!.at - this.#settled[0]!.at) / DAY_MS;
    return {
      ...base,
      brier,
      baseRate,
      skill: events >= EVENTS_FOR_SKILL && reference > 0 ? 1 - brier / reference : undefined,
      falseAlarmsPerDay: days > 0 ? this.#falseAlarms.length / days : undefined,
    };
  }

  /** Brier score of the last `count` settled predictions; for drift and for choosing between models. */
  recentBrier(count: number): number | undefined {
    const last = this.#settled.slice(-count);
    if (last.length === 0) return undefined;
    return last.reduce((sum, { p, outcome }) => sum + (p - outcome) ** 2, 0) / last.length;
  }

  state(): unknown {
    return {
      pending: this.#pending,
      settled: this.#settled.map(({ at, p, outcome }) => [at, round(p), outcome]),
      leads: this.#leads.map((lead) => lead ?? null),
      censored: this.#censored,
      falseAlarms: this.#falseAlarms,
      inEvent: this.#inEvent,
    };
  }

  /** @param state of an earlier `state()`; anything else leaves it empty. */
  static restore(state: unknown): ProbabilityScore {
    const score = new ProbabilityScore();
    const from = state as {
      pending?: PendingProbability[];
      settled?: [number, number, 0 | 1][];
      leads?: (number | null)[];
      censored?: number;
      falseAlarms?: number[];
      inEvent?: boolean;
    } | null;
    if (typeof from !== 'object' || from === null || !Array.isArray(from.settled)) return score;
    score.#pending = [...(from.pending ?? [])].slice(-MAX_PENDING);
    score.#settled = from.settled.slice(-KEPT).map(([at, p, outcome]) => ({ at, p, outcome }));
    score.#leads = (from.leads ?? []).slice(-MAX_LEADS).map((lead) => lead ?? undefined);
    score.#censored = from.censored ?? 0;
    score.#falseAlarms = [...(from.falseAlarms ?? [])];
    score.#inEvent = from.inEvent ?? false;
    return score;
  }

  #settle(settled: Settled): void {
    if (this.#settled.length >= KEPT) this.#settled.shift();
    this.#settled.push(settled);
  }
}

interface PendingForecast {
  readonly slot: number;
  readonly value: number;
  readonly lower: number;
  readonly upper: number;
  /** What persistence would have said: the value when the forecast was made. */
  readonly naive: number;
}

interface ScoredForecast {
  readonly error: number;
  readonly naiveError: number;
  readonly isInside: boolean;
}

/** What one forecasting model says of one series, and what came of it. */
export class ForecastScore {
  #pending: PendingForecast[] = [];
  #scored: ScoredForecast[] = [];
  #steps: number[] = [];
  #last: number | undefined;

  predicted(forecast: PendingForecast): void {
    if (!Number.isFinite(forecast.value) || !Number.isFinite(forecast.naive)) return;
    if (this.#pending.length >= MAX_PENDING) this.#pending.shift();
    this.#pending.push(forecast);
  }

  /** The value of a slot is known. Without one (not measured) its forecasts are dropped unscored. */
  actual(slot: number, value: number | undefined): void {
    const due = this.#pending.filter((forecast) => forecast.slot === slot);
    this.#pending = this.#pending.filter((forecast) => forecast.slot > slot);
    if (value === undefined || !Number.isFinite(value)) return;
    if (this.#last !== undefined) push(this.#steps, Math.abs(value - this.#last), KEPT);
    this.#last = value;
    for (const { value: said, lower, upper, naive } of due) {
      const scored = {
        error: Math.abs(value - said),
        naiveError: Math.abs(value - naive),
        isInside: value >= lower && value <= upper,
      };
      push(this.#scored, scored, KEPT);
    }
  }

  figures(): ForecastFigures {
    const n = this.#scored.length;
    if (n === 0) return { scored: 0, mase: undefined, overPersistence: undefined, coverage: undefined };
    const error = mean(this.#scored.map(({ error }) => error));
    const naive = mean(this.#scored.map(({ naiveError }) => naiveError));
    const step = mean(this.#steps);
    return {
      scored: n,
      mase: step > 0 ? error / step : undefined,
      overPersistence: naive > 0 ? error / naive : undefined,
      coverage: this.#scored.filter(({ isInside }) => isInside).length / n,
    };
  }

  /** Scaled error of the last `count` forecasts, 1 = as bad as persistence; for drift. */
  recentRatio(count: number): number | undefined {
    const last = this.#scored.slice(-count);
    const naive = last.reduce((sum, { naiveError }) => sum + naiveError, 0);
    return naive > 0 ? last.reduce((sum, { error }) => sum + error, 0) / naive : undefined;
  }
}

function push<T>(list: T[], item: T, most: number): void {
  if (list.length >= most) list.shift();
  list.push(item);
}

const mean = (values: readonly number[]): number =>
  values.length === 0 ? 0 : values.reduce((sum, value) => sum + value, 0) / values.length;

const round = (p: number): number => Math.round(p * 1e6) / 1e6;
