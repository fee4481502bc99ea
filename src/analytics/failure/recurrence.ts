// Failures that return at a time of day or of the week (nightly jobs, weekly batches), learnt from those
// already over. Each beginning is either the first of a schedule or a chance one; both are held as
// hypotheses and weighed by Bayes' rule at every return, so that one repetition on the minute convinces
// and a few missed ones discharge. What no schedule explains leaves a rate: the base rate.

import { logOdds } from '../calibrate.ts';
import { packNumbers, type StateReader } from '../state-reader.ts';
import type { TraceRecurrence } from './slot-memory.ts';

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
const PERIODS_MS = [DAY_MS, 7 * DAY_MS] as const;
// A return may come this much early or late and still be the same job.
const TOLERANCE_MS = 12 * MINUTE_MS;
// Before any return was seen its spread is taken as one minute, worth two observations: cron is punctual.
const FIRST_SPREAD_MS = MINUTE_MS;
const SPREAD_WEIGHT = 2;
// A late return moves the due by its share among all returns, by this much at least: jobs get rescheduled.
const LEAST_DUE_GAIN = 0.25;
// A real schedule fires at five of six dues before anything is known of it.
const FIRES = 3;
const SKIPS = 0.6;
const EXPLAINED = 0.5;
// From one due to the next a job is switched off with one chance in fifty.
const STAYS = 0.98;
// Old hits and misses fade: a job that has become unreliable is seen as that.
const MEMORY_OF_DUES = 0.96;
// Of all first failures this share begins a schedule; far more when its trace stood there on earlier days.
const SCHEDULED_SHARE = 0.04;
const TRACED_SHARE = 0.6;
const UNTRACED_SHARE = 0.01;
// A trace of a scheduled job stands on this share of its earlier days.
const TRACE_SHOWS = 0.8;
const MAX_ROUNDS = 30;
// Schedules kept; the least believed one gives way.
const MAX_SCHEDULES = 48;
// Without any failure seen the rate is one in ten days, believed as half an observation.
const FIRST_RATE_PER_MS = 1 / (10 * DAY_MS);
const FIRST_RATE_WEIGHT = 0.5;
// Unscheduled failures prefer hours (people deploy by day): their times of day, smoothed over this width,
// shape the rate once they outweigh this many failures without preference.
const HOURS_WIDTH_MS = 90 * MINUTE_MS;
const NO_PREFERENCE = 12;
const MAX_TIMES = 128;

/** Numbers that a schedule is kept as. */
const SCHEDULE_NUMBERS = 9;

interface Schedule {
  readonly periodMs: number;
  /** Latest beginning, moved on by whole periods at dues without one. */
  dueMs: number;
  hits: number;
  misses: number;
  /** Log-odds that this is a schedule, from its first occurrence alone. */
  firstOdds: number;
  /** P(the job still exists): falls with each due in a row that passed without it. */
  alive: number;
  squares: number;
  returns: number;
  readonly bornMs: number;
}

/** What the hazard knows about the next horizon. */
export interface RecurrenceOutlook {
  /** P(a failure begins within the horizon). */
  readonly probability: number;
  /** The same from the rate of unscheduled failures alone. */
  readonly baseProbability: number;
  /** The schedule that says most, when one says more than the rate. */
  readonly schedule: { readonly dueMs: number; readonly periodMs: number; readonly seen: number } | undefined;
}

export class RecurrenceHazard {
  readonly #schedules: Schedule[] = [];
  /** Beginnings that no schedule explained, with how little one did (0..1). */
  readonly #times: { readonly atMs: number; readonly weight: number }[] = [];
  #exposureMs = 0;
  #unscheduled = 0;
  #lastMs = Number.NEGATIVE_INFINITY;
  #failing = false;
  #failingSinceMs = Number.NEGATIVE_INFINITY;
  #recoveredMs = Number.NEGATIVE_INFINITY;

  /** Time has passed to `atMs`, whose outcome is known: failing or not. */
  observe(atMs: number, failing: boolean): void {
    if (!(atMs > this.#lastMs)) return;
    if (failing && !this.#failing) {
      this.#failingSinceMs = atMs;
      this.#begin(atMs);
    }
    if (!failing && this.#failing) this.#recoveredMs = atMs;
    // A gap in what was told is no quiet time.
    if (!failing) this.#exposureMs += Math.min(atMs - this.#lastMs, 15 * MINUTE_MS);
    this.#failing = failing;
    this.#lastMs = atMs;
    for (const schedule of this.#schedules) this.#passDues(schedule, atMs);
  }

  /** A failure began at `atMs`, as somebody says afterwards; it may be older than others that are known. */
  confirmed(atMs: number): void {
    const isReturn = (schedule: Schedule): boolean => {
      const before = schedule.dueMs - atMs;
      const off = before - Math.round(before / schedule.periodMs) * schedule.periodMs;
      return before > -TOLERANCE_MS && Math.abs(off) <= TOLERANCE_MS;
    };
    const known = this.#schedules.filter(isReturn);
    if (known.length === 0) return this.#begin(atMs);
    for (const schedule of known) {
      schedule.hits += 1;
      if (schedule.bornMs > atMs) continue;
      // Its due had passed in silence, and was counted as missed.
      schedule.misses = Math.max(0, schedule.misses - 1);
      schedule.alive = 1;
    }
  }

  /** What the days before the failure that began at `bornMs` showed at its time of day. */
  addTrace(bornMs: number, trace: TraceRecurrence): void {
    const { matches, misses, chance } = trace;
    const evidence =
      matches * Math.log(TRACE_SHOWS / chance) + misses * Math.log((1 - TRACE_SHOWS) / (1 - chance));
    const traced = 1 / (1 + Math.exp(-Math.max(-30, Math.min(30, evidence))));
    const share = UNTRACED_SHARE + (TRACED_SHARE - UNTRACED_SHARE) * traced;
    for (const schedule of this.#schedules) {
      if (schedule.bornMs === bornMs && schedule.periodMs === DAY_MS) schedule.firstOdds = logOdds(share);
    }
  }

  /** P(a failure begins in (atMs, atMs + horizonMs]), given none is going on. */
  outlook(atMs: number, horizonMs: number): RecurrenceOutlook {
    const baseProbability = 1 - Math.exp(-this.#rate() * horizonMs);
    const hourly = 1 - Math.exp(-this.#rate() * this.#preference(atMs + horizonMs / 2) * horizonMs);
    const dues = this.#schedules
      .map((schedule) => ({ schedule, chance: this.#chanceOf(schedule, atMs, horizonMs) }))
      .filter(({ chance }) => chance > 0.001)
      .sort((a, b) => b.chance - a.chance);
    let spared = 1 - hourly;
    const counted: Schedule[] = [];
    for (const { schedule, chance } of dues) {
      // The daily and the weekly reading of one job are not two jobs.
      const due = nextDue(schedule, atMs);
      if (counted.some((other) => Math.abs(nextDue(other, atMs) - due) < TOLERANCE_MS)) continue;
      counted.push(schedule);
      spared *= 1 - chance;
    }
    const first = dues[0];
    const told = first !== undefined && first.chance > hourly ? first.schedule : undefined;
    return {
      probability: 1 - spared,
      baseProbability,
      schedule: told && {
        dueMs: nextDue(told, atMs),
        periodMs: told.periodMs,
        seen: Math.round(told.hits) + 1,
      },
    };
  }

  state(): object {
    const span = [this.#failing ? 1 : 0, this.#failingSinceMs, this.#recoveredMs];
    return {
      numbers: packNumbers([this.#exposureMs, this.#unscheduled, this.#lastMs, ...span]),
      times: packNumbers(this.#times.flatMap(({ atMs, weight }) => [atMs, weight])),
      schedules: packNumbers(this.#schedules.flatMap(numbersOf)),
    };
  }

  restore(state: StateReader): void {
    const [exposureMs, unscheduled, lastMs, failing, failingSinceMs, recoveredMs] = state.numbers(
      'numbers',
      6,
    );
    const times = state.numbersUpTo('times', 2 * MAX_TIMES);
    const schedules = state.numbersUpTo('schedules', SCHEDULE_NUMBERS * MAX_SCHEDULES);
    this.#exposureMs = exposureMs!;
    this.#unscheduled = unscheduled!;
    this.#lastMs = lastMs!;
    this.#failing = failing === 1;
    this.#failingSinceMs = failingSinceMs!;
    this.#recoveredMs = recoveredMs!;
    this.#times.length = 0;
    for (let i = 0; i + 1 < times.length; i += 2)
      this.#times.push({ atMs: times[i]!, weight: times[i + 1]! });
    this.#schedules.length = 0;
    for (let i = 0; i + SCHEDULE_NUMBERS <= schedules.length; i += SCHEDULE_NUMBERS) {
      this.#schedules.push(scheduleOf(schedules.subarray(i, i + SCHEDULE_NUMBERS)));
    }
  }

  #rate(): number {
    return (
      (this.#unscheduled + FIRST_RATE_WEIGHT) / (this.#exposureMs + FIRST_RATE_WEIGHT / FIRST_RATE_PER_MS)
    );
  }

  /** How many times the mean rate the rate of unscheduled failures is at this time of day. */
  #preference(atMs: number): number {
    let [near, all] = [NO_PREFERENCE, NO_PREFERENCE];
    for (const { atMs: past, weight } of this.#times) {
      const apart = Math.abs((atMs - past) % DAY_MS);
      const distance = Math.min(apart, DAY_MS - apart) / HOURS_WIDTH_MS;
      // Normalised to a mean of 1 over the day: DAY / (sqrt(2 pi) width).
      near += ((weight * DAY_MS) / (2.5066 * HOURS_WIDTH_MS)) * Math.exp((-distance * distance) / 2);
      all += weight;
    }
    return near / all;
  }

  #begin(atMs: number): void {
    let expected = 0;
    for (const periodMs of PERIODS_MS) {
      // What the day explains is no news to the week.
      if (expected > EXPLAINED) break;
      const known = this.#schedules.filter((schedule) => schedule.periodMs === periodMs);
      const near = known.filter((schedule) => Math.abs(offDue(schedule, atMs)) <= TOLERANCE_MS);
      near.sort((a, b) => Math.abs(offDue(a, atMs)) - Math.abs(offDue(b, atMs)));
      const [hit] = near;
      if (hit === undefined) this.#schedules.push(newSchedule(periodMs, atMs));
      else {
        const off = offDue(hit, atMs);
        expected = Math.max(expected, this.#believed(hit));
        hit.hits = hit.hits * MEMORY_OF_DUES + 1;
        hit.misses *= MEMORY_OF_DUES;
        hit.alive = 1;
        hit.squares += off * off;
        hit.returns += 1;
        hit.dueMs = atMs - off + Math.max(LEAST_DUE_GAIN, 1 / (hit.returns + 1)) * off;
      }
    }
    this.#unscheduled += 1 - expected;
    this.#times.push({ atMs, weight: 1 - expected });
    if (this.#times.length > MAX_TIMES) this.#times.shift();
    while (this.#schedules.length > MAX_SCHEDULES) {
      const beliefs = this.#schedules.map((schedule) => this.#believed(schedule));
      this.#schedules.splice(beliefs.indexOf(Math.min(...beliefs)), 1);
    }
  }

  #passDues(schedule: Schedule, atMs: number): void {
    const rounds = Math.floor((atMs - schedule.dueMs) / schedule.periodMs);
    // After a gap of a month the schedule is as good as unknown; counting dues one by one could take for ever.
    if (rounds > MAX_ROUNDS) schedule.dueMs += (rounds - MAX_ROUNDS) * schedule.periodMs;
    while (atMs > schedule.dueMs + schedule.periodMs + TOLERANCE_MS) {
      schedule.dueMs += schedule.periodMs;
      // Under a failure that goes on, another cannot begin: that due says nothing.
      if (this.#failing && this.#failingSinceMs < schedule.dueMs - TOLERANCE_MS) continue;
      if (!this.#failing && Math.abs(this.#recoveredMs - schedule.dueMs) < TOLERANCE_MS) continue;
      const silent = schedule.alive * STAYS * (1 - firesOf(schedule));
      schedule.alive = silent / (silent + 1 - schedule.alive * STAYS);
      schedule.hits *= MEMORY_OF_DUES;
      schedule.misses = schedule.misses * MEMORY_OF_DUES + 1;
    }
  }

  /** P(this is a schedule), by its hits and misses against chance. */
  #believed(schedule: Schedule): number {
    const { hits, misses } = schedule;
    const byChance = Math.min(0.5, 1 - Math.exp(-this.#rate() * 2 * TOLERANCE_MS));
    const odds =
      schedule.firstOdds +
      logBeta(FIRES + hits, SKIPS + misses) -
      logBeta(FIRES, SKIPS) -
      hits * Math.log(byChance) -
      misses * Math.log(1 - byChance);
    return 1 / (1 + Math.exp(-odds));
  }

  #chanceOf(schedule: Schedule, atMs: number, horizonMs: number): number {
    const due = nextDue(schedule, atMs);
    const spread = Math.sqrt(
      (schedule.squares + SPREAD_WEIGHT * FIRST_SPREAD_MS ** 2) / (schedule.returns + SPREAD_WEIGHT),
    );
    // Logistic around the due: its tails forgive a late job.
    const reached = (ms: number): number => 1 / (1 + Math.exp(-(ms - due) / (0.5513 * spread)));
    const before = reached(atMs);
    const will = this.#believed(schedule) * schedule.alive * firesOf(schedule);
    // Given that it has not fired up to now.
    return (will * (reached(atMs + horizonMs) - before)) / Math.max(1e-9, 1 - will * before);
  }
}

function numbersOf(schedule: Schedule): number[] {
  const { periodMs, dueMs, hits, misses, firstOdds, alive, squares, returns, bornMs } = schedule;
  return [periodMs, dueMs, hits, misses, firstOdds, alive, squares, returns, bornMs];
}

function scheduleOf(numbers: Float64Array): Schedule {
  const [periodMs, dueMs, hits, misses, firstOdds, alive, squares, returns, bornMs] = numbers;
  return {
    periodMs: periodMs === PERIODS_MS[1] ? PERIODS_MS[1] : PERIODS_MS[0],
    dueMs: dueMs!,
    hits: hits!,
    misses: misses!,
    firstOdds: firstOdds!,
    alive: alive!,
    squares: squares!,
    returns: returns!,
    bornMs: bornMs!,
  };
}

function newSchedule(periodMs: number, atMs: number): Schedule {
  return {
    periodMs,
    dueMs: atMs,
    hits: 0,
    misses: 0,
    alive: 1,
    firstOdds: logOdds(periodMs === DAY_MS ? SCHEDULED_SHARE : SCHEDULED_SHARE / 4),
    squares: 0,
    returns: 0,
    bornMs: atMs,
  };
}

/** P(it fires at a due), while it exists. */
function firesOf({ hits, misses }: Schedule): number {
  return (FIRES + hits) / (FIRES + SKIPS + hits + misses);
}

/** The due around or after `atMs`. */
function nextDue(schedule: Schedule, atMs: number): number {
  const rounds = Math.max(1, Math.ceil((atMs - TOLERANCE_MS - schedule.dueMs) / schedule.periodMs));
  return schedule.dueMs + rounds * schedule.periodMs;
}

/** Distance of `atMs` from the nearest due after the last beginning. */
function offDue(schedule: Schedule, atMs: number): number {
  const rounds = Math.round((atMs - schedule.dueMs) / schedule.periodMs);
  return rounds < 1 ? Number.POSITIVE_INFINITY : atMs - schedule.dueMs - rounds * schedule.periodMs;
}

/** ln B(a, b) by Stirling's series of ln Gamma (Abramowitz and Stegun 6.1.41). */
function logBeta(a: number, b: number): number {
  return logGamma(a) + logGamma(b) - logGamma(a + b);
}

function logGamma(x: number): number {
  // The series wants x of at least 7; below that the recurrence lifts it.
  let shift = 0;
  let z = x;
  while (z < 7) {
    shift -= Math.log(z);
    z += 1;
  }
  const i = 1 / (z * z);
  return shift + (z - 0.5) * Math.log(z) - z + 0.9189385332046727 + (1 / 12 - i * (1 / 360 - i / 1260)) / z;
}
