import t from 'tap';
import { wallTimestamp } from '../../src/core/clock.ts';
import { seededRandom } from '../../src/core/random.ts';
import { ULID_PATTERN, ulid } from '../../src/core/ulid.ts';
import { HandClock } from '../rig/clock.ts';

t.test('the text order of ulids is their order in time', async (t) => {
  const clock = new HandClock();
  const random = seededRandom(11);
  let before = ulid(clock, random);
  for (let i = 0; i < 500; i++) {
    clock.pass(1 + (i % 7) * 1000);
    const next = ulid(clock, random);
    if (next <= before) t.fail(`${next} after ${before}`);
    before = next;
  }
  t.match(before, ULID_PATTERN);
});

t.test('the time of a ulid is that of the specification', async (t) => {
  const random = seededRandom(1);
  // github.com/ulid/spec: 01ARZ3NDEKTSV4RRFFQ69G5FAV carries 1469922850259.
  t.equal(ulid(new HandClock(0, 1_469_922_850_259), random).slice(0, 10), '01ARZ3NDEK');
  t.equal(ulid(new HandClock(0, 0), random).slice(0, 10), '0000000000');
  t.equal(ulid(new HandClock(0, 2 ** 48 - 1), random).slice(0, 10), '7ZZZZZZZZZ');
  t.equal(ulid(new HandClock(0, -5), random).slice(0, 10), '0000000000', 'a clock before 1970 is 1970');
});

t.test('two ulids of one millisecond differ', async (t) => {
  const clock = new HandClock();
  const random = seededRandom(2);
  const many = new Set(Array.from({ length: 1000 }, () => ulid(clock, random)));
  t.equal(many.size, 1000);
  for (const id of many) if (!ULID_PATTERN.test(id)) t.fail(id);
});

t.test('stamps are RFC 3339 in UTC', async (t) => {
  t.equal(wallTimestamp(new HandClock(0, Date.UTC(2026, 10, 21, 9, 30, 15, 7))), '2026-11-21T09:30:15.007Z');
});
