// "It stays as it is": the floor that every other method of a series has to beat, and what remains when there is
// nothing else to say.

import type { ForecastMethod } from './forecast.ts';

export const persistence: ForecastMethod = {
  name: 'persistence',
  fit: ({ window }) => ({
    push: () => undefined,
    forecast: (out) => void out.fill(window.at(0)),
  }),
};
