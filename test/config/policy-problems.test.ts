import t from 'tap';
import { policyProblems } from '../../src/config/policy-problems.ts';

t.test('everything that is wrong with a policy is said at once, with what is allowed', async (t) => {
  t.strictSame(policyProblems({ policy: 'round_robin', maxAddedLatency: '5ms' }), []);
  const problems = policyProblems({
    colour: 'red',
    maxAddedLatency: '-1ms',
    priority: 'huge',
    geography: { near: { lat: 91, lon: 0 }, withinKm: 5 },
    regions: [],
  });
  t.match([...problems].sort(), [
    /^colour: unknown key; allowed are .*maxAddedLatency/,
    /^geography\.near\.lat: must be .*-90.*90/,
    /^maxAddedLatency: must be .*duration/,
    /^priority: must be one of critical, high, normal, sheddable$/,
    /^regions: must be a list of 1 to 512 entries$/,
  ]);
  t.match(policyProblems(null), [/^body: must be a mapping/]);
});
