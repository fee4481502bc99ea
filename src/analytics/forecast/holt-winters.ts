// Exponential smoothing with all seasons at once and an autoregressive term for what is left (double seasonal
// Holt-Winters: Taylor, "Short-term electricity demand forecasting", 2003, equations 7-11). Additive on the scale
// of value-scale.ts, without a trend: over hours ahead a trend of the last minutes does more harm than good.

import type { ForecastMethod, Model, ModelContext } from './forecast.ts';
import { type Scale, scaleFor } from './value-scale.ts';

/** Every combination is tried on the history, the least squared one-step error wins; a step costs some 10 ns. */
const LEVEL_GAINS = [0.01, 0.05, 0.15, 0.4] as const;
const SEASON_GAINS = [0.03, 0.1, 0.3] as const;
const REMAINDERS = [0, 0.5, 0.8, 0.95] as const;
/** Of the longest season, so often must it have been seen. */
const LEAST_CYCLES = 2;

interface Gains {
  readonly level: number;
  /** One a season. */
  readonly seasons: readonly number[];
  /** Share of an error that is left over for the next step. */
  readonly remainder: number;
}

/** Level, seasonal parts and remainder after the last step. */
interface State {
  level: number;
  readonly seasonal: readonly Float64Array[];
  error: number;
  step: number;
}

export function holtWinters(isLog: boolean): ForecastMethod {
  return { name: `holt-winters${isLog ? '(log)' : ''}`, fit: (context) => fitHoltWinters(context, isLog) };
}

function fitHoltWinters(context: ModelContext, isLog: boolean): Model | null {
  const history = context.window.history();
  const seasons = usableSeasons(context.window.seasons, history.length);
  if (seasons.length === 0) return null;
  const scale = scaleFor(history, isLog);
  if (scale === null) return null;
  const values = Float64Array.from(history, (value) => scale.into(value));
  let best: { readonly gains: Gains; readonly state: State } | null = null;
  let least = Number.POSITIVE_INFINITY;
  for (const gains of combinations(seasons.length)) {
    const state = firstState(values, seasons);
    let squares = 0;
    for (const value of values) squares += advance(state, value, gains) ** 2;
    if (squares >= least) continue;
    least = squares;
    best = { gains, state };
  }
  return best === null ? null : new HoltWinters(context, scale, best.gains, best.state);
}

function usableSeasons(seasons: readonly number[], length: number): number[] {
  return seasons.filter((season) => season >= 2 && length >= LEAST_CYCLES * season);
}

function combinations(seasons: number): Gains[] {
  let partial: number[][] = [[]];
  for (let s = 0; s < seasons; s++)
    partial = partial.flatMap((gains) => SEASON_GAINS.map((gain) => [...gains, gain]));
  return LEVEL_GAINS.flatMap((level) =>
    partial.flatMap((gains) => REMAINDERS.map((remainder) => ({ level, seasons: gains, remainder }))),
  );
}

/** Means of each season's slots over its first cycles, each season on what the shorter ones leave. */
function firstState(values: Float64Array, seasons: readonly number[]): State {
  const span = seasons.at(-1)! * LEAST_CYCLES;
  let level = 0;
  for (let t = 0; t < span; t++) level += values[t]! / span;
  const rest = Float64Array.from(values.subarray(0, span), (value) => value - level);
  const seasonal = seasons.map((season) => {
    const slots = new Float64Array(season);
    const counts = new Float64Array(season);
    for (let t = 0; t < span; t++) {
      slots[t % season] = slots[t % season]! + rest[t]!;
      counts[t % season] = counts[t % season]! + 1;
    }
    for (let i = 0; i < season; i++) slots[i] = slots[i]! / counts[i]!;
    for (let t = 0; t < span; t++) rest[t] = rest[t]! - slots[t % season]!;
    return slots;
  });
  return { level, seasonal, error: 0, step: 0 };
}

/** Takes one value; gives the error of the one-step forecast. */
function advance(state: State, value: number, gains: Gains): number {
  const { seasonal, step } = state;
  let structure = state.level;
  for (const slots of seasonal) structure += slots[step % slots.length]!;
  // Taylor's phi weighs the whole remainder of the last step, not only its surprise.
  const surprise = value - structure - gains.remainder * state.error;
  state.level += gains.level * surprise;
  for (let s = 0; s < seasonal.length; s++) {
    const slots = seasonal[s]!;
    slots[step % slots.length] = slots[step % slots.length]! + gains.seasons[s]! * surprise;
  }
  state.error = value - structure;
  state.step = step + 1;
  return surprise;
}

class HoltWinters implements Model {
  readonly #context: ModelContext;
  readonly #scale: Scale;
  readonly #gains: Gains;
  readonly #state: State;

  constructor(context: ModelContext, scale: Scale, gains: Gains, state: State) {
    this.#context = context;
    this.#scale = scale;
    this.#gains = gains;
    this.#state = state;
  }

  push(): void {
    advance(this.#state, this.#scale.into(this.#context.window.at(0)), this.#gains);
  }

  forecast(out: Float64Array): void {
    const { level, seasonal, error, step } = this.#state;
    let left = error;
    for (let h = 0; h < out.length; h++) {
      left *= this.#gains.remainder;
      let value = level + left;
      for (const slots of seasonal) value += slots[(step + h) % slots.length]!;
      out[h] = this.#scale.outOf(this.#scale.confine(value));
    }
  }
}
