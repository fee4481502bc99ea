// A region comes back from a failure by doubling its share, not at its first calm moment.

import fc from 'fast-check';
import t from 'tap';
import { FULL_TRUST, nextTrust, type Trust } from '../../src/plan/slow-return.ts';
import { inPeace, ROUND_MS } from '../rig/rounds.ts';

const RULES = { hysteresis: 0.1, dwell: 1000 };

/** Shares after each of these seconds: f = fails, h = half of its servers are out, d = all of them, . = well. */
function shares(seconds: string): number[] {
  let trust: Trust = FULL_TRUST;
  return [...seconds].map((second, i) => {
    trust = nextTrust(
      trust,
      { isFailing: second === 'f', isDown: second === 'd', isWhole: second !== 'h' },
      i * 1000,
      RULES,
    );
    return trust.share;
  });
}

t.test('it doubles with each dwell without a failure, and a failure begins anew', async (t) => {
  t.strictSame(shares('..'), [1, 1]);
  t.strictSame(shares('ff....f.'), [0.02, 0.02, 0.04, 0.08, 0.16, 0.32, 0.02, 0.04]);
  t.equal(shares(`f${'.'.repeat(6)}`).at(-1), 1);
});

t.test('what took a server may take the rest: it waits for the others, but not for ever', async (t) => {
  t.strictSame(shares('fhhh..'), [0.02, 0.02, 0.02, 0.02, 0.04, 0.08]);
  const waited = shares(`f${'h'.repeat(11)}`);
  t.equal(waited[9], 0.02);
  t.strictSame(waited.slice(10), [0.04, 0.08]);
});

t.test('one that was down comes back when it is up: health has seen the end of it', async (t) => {
  t.strictSame(shares('fd..'), [0.02, 1, 1, 1]);
});

t.test('whatever happens, the share is within bounds and never more than doubles', async (t) => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom('f', 'h', '.')), (seconds) => {
      const all = [1, ...shares(seconds.join(''))];
      return all.every((share, i) => share > 0 && share <= 1 && (i === 0 || share <= 2 * all[i - 1]!));
    }),
  );
  t.pass();
});

t.test('in a plan', async (t) => {
  t.test('a region that failed gets back a part of its keys after each dwell', async (t) => {
    const site = inPeace();
    site.risk('a', 1, 1).say('a', { isFailing: true, isErring: true }).pass(ROUND_MS);
    t.equal(site.weights.a, 0);
    site.risk('a', 0).say('a', { isFailing: false, isErring: false }).pass(70_000);
    t.ok(site.weights.a! <= 0.04, `${site.weights.a}`);
    t.equal(site.record('a').reason, 'returning');
    site.pass(600_000);
    t.equal(site.weights.a, 1);
  });

  t.test(
    'what has left it stays where it is, although the others are above their target by it',
    async (t) => {
      const site = inPeace();
      for (const id of ['a', 'b', 'c']) site.say(id, { capacity: 100 });
      site.demand = 180;
      site.risk('a', 1, 1).say('a', { isFailing: true, isErring: true }).pass(ROUND_MS);
      site.risk('a', 0).say('a', { isFailing: false, isErring: false }).pass(70_000);
      t.ok(site.weights.a! <= 0.04, `${site.weights.a}`);
    },
  );

  t.test('one whose failure was only foreseen comes back at once', async (t) => {
    const site = inPeace();
    site.risk('a', 0.95).pass(ROUND_MS);
    site.risk('a', 0).pass(70_000);
    t.equal(site.weights.a, 1);
  });

  t.test('one that had lost servers when more of it was likely does not', async (t) => {
    const site = inPeace();
    site.risk('a', 0.8).say('a', { healthFactor: 0.7 }).pass(ROUND_MS);
    site.risk('a', 0).pass(300_000);
    t.ok(site.weights.a! <= 0.02, `${site.weights.a}`);
    site.say('a', { healthFactor: 1 }).pass(600_000);
    t.equal(site.weights.a, 1);
  });

  t.test('what an engine says that may only look on is not acted upon', async (t) => {
    const site = inPeace();
    site.mode = 'off';
    site.say('a', { isFailing: true, isErring: true }).pass(ROUND_MS);
    t.equal(site.weights.a, 1);
  });
});
