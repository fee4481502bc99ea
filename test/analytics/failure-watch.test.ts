// Metrics of an entity come as they come: what was learnt stays, core metrics are seen, time never goes back.

import t from 'tap';
import { AnomalyWatch } from '../../src/analytics/anomaly-watch.ts';
import { FailureWatch } from '../../src/analytics/failure-watch.ts';
import { serverEntity } from '../../src/analytics/ingest/sample.ts';
import type { FailureReading } from '../../src/analytics/models.ts';
import type { Row } from '../../src/analytics/series-store.ts';
import { StateReader } from '../../src/analytics/state-reader.ts';
import { seededRandom } from '../../src/core/random.ts';

const STEP = 30_000;
const HORIZON = 300_000;
const START = Date.UTC(2026, 0, 5);
const DAY = 86_400_000;
const entity = serverEntity('a', 's');
const CALM = { score: 0, causes: [] };
const junk = Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`junk_${i}`, i]));

function rowOf(i: number, values: Readonly<Record<string, number>>, at = START + i * STEP): Row {
  return { entity, slot: Math.floor(at / STEP), at, values: new Map(Object.entries(values)) };
}

function leak(
  watch: FailureWatch,
  from: number,
  values: Readonly<Record<string, number>>,
  at0 = START,
): FailureReading {
  let reading: FailureReading | undefined;
  for (let i = 0; i < 60; i++) {
    const row = rowOf(from + i, { ...values, memory: 0.4 + 0.009 * i }, at0 + (from + i) * STEP);
    reading = watch.observe(row, CALM, false);
  }
  return reading!;
}

t.test('a page full of other metrics does not hide the memory that climbs', async (t) => {
  const watch = new FailureWatch(HORIZON);
  for (let i = 0; i < 40; i++) watch.observe(rowOf(i, junk), CALM, false);
  for (let i = 40; i < 120; i++) watch.observe(rowOf(i, { ...junk, memory: 0.4 }), CALM, false);
  const { probability, reasons } = leak(watch, 120, junk);
  t.ok(probability > 0.5, `${probability}`);
  t.match(reasons[0]!.text, /memory reaches its limit/);
});

t.test('a core metric is judged by the anomaly model too, whatever came first', async (t) => {
  const watch = new AnomalyWatch();
  const random = seededRandom(3);
  for (let i = 0; i < 400; i++) {
    watch.observe(rowOf(i, { ...junk, ...(i < 20 ? {} : { cpu: 0.3 + 0.02 * random.next() }) }));
  }
  let named = false;
  for (let i = 400; i < 440; i++) {
    const { causes } = watch.observe(rowOf(i, { ...junk, cpu: 0.9 + 0.02 * random.next() }));
    named ||= causes.some((cause) => cause.startsWith('cpu '));
  }
  t.ok(named);
});

t.test('a metric that appears after days costs nothing of what failures have taught', async (t) => {
  const watch = new FailureWatch(HORIZON);
  const perDay = DAY / STEP;
  const failsAt = (i: number): boolean => i % perDay >= 1000 && i % perDay < 1004;
  for (let i = 0; i < 6 * perDay; i++) watch.observe(rowOf(i, { cpu: 0.2 }), CALM, failsAt(i));
  const before = watch.standings();
  t.equal(before[0]!.outcomes, 6);
  t.ok(before[0]!.skill! > 0.3);
  const young = new FailureWatch(HORIZON);
  for (let i = 0; i < 100; i++) young.observe(rowOf(i, { cpu: 0.2 }), CALM, false);
  t.equal(young.standings()[0]!.skill, undefined, 'before five failures it would mean nothing');
  for (let i = 6 * perDay; i < 6 * perDay + 995; i++) {
    watch.observe(rowOf(i, { cpu: 0.2, added: 7, memory: 0.3 }), CALM, false);
  }
  t.equal(watch.standings()[0]!.outcomes, 6);
  const due = watch.observe(rowOf(6 * perDay + 995, { cpu: 0.2, added: 7, memory: 0.3 }), CALM, false);
  t.ok(due.probability > 0.5, `the job that kills it daily is due: ${due.probability}`);
});

t.test('a restart after days has all of it back', async (t) => {
  const perDay = DAY / STEP;
  const watch = new FailureWatch(HORIZON);
  const random = seededRandom(4);
  const values = (): Record<string, number> => ({ cpu: 0.2 + 0.1 * random.next(), memory: 0.5 });
  for (let i = 0; i < 2.5 * perDay; i++) watch.observe(rowOf(i, values()), CALM, i % perDay === 1000);
  const state = JSON.parse(JSON.stringify(watch.state()));
  const after = new FailureWatch(HORIZON);
  after.restore(new StateReader(state));
  t.strictSame(JSON.parse(JSON.stringify(after.state())), state);
  for (let i = 2.5 * perDay; i < 2.5 * perDay + 300; i++) {
    const row = rowOf(i, values());
    t.strictSame(after.observe(row, CALM, false), watch.observe(row, CALM, false));
  }
});

t.test('a clock that is set back stops nobody: memory that climbs afterwards is seen', async (t) => {
  const watch = new FailureWatch(HORIZON);
  for (let i = 0; i < 200; i++) watch.observe(rowOf(i, { memory: 0.4 }), CALM, false);
  const back = START - 3_600_000;
  for (let i = 200; i < 260; i++) watch.observe(rowOf(i, { memory: 0.4 }, back + i * STEP), CALM, false);
  const { probability } = leak(watch, 260, {}, back);
  t.ok(probability > 0.5, `${probability}`);
  const state = new StateReader(JSON.parse(JSON.stringify(watch.state())));
  const after = new FailureWatch(HORIZON);
  after.restore(state);
  const next = rowOf(0, { memory: 0.94 }, back + 320 * STEP);
  t.strictSame(after.observe(next, CALM, false), watch.observe(next, CALM, false));
});

t.test('failures that an operator tells afterwards are learnt from, once', async (t) => {
  const perDay = DAY / STEP;
  const told = new FailureWatch(HORIZON);
  const silent = new FailureWatch(HORIZON);
  for (let i = 0; i < 6 * perDay + 995; i++) {
    const row = rowOf(i, { cpu: 0.2 });
    told.observe(row, CALM, false);
    silent.observe(row, CALM, false);
    if (i % perDay === 1100) told.confirmed(START + (i - 100) * STEP);
    if (i % perDay === 1200) told.confirmed(START + (i - 200) * STEP);
  }
  t.equal(told.standings()[0]!.outcomes, 6);
  const row = rowOf(6 * perDay + 995, { cpu: 0.2 });
  const [knowing, other] = [told, silent].map((watch) => watch.observe(row, CALM, false).probability);
  t.ok(knowing! > 0.1 && knowing! > 10 * other!, `${knowing} against ${other}`);
});
