// What a region can take, learnt from what it was seen to take.

import t from 'tap';
import { CapacityEstimate } from '../../src/analytics/capacity-estimate.ts';
import { seededRandom } from '../../src/core/random.ts';

const row = (values: Readonly<Record<string, number>>): Map<string, number> =>
  new Map(Object.entries(values));

t.test('unknown at first, then what the busiest resource would allow', async (t) => {
  const estimate = new CapacityEstimate();
  t.equal(estimate.value(), undefined);
  for (let i = 0; i < 9; i++) estimate.observe(row({ rps: 100, cpu: 0.25 }));
  t.equal(estimate.value(), undefined, 'too few to believe');
  for (let i = 0; i < 50; i++) estimate.observe(row({ rps: 100, cpu: 0.25 }));
  t.ok(Math.abs(estimate.value()! - 400) < 1);
  estimate.observe(row({ rps: 1, cpu: 0.01 }));
  t.ok(Math.abs(estimate.value()! - 400) < 1, 'idle says nothing');
});

t.test('a load at which answers fail is the limit', async (t) => {
  const estimate = new CapacityEstimate();
  for (let rps = 100; rps <= 500; rps += 5) estimate.observe(row({ rps, error_rate: 0 }));
  t.equal(estimate.value(), undefined, 'no witness yet');
  for (let rps = 505; rps <= 600; rps += 5) estimate.observe(row({ rps, error_rate: 0.2 }));
  const learnt = estimate.value()!;
  t.ok(learnt > 500 && learnt < 600, `${learnt}`);
});

t.test('a bug at a usual load is no limit of the load', async (t) => {
  const random = seededRandom(1);
  const estimate = new CapacityEstimate();
  const usual = (): number => 98 + 4 * random.next();
  for (let i = 0; i < 500; i++) estimate.observe(row({ rps: usual(), error_rate: 0 }));
  for (let i = 0; i < 60; i++) estimate.observe(row({ rps: usual(), error_rate: 0.5 }));
  t.equal(estimate.value(), undefined);
});

t.test('a limit that is served well later is forgotten by and by', async (t) => {
  const estimate = new CapacityEstimate();
  for (let i = 0; i < 20; i++) estimate.observe(row({ rps: 50, error_rate: 0 }));
  for (let i = 0; i < 5; i++) estimate.observe(row({ rps: 100, error_rate: 0.3 }));
  t.equal(estimate.value(), 100);
  for (let i = 0; i < 50; i++) estimate.observe(row({ rps: 100, error_rate: 0 }));
  t.ok(estimate.value()! > 104, `${estimate.value()}`);
  for (let i = 0; i < 50; i++) estimate.observe(row({ rps: 160, error_rate: 0 }));
  t.ok(estimate.value()! > 165, 'servers were added');
});
