// Hours ahead: what is kept by the hour, what is made of it for groups, routes and regions, and who fits it.

import t from 'tap';
import { HOUR_MS, HourlyDemand, type HourlyMean } from '../../src/analytics/forecast/hourly-demand.ts';
import { fitHourly, type HourlyRequest } from '../../src/analytics/forecast/hourly-fit.ts';
import { groupEntity, routeEntity, SHARD_GROUPS } from '../../src/analytics/ingest/sample.ts';
import type { TrainingEnd } from '../../src/analytics/train.ts';
import { CapacityTrainer } from '../../src/compose/capacity-trainer.ts';
import { hoursByEntity } from '../../src/compose/history-rows.ts';
import { seededRandom } from '../../src/core/random.ts';
import { healthy, region, type Site, STEP, startSite } from '../rig/site.ts';

const DAYS = 9;
const SILENT = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

/** Load of an hour of the week, quiet at the weekend. */
function usual(hour: number, size: number): number {
  const isWeekend = Math.floor(hour / 24) % 7 > 4;
  return size * (1 + 0.5 * Math.sin((2 * Math.PI * hour) / 24)) * (isWeekend ? 0.8 : 1);
}

/** A site that has lived for nine days: two groups and a route by the hour. */
function livedSite(): Site {
  const site = startSite(100);
  site.step([
    [groupEntity(0), { rps: 100 }],
    [groupEntity(1), { rps: 40 }],
    [routeEntity('orders'), { rps: 140 }],
    [region, { ...healthy, rps: 140 }],
  ]);
  const random = seededRandom(3);
  const now = Math.floor(site.clock.wallMs() / HOUR_MS);
  const hours = (entity: string, size: number): (HourlyMean & { entity: string })[] =>
    Array.from({ length: DAYS * 24 }, (_, i) => {
      const hour = now - DAYS * 24 + i;
      return { entity, hour, mean: usual(hour, size) * (1 + 0.04 * (random.next() - 0.5)), n: 120 };
    });
  const kept = [
    ...hours('group/0', 100),
    ...hours('group/1', 40),
    ...hours('route/orders', 140),
    ...hours('route/gone', 1),
  ];
  site.engine.loadHours(hoursByEntity(kept));
  return site;
}

async function fitAll(site: Site): Promise<HourlyRequest[]> {
  const requests = site.engine.capacityDue(site.clock.wallMs(), 100);
  for (const request of requests) site.engine.capacity.adopt(await fitHourly(request));
  return requests;
}

const own = (of: readonly number[]): Float64Array =>
  Float64Array.from({ length: SHARD_GROUPS }, (_, group) => (of.includes(group) ? 1 : 0));

t.test('a region gets, hour by hour for a day, the demand that it owns', async (t) => {
  const site = livedSite();
  site.engine.setOwnership(
    new Map([
      ['a', own([0, 1])],
      ['b', own([])],
    ]),
  );
  const requests = await fitAll(site);
  t.strictSame(
    requests.map(({ key }) => key).sort(),
    ['group/0', 'group/1', 'route/orders', 'total'],
    'no region for itself: what it gets is of our own making',
  );
  const now = site.clock.wallMs();
  const { points, confidence, total, groups, routes } = site.engine.capacityForecast(now);
  const ofA = points.filter((point) => point.region === 'a');
  t.equal(ofA.length, 24);
  t.equal(ofA[0]!.at, (Math.floor(now / HOUR_MS) + 1) * HOUR_MS, 'from the next full hour on');
  const error = ofA.reduce((sum, { at, p50 }) => sum + Math.abs(p50 - usual(at / HOUR_MS, 140)), 0) / 24;
  t.ok(error < 5, `an error of ${error} of 140 requests/s`);
  for (const { p50, p90 } of ofA) t.ok(p90 >= p50 && p90 < 2 * p50, `${p50} to ${p90}`);
  t.ok(confidence.a! > 0 && confidence.a! <= 1, `${confidence.a}`);
  t.equal(total!.points.length, 24);
  t.strictSame([groups.length, routes.length], [2, 1], 'a route that is gone is not called back');

  site.engine.setOwnership(
    new Map([
      ['a', own([0])],
      ['b', own([1])],
    ]),
  );
  const moved = site.engine.capacityForecast(now).points;
  const at = (of: string) => moved.filter((point) => point.region === of)[5]!.p50;
  t.ok(
    Math.abs(at('a') + at('b') - ofA[5]!.p50) < 1e-6,
    'a shift moves the forecast at once, and loses nothing',
  );
  t.ok(Math.abs(at('b') / at('a') - 0.4) < 0.1);
});

t.test('a campaign that is announced raises its hours', async (t) => {
  const site = livedSite();
  site.engine.setOwnership(new Map([['a', own([0, 1])]]));
  await fitAll(site);
  const now = site.clock.wallMs();
  const start = now + 5 * HOUR_MS;
  const before = site.engine.capacityForecast(now).points;
  site.engine.calendar.add({
    id: '1',
    kind: 'campaign',
    regions: ['a'],
    start,
    end: start + HOUR_MS,
    title: 'Sale',
    severity: 0,
    loadFactor: 3,
  });
  const after = site.engine.capacityForecast(now).points;
  const raised = after.filter(({ p50 }, i) => p50 > 2.9 * before[i]!.p50).map(({ at }) => at);
  t.ok(raised.length >= 1 && raised.length <= 2, `${raised.length} hours`);
  t.ok(raised.every((at) => at + HOUR_MS > start && at < start + HOUR_MS));
});

t.test('from the first minute something finite is said, with no confidence', async (t) => {
  const site = startSite(100);
  t.strictSame(site.engine.capacityForecast(site.clock.wallMs()).points, []);
  site.step([[region, { ...healthy, rps: 20 }]]);
  await fitAll(site);
  const { points, confidence, total } = site.engine.capacityForecast(site.clock.wallMs());
  t.equal(points.length, 24, 'by its own past while nobody knows what it owns');
  t.ok(points.every(({ p50, p90 }) => p50 === 20 && p90 > 20));
  t.equal(confidence.a, 0);
  t.equal(total!.points[0]!.p50, 20);
  t.strictSame(site.engine.capacityDue(site.clock.wallMs(), 9), [], 'and stands until it is wrong');
  for (let i = 0; i < 10; i++) site.step([[region, { ...healthy, rps: 40 }]]);
  t.equal(site.engine.capacityDue(site.clock.wallMs(), 9).length, 1);
});

t.test('hours are kept for six weeks, with gaps where nothing came', async (t) => {
  const demand = new HourlyDemand();
  t.equal(demand.before(10).length, 0);
  demand.push(5 * HOUR_MS + STEP, 10);
  demand.push(6 * HOUR_MS, 30);
  t.strictSame([...demand.before(6)], [20], 'what ends with the hour is of it');
  demand.push(8 * HOUR_MS + STEP, 5);
  demand.push(7 * HOUR_MS + STEP, 99);
  demand.push(8 * HOUR_MS + 2 * STEP, Number.NaN);
  t.strictSame([...demand.before(10)], [20, Number.NaN, Number.NaN, 5, Number.NaN]);
  for (let hour = 10; hour < 1500; hour++) demand.push(hour * HOUR_MS + STEP, hour);
  const all = demand.before(1500);
  t.equal(all.length, 1008);
  t.strictSame([all[0], all.at(-1)], [492, 1499]);
  demand.load([
    { hour: 1497, mean: 1, n: 120 },
    { hour: 1499, mean: 3, n: 1 },
  ]);
  demand.push(1499 * HOUR_MS + STEP, 5);
  t.strictSame([...demand.before(1500)], [1, Number.NaN, 4], 'a restart goes on within the hour');
  demand.push(9999 * HOUR_MS + STEP, 7);
  t.equal(demand.before(10_000).at(-1), 7, 'after an absence of a year');
});

t.test('series that break methods give finite hours all the same', async (t) => {
  const random = seededRandom(5);
  const length = 200;
  const of = (make: (i: number) => number) => Float64Array.from({ length }, (_, i) => make(i));
  const shapes: Record<string, Float64Array> = {
    constant: of(() => 5),
    zero: of(() => 0),
    'missing all': of(() => Number.NaN),
    absurd: of((i) => (i % 50 === 7 ? 1e14 : 10)),
    'a ramp': of((i) => i * i),
    noise: of(() => random.next()),
    'one value': Float64Array.of(3),
    'no value': new Float64Array(),
  };
  for (const [shape, values] of Object.entries(shapes)) {
    const methods = ['ar', 'holt-winters', 'mstl', 'sarima'] as const;
    const { forecast } = await fitHourly({ key: shape, values, origin: 0, methods });
    t.ok(
      forecast.steps.every((step) => Object.values(step).every(Number.isFinite)),
      shape,
    );
    t.ok(forecast.quantiles.every(Number.isFinite), shape);
  }
});

t.test(
  'fits run in a thread; what it cannot do in time is done by the naive methods, and counted',
  async (t) => {
    const site = livedSite();
    const ends: string[] = [];
    const options = {
      engine: site.engine,
      clock: site.clock,
      log: { ...SILENT, setLevel: () => {}, flush: async () => {} },
      onEnd: (result: string) => ends.push(result),
      onReplaced: () => {},
    };
    const asked: (readonly HourlyRequest[])[] = [];
    const hangs = async (requests: readonly HourlyRequest[]): Promise<TrainingEnd> => {
      asked.push(requests);
      if (requests.some(({ methods }) => methods.length > 0))
        return { kind: 'timeout', why: 'not done in 1 ms' };
      return { kind: 'trained', result: await Promise.all(requests.map(fitHourly)) };
    };
    await new CapacityTrainer({ ...options, run: hangs }).train();
    t.equal(asked.length, 2, 'once with all methods, once with none');
    t.equal(ends.filter((end) => end === 'timeout').length, asked[0]!.length);
    t.equal(site.engine.capacityForecast(site.clock.wallMs()).points.length, 24);

    site.clock.pass(HOUR_MS);
    ends.length = 0;
    await new CapacityTrainer(options).train();
    t.strictSame([...new Set(ends)], ['fitted'], 'a real thread');
    t.equal(site.engine.capacityForecast(site.clock.wallMs()).points.length, 24);
    const dead = async (): Promise<TrainingEnd> => ({ kind: 'failed', why: 'no threads left' });
    site.clock.pass(HOUR_MS);
    await new CapacityTrainer({ ...options, run: dead }).train();
    t.equal(site.engine.capacityForecast(site.clock.wallMs()).points.length, 24, 'the last fit stands');
  },
);
