import t from 'tap';
import { SeriesForecaster } from '../../../src/analytics/forecast/series-forecaster.ts';

t.test('a series that was nothing and wakes up is uncertain, not without bounds', async (t) => {
  const forecaster = new SeriesForecaster({ horizon: 20, seasons: [] });
  for (let i = 0; i < 60; i++) forecaster.push(0);
  for (let i = 0; i < 40; i++) forecaster.push(3 + (i % 2));
  for (let i = 0; i < 5; i++) forecaster.push(0);
  for (const { upper90 } of forecaster.forecast().steps) t.ok(upper90 < 100, String(upper90));
});
