// A level that follows the series by a share of each step's error (simple exponential smoothing), and is held for
// the whole horizon. Several gains stand side by side; the weights of the ensemble find the right one, which is
// high for event-driven traffic and low where the noise of single minutes rules.

import type { ForecastMethod } from './forecast.ts';

/** Simple exponential smoothing; `gain` in (0, 1] is the share of each error that is believed. */
export function dampedLevel(gain: number): ForecastMethod {
  return {
    name: `level(${gain})`,
    fit: ({ window }) => {
      let level = 0;
      let isFirst = true;
      const take = (value: number): void => {
        level = isFirst ? value : level + gain * (value - level);
        isFirst = false;
      };
      for (const value of window.history()) take(value);
      return {
        push: () => take(window.at(0)),
        forecast: (out) => void out.fill(level),
        numbers: () => [level, isFirst ? 1 : 0],
        restore: (numbers) => {
          if (numbers.length !== 2) return false;
          level = numbers[0]!;
          isFirst = numbers[1] === 1;
          return true;
        },
      };
    },
  };
}
