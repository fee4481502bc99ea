// One slice of demand (or a region's own load) as the walk wants it: SeriesForecaster's distribution over the
// horizon, and the sum of several slices. Errors of slices of one site's traffic are neither independent nor
// one: their spreads are added half and half.

import { ASSUMED_CORRELATION, spreadOfSum } from './forecast/demand-sum.ts';
import {
  type Forecast,
  type MethodStanding,
  probabilityAbove,
  quantileOf,
} from './forecast/forecast-result.ts';
import { LEVELS } from './forecast/residual-band.ts';
import { SeriesForecaster, type SeriesForecasterOptions } from './forecast/series-forecaster.ts';
import type { DemandModel, LoadOutlook } from './models.ts';
import { packNumbers, type StateReader } from './state-reader.ts';

export interface DemandOptions {
  readonly stepMs: number;
  readonly horizonSteps: number;
}

const DAY_MS = 86_400_000;
// A season of more steps than this costs more memory than it tells.
const LONGEST_SEASON = 2880;
// Steps of a forecast; a longer horizon is read at its edge.
const MOST_STEPS = 120;

export class DemandForecaster implements DemandModel {
  readonly #options: SeriesForecasterOptions;
  #forecaster: SeriesForecaster;
  #forecast: Forecast | undefined;
  #seen = 0;

  constructor({ stepMs, horizonSteps }: DemandOptions) {
    const day = Math.round(DAY_MS / stepMs);
    this.#options = {
      horizon: Math.min(MOST_STEPS, horizonSteps),
      seasons: day >= 2 && day <= LONGEST_SEASON ? [day] : [],
    };
    this.#forecaster = new SeriesForecaster(this.#options);
  }

  push(value: number): void {
    this.#forecaster.push(value);
    this.#forecast = undefined;
    if (Number.isFinite(value)) this.#seen += 1;
  }

  state(): object {
    return { seen: packNumbers([this.#seen]), series: this.#forecaster.state() };
  }

  restore(state: StateReader): void {
    const forecaster = new SeriesForecaster(this.#options);
    forecaster.restore(state.at('series'));
    this.#seen = state.numbers('seen', 1)[0]!;
    this.#forecaster = forecaster;
    this.#forecast = undefined;
  }

  get forecast(): Forecast | undefined {
    if (this.#seen === 0) return undefined;
    this.#forecast ??= this.#forecaster.forecast();
    return this.#forecast;
  }

  standings(): readonly MethodStanding[] {
    return this.#forecaster.standings();
  }

  outlook(): LoadOutlook | undefined {
    return this.forecast === undefined ? undefined : outlookOf(this.forecast);
  }
}

export interface DemandShare {
  readonly demand: DemandForecaster;
  /** 0..1 */
  readonly share: number;
}

/** Load of what owns these shares of these slices; undefined while none of them has been seen. */
export function sumOfDemand(
  parts: readonly DemandShare[],
  correlation = ASSUMED_CORRELATION,
): LoadOutlook | undefined {
  const known = parts.flatMap(({ demand, share }) => {
    const { forecast } = demand;
    return forecast === undefined ? [] : [{ forecast, share }];
  });
  const first = known[0]?.forecast;
  if (first === undefined) return undefined;
  const means = first.steps.map(() => 0);
  const quantiles = new Float64Array(first.quantiles.length);
  for (let step = 0; step < means.length; step++) {
    for (const { forecast, share } of known) means[step]! += share * forecast.steps[step]!.mean;
    for (let level = 0; level < LEVELS.length; level++) {
      let [sum, squares] = [0, 0];
      for (const { forecast, share } of known) {
        const mean = forecast.steps[step]!.mean;
        const beyond = share * (forecast.quantiles[step * LEVELS.length + level]! - mean);
        sum += beyond;
        squares += beyond * beyond;
      }
      const spread = spreadOfSum(sum, squares, correlation);
      quantiles[step * LEVELS.length + level] = Math.max(0, means[step]! + Math.sign(sum) * spread);
    }
  }
  const confidence = known.reduce((total, { forecast }) => total + forecast.confidence, 0) / known.length;
  const at = (step: number, level: number): number => quantiles[step * LEVELS.length + level]!;
  return outlookOf({
    method: 'demand',
    score: first.score,
    outcomes: Math.min(...known.map(({ forecast }) => forecast.outcomes)),
    confidence,
    quantiles,
    steps: means.map((mean, step) => ({
      mean,
      lower80: at(step, LEVELS.indexOf(0.1)),
      upper80: at(step, LEVELS.indexOf(0.9)),
      lower90: at(step, LEVELS.indexOf(0.05)),
      upper90: at(step, LEVELS.indexOf(0.95)),
    })),
  });
}

function outlookOf(forecast: Forecast): LoadOutlook {
  const { steps, method, confidence } = forecast;
  const last = steps.at(-1)!;
  return {
    method,
    confidence,
    p50: Math.max(...steps.map(({ mean }) => mean)),
    p90: Math.max(...steps.map((_, step) => quantileOf(forecast, step, 0.9))),
    last: { value: last.mean, lower: last.lower90, upper: last.upper90 },
    above: (limit) => Math.max(...steps.map((_, step) => probabilityAbove(forecast, step, limit))),
  };
}
