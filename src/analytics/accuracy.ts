// The engine's own accuracy: every prediction is kept until its outcome is known and then scored, per model
// and entity. Probabilities by Brier score and skill over the base rate, lead time and false alarms; forecasts
// by MASE, error over persistence and coverage. A prediction that was acted upon leaves the scores unless the
// failure came anyway: a prevented failure would count as a false alarm. Pure state, bounded, no clock.

import { ScoreRing } from './score-ring.ts';
import { packNumbers, type StateReader, UnreadableState } from './state-reader.ts';

export interface ProbabilityFigures {
  readonly scored: number;
  readonly censored: number;
  /** Failures that predictions were about. */
  readonly events: number;
  /** Mean of (p - outcome)^2; undefined while nothing was scored. */
  readonly brier: number | undefined;
  /** 1 - brier / brier of the base rate, over weeks that fade; undefined before five events. */
  readonly skill: number | undefined;
  /** Over the same weeks. */
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

/** Columns of what is settled: when it was said, what was said, and 1 where the event came. */
const AT = 0;
const SAID = 1;
const CAME = 2;

/** From here on a probability is an alarm. */
export const ALARM = 0.5;
/** Before this many events a skill would be an accident. */
export const EVENTS_FOR_SKILL = 5;
// A day of predictions at one every 30 s.
const KEPT = 2880;
const MAX_PENDING = 4096;
const MAX_LEADS = 200;
// Of what skill is judged by half is forgotten after so many predictions, a week of 30 s: a day alone would know
// nothing of models on most days, for most days see no failure.
const HALF_LIFE = 20_000;
const KEEP = 0.5 ** (1 / HALF_LIFE);
const DAY_MS = 86_400_000;
/** Numbers that a waiting prediction is kept as. */
const PENDING_NUMBERS = 5;

/** What one model says of one entity, and what came of it. */
export class ProbabilityScore {
  #pending: PendingProbability[] = [];
  readonly #settled = new ScoreRing(KEPT, 3);
  #leads: (number | undefined)[] = [];
  #censored = 0;
  #falseAlarms: number[] = [];
  /** Until when the same alarm is not a new one. */
  #episodeEnd = Number.NEGATIVE_INFINITY;
  #inEvent = false;
  /** Fading sums: predictions, squared errors, events that came. */
  #judged = 0;
  #squares = 0;
  #came = 0;
  #errors: number[] = [];

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
    for (const { at: made, p } of this.#pending) if (made < at) this.#settle(made, p, 1);
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
    const settled = Array.from({ length: this.#settled.length }, (_, row) => row).filter((row) =>
      isAbout(this.#settled.at(row, AT)),
    );
    if (waiting.length === 0 && settled.length === 0) return;
    const known = settled.map((row) => ({ at: this.#settled.at(row, AT), p: this.#settled.at(row, SAID) }));
    const first = [...known, ...waiting].find(({ p }) => p >= ALARM);
    this.#leads.push(first === undefined ? undefined : at - first.at);
    this.#falseAlarms = this.#falseAlarms.filter((made) => !isAbout(made));
    for (const row of settled) {
      const p = this.#settled.at(row, SAID);
      if (this.#settled.at(row, CAME) === 0) {
        this.#came += 1;
        this.#squares += (p - 1) ** 2 - p ** 2;
      }
      this.#settled.set(row, CAME, 1);
    }
    this.#pending = this.#pending.filter((pending) => !isAbout(pending.at));
    for (const { at: made, p } of waiting) this.#settle(made, p, 1);
  }

  /** What began at `at` was announced: it says nothing of who predicted, neither that it was foreseen nor missed. */
  excuse(at: number): void {
    if (this.#inEvent) return;
    this.pass(at - 1);
    this.#inEvent = true;
    this.#pending = [];
    this.#episodeEnd = Number.NEGATIVE_INFINITY;
  }

  eventEnded(): void {
    this.#inEvent = false;
  }

  /** Time went on to `now`: windows that closed without a failure are settled. */
  pass(now: number): void {
    while (this.#pending.length > 0 && this.#pending[0]!.until <= now) {
      const { at, p, acted, isAlarm } = this.#pending.shift()!;
      if (acted) this.#censored += 1;
      else this.#settle(at, p, 0);
      if (isAlarm && !acted) this.#falseAlarms.push(at);
    }
    const oldest = this.#settled.length === 0 ? now : this.#settled.at(0, AT);
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
    const baseRate = this.#came / this.#judged;
    const brier = this.#meanSquare();
    const reference = baseRate * (1 - baseRate);
    const days = (this.#settled.at(n - 1, AT) - this.#settled.at(0, AT)) / DAY_MS;
    return {
      ...base,
      brier,
      baseRate,
      skill:
        events >= EVENTS_FOR_SKILL && reference > 0
          ? 1 - this.#squares / this.#judged / reference
          : undefined,
      falseAlarmsPerDay: days > 0 ? this.#falseAlarms.length / days : undefined,
    };
  }

  /** Squared errors of what was settled since the last call, for drift. */
  takeErrors(): readonly number[] {
    const errors = this.#errors;
    if (errors.length > 0) this.#errors = [];
    return errors;
  }

  #settle(at: number, p: number, came: 0 | 1): void {
    const square = (p - came) ** 2;
    this.#settled.push(at, p, came);
    this.#judged = this.#judged * KEEP + 1;
    this.#squares = this.#squares * KEEP + square;
    this.#came = this.#came * KEEP + came;
    if (this.#errors.length < MAX_PENDING) this.#errors.push(square);
  }

  /** Of the last day. */
  #meanSquare(): number {
    const squares = this.#settled.sum(
      (row) => (this.#settled.at(row, SAID) - this.#settled.at(row, CAME)) ** 2,
    );
    return squares / this.#settled.length;
  }

  state(): object {
    return {
      pending: packNumbers(
        this.#pending.flatMap(({ at, until, p, acted, isAlarm }) => [
          at,
          until,
          p,
          acted ? 1 : 0,
          isAlarm ? 1 : 0,
        ]),
      ),
      settled: this.#settled.state(),
      leads: packNumbers(this.#leads.map((lead) => lead ?? Number.NaN)),
      falseAlarms: packNumbers(this.#falseAlarms),
      numbers: packNumbers([this.#censored, this.#episodeEnd, this.#inEvent ? 1 : 0]),
      sums: packNumbers([this.#judged, this.#squares, this.#came]),
    };
  }

  /** @param state of an earlier `state()`; throws UnreadableState for anything else. */
  static restore(state: StateReader): ProbabilityScore {
    const score = new ProbabilityScore();
    const pending = state.numbersUpTo('pending', PENDING_NUMBERS * MAX_PENDING);
    for (let i = 0; i + PENDING_NUMBERS <= pending.length; i += PENDING_NUMBERS) {
      const [at = 0, until = 0, p = 0, acted, isAlarm] = pending.subarray(i, i + PENDING_NUMBERS);
      score.#pending.push({ at, until, p, acted: acted === 1, isAlarm: isAlarm === 1 });
    }
    score.#settled.restore(state, 'settled');
    for (let row = 0; row < score.#settled.length; row++) {
      const [p, came] = [score.#settled.at(row, SAID), score.#settled.at(row, CAME)];
      if (!(p >= 0 && p <= 1 && (came === 0 || came === 1))) throw new UnreadableState('a score is no score');
    }
    score.#leads = [...state.numbersUpTo('leads', MAX_LEADS)].map((lead) =>
      Number.isNaN(lead) ? undefined : lead,
    );
    score.#falseAlarms = [...state.numbersUpTo('falseAlarms', KEPT)];
    const [censored = 0, episodeEnd = Number.NEGATIVE_INFINITY, inEvent] = state.numbers('numbers', 3);
    score.#censored = censored;
    score.#episodeEnd = episodeEnd;
    score.#inEvent = inEvent === 1;
    const [judged = 0, squares = 0, came = 0] = state.numbers('sums', 3);
    score.#judged = judged;
    score.#squares = squares;
    score.#came = came;
    return score;
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

/** Columns of what was scored: absolute error, that of persistence, and 1 where the interval held. */
const ERROR = 0;
const NAIVE_ERROR = 1;
const INSIDE = 2;

/** What one forecasting model says of one series, and what came of it. */
export class ForecastScore {
  #pending: PendingForecast[] = [];
  readonly #scored = new ScoreRing(KEPT, 3);
  readonly #steps = new ScoreRing(KEPT, 1);
  #last: number | undefined;

  predicted(forecast: PendingForecast): void {
    if (!Number.isFinite(forecast.value) || !Number.isFinite(forecast.naive)) return;
    if (this.#pending.length >= MAX_PENDING) this.#pending.shift();
    this.#pending.push(forecast);
  }

  /**
   * The value of a slot is known. Without one (not measured) its forecasts are dropped unscored.
   * @returns whether any was scored.
   */
  actual(slot: number, value: number | undefined): boolean {
    const due = this.#pending.filter((forecast) => forecast.slot === slot);
    this.#pending = this.#pending.filter((forecast) => forecast.slot > slot);
    if (value === undefined || !Number.isFinite(value)) return false;
    if (this.#last !== undefined) this.#steps.push(Math.abs(value - this.#last));
    this.#last = value;
    for (const { value: said, lower, upper, naive } of due) {
      const isInside = value >= lower && value <= upper;
      this.#scored.push(Math.abs(value - said), Math.abs(value - naive), isInside ? 1 : 0);
    }
    return due.length > 0;
  }

  figures(): ForecastFigures {
    const n = this.#scored.length;
    if (n === 0) return { scored: 0, mase: undefined, overPersistence: undefined, coverage: undefined };
    const error = this.#mean(ERROR, n);
    const naive = this.#mean(NAIVE_ERROR, n);
    const step = this.#steps.sum((row) => this.#steps.at(row, 0)) / Math.max(1, this.#steps.length);
    return {
      scored: n,
      mase: step > 0 ? error / step : undefined,
      overPersistence: naive > 0 ? error / naive : undefined,
      coverage: this.#mean(INSIDE, n),
    };
  }

  /** Scaled error of the last `count` forecasts, 1 = as bad as persistence; for drift. */
  recentRatio(count: number): number | undefined {
    const naive = this.#mean(NAIVE_ERROR, count);
    return naive > 0 ? this.#mean(ERROR, count) / naive : undefined;
  }

  state(): object {
    return {
      pending: packNumbers(
        this.#pending.flatMap(({ slot, value, lower, upper, naive }) => [slot, value, lower, upper, naive]),
      ),
      scored: this.#scored.state(),
      steps: this.#steps.state(),
      last: packNumbers([this.#last ?? Number.NaN]),
    };
  }

  /** @param state of an earlier `state()`; throws UnreadableState for anything else. */
  static restore(state: StateReader): ForecastScore {
    const score = new ForecastScore();
    const pending = state.numbersUpTo('pending', PENDING_NUMBERS * MAX_PENDING);
    for (let i = 0; i + PENDING_NUMBERS <= pending.length; i += PENDING_NUMBERS) {
      const [slot = 0, value = 0, lower = 0, upper = 0, naive = 0] = pending.subarray(i, i + PENDING_NUMBERS);
      score.#pending.push({ slot, value, lower, upper, naive });
    }
    score.#scored.restore(state, 'scored');
    score.#steps.restore(state, 'steps');
    const [last = Number.NaN] = state.numbers('last', 1);
    score.#last = Number.isNaN(last) ? undefined : last;
    return score;
  }

  /** Of the last `count`; NaN without any. */
  #mean(column: number, count: number): number {
    const from = Math.max(0, this.#scored.length - count);
    return this.#scored.sum((row) => this.#scored.at(row, column), from) / (this.#scored.length - from);
  }
}
