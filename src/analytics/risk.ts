// The last step of the metric walk before the plan: what the models say of one region becomes one score with
// its reasons. risk = 1 - (1 - P(failure)) (1 - P(overload)): the region is lost if either happens. Pure.

import type { ExternalEvent } from './ingest/external-event.ts';

export interface RiskReason {
  readonly text: string;
  /** 0..1: how much of a risk it is by itself; the highest are shown. */
  readonly weight: number;
}

export interface RiskParts {
  /** Probability that the region fails within the horizon, as the models see it. */
  readonly failure: number;
  readonly overload: number;
  /** 0..1: how far the models may be believed; see confidence in tick.ts. */
  readonly confidence: number;
  readonly anomaly: number;
  readonly reasons: readonly RiskReason[];
  /** Events that touch the horizon. */
  readonly events: readonly ExternalEvent[];
}

export interface Risk {
  readonly risk: number;
  readonly failureProbability: number;
  readonly overloadProbability: number;
  readonly anomaly: number;
  readonly confidence: number;
  readonly reasons: readonly string[];
}

// Announced maintenance is as good as certain, and an announcement may still be called off.
const MAINTENANCE = 0.98;
// Of the weather alerts of the highest severity few fell a data centre; a prior until it was learnt here.
const WORST_WEATHER = 0.2;
const MAX_REASONS = 5;
// Below this a cause is noise and no reason.
const LEAST_WEIGHT = 0.05;

/** @param now wall milliseconds. */
export function assessRisk(parts: RiskParts, now: number): Risk {
  const known = parts.events.map((event) => ({ event, p: probabilityOf(event) }));
  const survives = known.reduce((product, { p }) => product * (1 - p), 1 - unit(parts.failure));
  const failure = unit(1 - survives);
  const overload = unit(parts.overload);
  const reasons = [
    ...known.filter(({ p }) => p > 0).map(({ event, p }) => ({ text: eventReason(event, now), weight: p })),
    ...parts.reasons,
  ];
  const isCertain = known.some(({ p }) => p >= MAINTENANCE);
  return {
    risk: unit(1 - (1 - failure) * (1 - overload)),
    failureProbability: failure,
    overloadProbability: overload,
    anomaly: unit(parts.anomaly),
    confidence: isCertain ? 1 : unit(parts.confidence),
    reasons: reasons
      .filter(({ weight }) => weight >= LEAST_WEIGHT)
      .sort((a, b) => b.weight - a.weight)
      .slice(0, MAX_REASONS)
      .map(({ text }) => text),
  };
}

function probabilityOf(event: ExternalEvent): number {
  switch (event.kind) {
    case 'maintenance':
      return MAINTENANCE;
    case 'weather':
      return WORST_WEATHER * event.severity;
    // A campaign acts through the load; an incident is confirmed afterwards; `other` is for people.
    case 'campaign':
    case 'incident':
    case 'other':
      return 0;
  }
}

function eventReason({ kind, title, start, end }: ExternalEvent, now: number): string {
  const name = title === '' ? kind : `${kind} "${title}"`;
  if (start > now) return `${name} starts in ${inWords(start - now)}`;
  return `${name} is under way for another ${inWords(end - now)}`;
}

/** `40 s`, `4 min`, `3 h`, `2 d`: for a person who has to act. */
export function inWords(ms: number): string {
  const seconds = Math.max(0, ms) / 1000;
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 90 * 60) return `${Math.round(seconds / 60)} min`;
  if (seconds < 36 * 3600) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86_400)} d`;
}

/** Models may give anything; what leaves here is a probability. NaN says nothing, hence 0. */
function unit(value: number): number {
  return value > 0 ? Math.min(1, value) : 0;
}
