import t from 'tap';
import { RecurrenceHazard } from '../../../src/analytics/failure/recurrence.ts';
import { SlotMemory } from '../../../src/analytics/failure/slot-memory.ts';
import { seededRandom } from '../../../src/core/random.ts';

const MINUTE = 60_000;
const DAY = 1440 * MINUTE;
const HALF_HOUR = 30 * MINUTE;

/** Tells the hazard every minute up to `untilMs`; failures last five minutes from their beginning. */
function tell(
  hazard: RecurrenceHazard,
  beginnings: readonly number[],
  fromMs: number,
  untilMs: number,
): void {
  for (let at = fromMs; at < untilMs; at += MINUTE) {
    hazard.observe(
      at,
      beginnings.some((begin) => at >= begin && at < begin + 5 * MINUTE),
    );
  }
}

t.test('one return on the minute convinces, and the chance stands in the right half hour', async (t) => {
  const hazard = new RecurrenceHazard();
  const at = 600 * MINUTE;
  tell(hazard, [at, at + DAY, at + 2 * DAY], 0, 3 * DAY);
  const due = at + 3 * DAY;
  const before = hazard.outlook(due - 20 * MINUTE, HALF_HOUR);
  t.ok(before.probability > 0.7, `${before.probability} twenty minutes before`);
  t.match(before.schedule, { periodMs: DAY, seen: 3 });
  t.ok(hazard.outlook(due - 45 * MINUTE, HALF_HOUR).probability < 0.1, 'not yet an hour before');
  t.ok(hazard.outlook(due - 15 * MINUTE, 5 * MINUTE).probability < 0.1, 'a short horizon ends before it');
  t.ok(hazard.outlook(due + 60 * MINUTE, HALF_HOUR).probability < 0.1, 'and an hour later it is over');
});

t.test('one failure alone is no schedule', async (t) => {
  const hazard = new RecurrenceHazard();
  tell(hazard, [600 * MINUTE], 0, DAY + 590 * MINUTE);
  t.ok(hazard.outlook(DAY + 590 * MINUTE, HALF_HOUR).probability < 0.15);
});

t.test('a weekly job is due on its day only', async (t) => {
  const hazard = new RecurrenceHazard();
  const at = 2 * DAY + 300 * MINUTE;
  const beginnings = [0, 1, 2, 3].map((week) => at + 7 * week * DAY);
  tell(hazard, beginnings, 0, 29 * DAY);
  const monday = hazard.outlook(at + 28 * DAY - 10 * MINUTE, HALF_HOUR).probability;
  t.ok(monday > 0.5, `${monday} on its day`);
  t.ok(hazard.outlook(at + 27 * DAY - 10 * MINUTE, HALF_HOUR).probability < 0.1, 'not the day before');
});

t.test('a job that was switched off is forgotten after a few dues', async (t) => {
  const hazard = new RecurrenceHazard();
  const beginnings = Array.from({ length: 8 }, (_, day) => 600 * MINUTE + day * DAY);
  tell(hazard, beginnings, 0, 14 * DAY);
  const p = hazard.outlook(14 * DAY + 590 * MINUTE, HALF_HOUR).probability;
  t.ok(p < 0.35, `${p} after six days without it`);
});

t.test('failures at random give their rate and not more', async (t) => {
  const random = seededRandom(7);
  const beginnings = Array.from({ length: 30 }, () => Math.floor(random.next() * 28_800) * MINUTE).sort(
    (a, b) => a - b,
  );
  const hazard = new RecurrenceHazard();
  let sum = 0;
  let count = 0;
  for (let at = 0; at < 20 * DAY; at += 10 * MINUTE) {
    tell(hazard, beginnings, at, at + 10 * MINUTE);
    if (at < 5 * DAY) continue;
    sum += hazard.outlook(at, HALF_HOUR).probability;
    count += 1;
  }
  const truth = 30 / (20 * 48);
  t.ok(sum / count > 0.5 * truth && sum / count < 1.8 * truth, `mean ${sum / count}, truth ${truth}`);
});

t.test('nothing told, and time that stands still or goes back, give finite small chances', async (t) => {
  const hazard = new RecurrenceHazard();
  t.ok(hazard.outlook(0, HALF_HOUR).probability < 0.01);
  for (const at of [5, 5, 4, Number.NaN, 1e15, 6]) hazard.observe(at * MINUTE, true);
  const { probability } = hazard.outlook(10 * MINUTE, HALF_HOUR);
  t.ok(probability >= 0 && probability < 0.5, `${probability}`);
});

/** A week of minutes of one metric, with a spike of its own at `spike` minutes past midnight. */
function week(spike: number | undefined): SlotMemory {
  const random = seededRandom(3);
  const memory = new SlotMemory(2);
  for (let minute = 0; minute < 8 * 1440; minute += 1) {
    const spikes = spike !== undefined && minute % 1440 >= spike && minute % 1440 < spike + 4;
    memory.push(minute * MINUTE, [spikes ? 0.8 : 0.1 * random.next(), random.next()], false);
  }
  return memory;
}

t.test('the trace of a nightly job stands on the nights before its first confirmed failure', async (t) => {
  const at = (7 * 1440 + 200) * MINUTE;
  t.match(week(200).recurrenceOf(at), { matches: 7, misses: 0 });
  t.equal(week(undefined).recurrenceOf(at), undefined, 'an ordinary moment leaves no trace');

  const traced = new RecurrenceHazard();
  tell(traced, [at], 7 * DAY, at + HALF_HOUR);
  const before = traced.outlook(at + DAY - 10 * MINUTE, HALF_HOUR).probability;
  traced.addTrace(at, week(200).recurrenceOf(at)!);
  const after = traced.outlook(at + DAY - 10 * MINUTE, HALF_HOUR).probability;
  t.ok(before < 0.15 && after > 0.4, `${before} without, ${after} with the trace`);
});

t.test('a spike that no earlier day shows lowers the odds of a return', async (t) => {
  const memory = week(undefined);
  const at = 8 * DAY + 300 * MINUTE;
  for (let minute = 0; minute < 320; minute += 1) {
    memory.push(8 * DAY + minute * MINUTE, [minute >= 300 ? 0.9 : 0.05, 0.5], false);
  }
  t.match(memory.recurrenceOf(at), { matches: 0, misses: 7 });
});

t.test('what earlier days reached is known per span, and failing days do not count as usual', async (t) => {
  const memory = new SlotMemory(1);
  for (let minute = 0; minute < 3 * 1440; minute += 1) {
    const peak = minute % 1440 >= 600 && minute % 1440 < 660;
    memory.push(minute * MINUTE, [peak ? 0.7 + (minute > 2880 ? 0.2 : 0) : 0.3], minute > 2880 && peak);
  }
  const high = memory.usualHigh(3 * DAY + 590 * MINUTE, HALF_HOUR, 0);
  t.ok(Math.abs(high! - 0.7) < 1e-6, `${high}`);
  t.equal(new SlotMemory(1).usualHigh(0, HALF_HOUR, 0), undefined);
});
