// "As one season ago": yesterday's or last week's values again, as they were. The floor for long horizons.

import type { ForecastMethod } from './forecast.ts';

/** Repeats the last `season` steps; null until they were seen. */
export function seasonalNaive(season: number): ForecastMethod {
  return {
    name: `seasonal-naive(${season})`,
    fit: ({ window }) => {
      if (window.capacity < season) return null;
      return {
        push: () => undefined,
        forecast: (out) => {
          const known = Math.min(season, window.length);
          for (let i = 0; i < out.length; i++) out[i] = window.at(known - 1 - (i % Math.max(known, 1)));
        },
      };
    },
  };
}
