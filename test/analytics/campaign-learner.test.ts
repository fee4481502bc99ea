// What a campaign brought is learnt when it is over, against the same hours before it.

import t from 'tap';
import { CampaignLearner } from '../../src/analytics/campaign-learner.ts';
import { HOUR_MS, HourlyDemand } from '../../src/analytics/forecast/hourly-demand.ts';
import { EventCalendar } from '../../src/analytics/ingest/event-calendar.ts';
import type { ExternalEvent } from '../../src/analytics/ingest/external-event.ts';
import { SeriesStore } from '../../src/analytics/series-store.ts';

const MONDAY = Date.UTC(2026, 0, 5);

function sale(id: string, start: number, hours: number): ExternalEvent {
  const end = start + hours * HOUR_MS;
  return {
    id,
    kind: 'campaign',
    regions: ['a'],
    start,
    end,
    title: 'Sale',
    severity: 0,
    loadFactor: undefined,
  };
}

/** Ten days of hours with a daily shape; `times` more load while a sale is on. */
function learntFrom(event: ExternalEvent, times: number): EventCalendar {
  const hours = new HourlyDemand();
  for (let at = MONDAY - 10 * 24 * HOUR_MS; at <= event.end; at += HOUR_MS / 4) {
    const usual = 100 + 80 * Math.sin((2 * Math.PI * at) / (24 * HOUR_MS));
    hours.push(at, at > event.start && at <= event.end ? times * usual : usual);
  }
  const calendar = new EventCalendar();
  calendar.add(event);
  const store = new SeriesStore({ stepMs: 30_000, slots: 960, maxEntities: 10, maxColumns: 100 });
  const learner = new CampaignLearner(calendar, store, () => hours);
  learner.learn(event.end - 1, ['a']);
  t.strictSame(calendar.learnt(), [], 'nothing before it is over');
  learner.learn(event.end, ['a']);
  return calendar;
}

t.test('one of a morning, of a day and of three days: the daily shape is no part of it', async (t) => {
  for (const hours of [3, 24, 72]) {
    const calendar = learntFrom(sale('1', MONDAY + 8 * HOUR_MS, hours), 2.5);
    const [[, factor] = ['', 0]] = calendar.learnt();
    t.ok(Math.abs(factor - 2.5) < 0.05, `${hours} h: ${factor}`);
    t.equal(calendar.factorOf(sale('2', MONDAY + 30 * 24 * HOUR_MS, 5)), factor, 'the next of its kind');
  }
});

t.test('each is learnt from once, also by a later process', async (t) => {
  const event = sale('1', MONDAY, 5);
  const calendar = learntFrom(event, 2);
  const later = new EventCalendar();
  later.restore(calendar.posted(), calendar.learnt(), calendar.learntFrom());
  t.equal(later.isLearntFrom(event), true);
  t.equal(later.isLearntFrom(sale('2', MONDAY, 5)), false);
  t.strictSame(later.learnt(), calendar.learnt());
});
