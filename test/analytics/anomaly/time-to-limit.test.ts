import fc from 'fast-check';
import t from 'tap';
import { LimitWatch } from '../../../src/analytics/anomaly/time-to-limit.ts';
import { seededRandom } from '../../../src/core/random.ts';
import { normal } from './recordings.ts';

const MINUTE = 60_000;
const OPTIONS = { limit: 1, points: 40, memoryMs: 60 * MINUTE };

/** Watch after `count` points 30 s apart. */
function watch(count: number, valueAt: (index: number) => number): LimitWatch {
  const limit = new LimitWatch(OPTIONS);
  for (let i = 0; i < count; i++) limit.push(i * 30_000, valueAt(i));
  return limit;
}

t.test('a steady climb has a time and a reason in words', async (t) => {
  const memory = watch(40, (i) => 0.49 + 0.01 * i);
  t.match(memory.estimate(), { agreement: 1 });
  t.equal(Math.round(memory.estimate()!.seconds), 360);
  t.equal(memory.words(600), 'reaches its limit in 6 min');
  t.equal(memory.words(300), undefined, 'beyond the horizon nothing is said');
  t.equal(watch(47, (i) => 0.5 + 0.01 * i).words(600), 'reaches its limit in 2 min');
  t.equal(watch(50, (i) => 0.5 + 0.01 * i).words(600), 'reaches its limit in 30 s');
  t.equal(watch(60, (i) => 0.5 + 0.01 * i).words(600), 'is at its limit');
});

t.test('a third of wild values moves the time little', async (t) => {
  const random = seededRandom(1);
  const memory = watch(40, (i) =>
    i % 4 === 1 ? 5 * random.next() : 0.5 + 0.01 * i + 0.002 * normal(random),
  );
  const { seconds, earliest, latest } = memory.estimate()!;
  t.ok(seconds > 230 && seconds < 430, `${seconds.toFixed(0)} s`);
  t.ok(earliest <= seconds && seconds <= latest);
});

t.test('noise, a fall, a sawtooth and a daily peak below the limit have no reason', async (t) => {
  const random = seededRandom(2);
  for (let trial = 0; trial < 200; trial++) {
    t.equal(watch(40, () => 0.9 + 0.02 * normal(random)).words(600), undefined);
  }
  t.equal(watch(40, (i) => 0.9 - 0.01 * i).words(600), undefined);
  t.equal(watch(40, (i) => 0.5 + 0.04 * (i % 10)).words(600), undefined);
  for (let from = 0; from < 2880; from += 20) {
    const peak = watch(40, (i) => 0.5 + 0.3 * Math.sin((2 * Math.PI * (from + i)) / 2880));
    t.equal(peak.words(600), undefined);
  }
});

t.test('too few points, gaps and times that go back are no ground for a time', async (t) => {
  t.equal(watch(7, (i) => i / 10).estimate(), undefined);
  const limit = watch(40, (i) => 0.01 * i);
  limit.push(5000, 0.9);
  limit.push(Number.NaN, 0.9);
  limit.push(40 * 30_000, Number.NaN);
  t.equal(limit.estimate()!.agreement, 1, 'none of them counts');
  limit.push(40 * 30_000 + 61 * MINUTE, 0.3);
  t.equal(limit.estimate(), undefined, 'what is older than the memory is gone');
});

t.test('any values give numbers, never NaN', async () => {
  const value = fc.oneof(fc.double(), fc.constantFrom(1e308, -1e308, 5e-324));
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.double(), value), { maxLength: 60 }), (points) => {
      const limit = new LimitWatch(OPTIONS);
      for (const [atMs, at] of points) limit.push(atMs, at);
      const estimate = limit.estimate();
      return estimate === undefined || Object.values(estimate).every((number) => !Number.isNaN(number));
    }),
    { numRuns: 200, seed: 3 },
  );
});
