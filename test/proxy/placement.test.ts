import t from 'tap';
import { runSchedules } from '../rig/residency-schedules.ts';

// `npm run bench:residency` runs a million.
const SCHEDULES = 100_000;

t.test('no fault, retry, fallback or panic lets a locked key out of its regions', async (t) => {
  const seed = Math.floor(Math.random() * 2 ** 31);
  const counts = runSchedules(SCHEDULES, seed);
  t.comment(`seed ${seed}: ${JSON.stringify({ ...counts, escapes: counts.escapes.length })}`);
  t.same(counts.escapes, [], `seed ${seed}`);
  // What is shown is only as good as what was tried.
  t.ok(counts.locked > SCHEDULES / 2, 'most requests were held by a lock');
  t.ok(counts.retries > SCHEDULES / 4, 'many were tried again');
  t.ok(counts.elsewhere > SCHEDULES / 4, 'many of them in another region');
  t.ok(counts.panics > SCHEDULES / 10, 'and many in panic mode');
});
