import t from 'tap';
import { decodeOwners } from '../../src/plan/plan.ts';
import { holdShift, resumeShift, revertShift, type Shift } from '../../src/plan/shift.ts';
import { inPeace, ownersOf, ROUND_MS, type Rounds, type RoundsOptions, THIRDS } from '../rig/rounds.ts';

t.test('a region that can serve nothing', async (t) => {
  t.test('loses everything at once, and nobody else moves', async (t) => {
    const site = inPeace();
    const before = decodeOwners(ownersOf(site));
    site.say('a', { healthFactor: 0 });
    const { moves } = site.pass(ROUND_MS);
    t.equal(site.progress(), undefined, 'no ramp');
    t.strictSame(site.owned(), { a: 0, b: 128, c: 128 });
    const after = decodeOwners(ownersOf(site));
    t.ok(before.every((owner, shard) => owner === 0 || after[shard] === owner));
    t.strictSame(moves, { health: 86 });
  });

  t.test('is given back its keys over a ramp, after the dwell', async (t) => {
    const site = inPeace();
    const before = ownersOf(site);
    site.say('a', { healthFactor: 0 }).pass(ROUND_MS);
    site.say('a', { healthFactor: 1 }).pass(60_000);
    t.equal(site.owned().a, 0, 'not before the dwell is over');
    site.pass(ROUND_MS);
    t.equal(site.progress(), 0);
    t.strictSame(site.owned(), THIRDS);
    site.pass(60_000);
    t.equal(site.progress(), undefined);
    t.equal(ownersOf(site).length, before.length);
  });

  t.test('a region that flaps is out until it has stayed for the dwell', async (t) => {
    const site = inPeace();
    site.say('a', { healthFactor: 0 }).pass(ROUND_MS);
    const out = ownersOf(site);
    for (let i = 0; i < 20; i++) site.say('a', { healthFactor: i % 2 === 0 ? 1 : 0 }).pass(30_000);
    t.equal(ownersOf(site), out);
  });

  t.test('where no region can serve nothing moves', async (t) => {
    const site = inPeace();
    const before = ownersOf(site);
    for (const id of ['a', 'b', 'c']) site.say(id, { healthFactor: 0 });
    site.pass(ROUND_MS);
    t.equal(ownersOf(site), before);
  });

  t.test('a source that dies in mid-ramp: its keys cross at once', async (t) => {
    const site = inPeace();
    site.risk('a', 0.8).pass(30_000);
    site.say('a', { healthFactor: 0 }).pass(ROUND_MS);
    t.equal(site.served('a'), 0);
    t.equal(site.progress(), undefined);
  });

  t.test('a destination that dies in mid-ramp: what was to be its own goes elsewhere at once', async (t) => {
    const site = inPeace();
    site.risk('a', 0.8).pass(30_000);
    site.say('b', { healthFactor: 0 }).pass(ROUND_MS);
    t.equal(site.served('b'), 0);
    t.ok(site.progress()! > 0, 'the others of the ramp go on');
  });

  t.test('what shall leave a failing region leaves at once, what is on its way to it returns', async (t) => {
    const site = inPeace();
    site.risk('a', 0.8).pass(30_000);
    t.ok(site.progress()! > 0 && site.served('a') > 0.02);
    site.risk('a', 1, 1).say('a', { isFailing: true }).pass(ROUND_MS);
    t.equal(site.served('a'), 0);
    t.equal(site.progress(), undefined);
  });

  t.test('a destination that is evicted in mid-ramp gets no further keys', async (t) => {
    const site = inPeace(['a', 'b', 'c', 'd'], { rules: { maxDemoted: 0.5 } });
    site.risk('a', 0.8).pass(30_000);
    const b = site.state.regionIds.indexOf('b');
    site.risk('b', 0.95).pass(ROUND_MS);
    const { owners, shift } = site.table();
    t.notOk([...shift!.moving.keys()].some((shard) => owners[shard] === b));
  });
});

t.test('a shift', async (t) => {
  /** Half-way through moving keys off `a`. */
  const halfWay = (options?: RoundsOptions): Rounds => {
    const site = inPeace(undefined, options);
    site.risk('a', 0.8).pass(ROUND_MS);
    site.pass(30_000);
    t.equal(site.progress(), 0.5);
    return site;
  };

  t.test('is held while a destination breaches a guard and goes on where it stopped', async (t) => {
    const site = halfWay();
    const { id } = site.table().shift!;
    const held = site.signals('b', { errorShare: 0.05 }).pass(ROUND_MS);
    t.match(held.notes, ['shift held: errors in b']);
    const at = site.progress()!;
    site.pass(20_000);
    t.equal(site.progress(), at);
    site.signals('b', {}).pass(ROUND_MS);
    t.equal(site.table().shift!.id, id, 'the same shift, so that no key jumps');
    site.pass(ROUND_MS);
    t.ok(Math.abs(site.progress()! - at - ROUND_MS / 60_000) < 1e-3);
    site.pass(30_000);
    t.equal(site.progress(), undefined);
  });

  t.test('is taken back at twice the speed when the breach lasts, and its weights with it', async (t) => {
    const site = halfWay();
    const before = site.served('a');
    site.signals('b', { p99: 100 }).pass(ROUND_MS);
    const result = site.pass(30_000);
    t.match(result.notes, ['shift reverted: p99 in b']);
    t.strictSame(site.weights, { a: 1, b: 1, c: 1 });
    t.equal(site.table().shift!.phase, 'revert');
    const back = site.progress()!;
    site.signals('b', {}).pass(ROUND_MS);
    t.ok(Math.abs(back - site.progress()! - (2 * ROUND_MS) / 60_000) < 1e-3, 'twice the speed');
    site.pass(20_000);
    t.equal(site.progress(), undefined);
    t.ok(site.served('a') > before);
    t.strictSame(site.owned(), THIRDS);
  });

  t.test(
    'gives the table the owners that it had, and nothing moves again while it is suppressed',
    async (t) => {
      const site = inPeace();
      const before = ownersOf(site);
      site.risk('a', 0.8).pass(35_000);
      site.signals('b', { p99: 100 }).pass(35_000);
      site.signals('b', {}).pass(30_000);
      t.equal(ownersOf(site), before);
      t.equal(site.progress(), undefined);
      const end = site.state.suppressedUntil;
      site.pass(end - site.now - ROUND_MS);
      t.equal(ownersOf(site), before);
      site.pass(2 * ROUND_MS);
      t.strictSame(site.weights, { a: 0.1, b: 1, c: 1 }, 'then it may try again');
      t.equal(site.progress() !== undefined, true);
    },
  );

  t.test('passes over a breach while the place that the keys leave is worse', async (t) => {
    const site = halfWay();
    site.signals('b', { errorShare: 0.05 }).signals('a', { errorShare: 0.3 }).pass(ROUND_MS);
    t.equal(site.table().shift!.phase, 'ramp');
    site.signals('a', {}).pass(ROUND_MS);
    t.equal(site.table().shift!.phase, 'hold');
  });

  t.test('a few requests are no breach', async (t) => {
    const site = halfWay();
    site.signals('b', { errorShare: 0.5, requests: 10 }).pass(ROUND_MS);
    t.equal(site.table().shift!.phase, 'ramp');
  });

  t.test('makes a later wish wait, and fulfils it when it has ended', async (t) => {
    const site = halfWay();
    const { id, progress } = site.table().shift!;
    site.risk('a', 0.95).pass(ROUND_MS);
    t.strictSame(site.weights, { a: 0, b: 1, c: 1 });
    t.equal(site.table().shift!.id, id);
    t.strictSame(site.table().shift!.progress, progress, 'the ramp under way is left alone');
    site.pass(25_000);
    t.not(site.table().shift!.id, id);
    t.equal(site.owned().a, 0);
    site.pass(60_000);
    t.equal(site.served('a'), 0);
  });

  t.test('whose owners are told begins after the notice', async (t) => {
    const site = inPeace(undefined, { rules: { notice: 1000 } });
    site.risk('a', 0.8).pass(ROUND_MS);
    const [first, last] = site.planned().shift!.progress;
    t.strictSame(first, [new Date(site.now + 1000).toISOString(), 0]);
    t.strictSame(last, [new Date(site.now + 61_000).toISOString(), 1]);
  });

  t.test('that is taken back before its first key has moved is over at once', async (t) => {
    const site = inPeace(undefined, { rules: { notice: 60_000 } });
    const before = ownersOf(site);
    site.risk('a', 0.8).pass(ROUND_MS);
    site.signals('b', { p99: 100 }).pass(40_000);
    t.equal(site.progress(), undefined);
    t.equal(ownersOf(site), before);
  });
});

t.test('points of a shift that is turned or goes on fall on different milliseconds', async (t) => {
  const ramp: Shift = {
    id: 'x',
    moving: new Map([[1, 0]]),
    progress: [
      [0, 0],
      [60_000, 1],
    ],
    phase: 'ramp',
    since: 0,
  };
  for (const now of [1, 2, 59_999]) {
    const held = holdShift(ramp, now);
    for (const { progress } of [revertShift(ramp, now, 60_000), resumeShift(held, now, 60_000)]) {
      const [from, to] = progress.map(([at]) => Date.parse(new Date(at).toISOString()));
      t.ok(to! > from!, `${from} and ${to}`);
    }
  }
});

t.test('danger that grows in steps: a small shift under way does not make a large one wait', async (t) => {
  const site = inPeace();
  site.risk('a', 0.34).pass(ROUND_MS);
  const small = site.planned().shift!;
  t.ok(small.moving.length <= 10, `${small.moving.length} shards`);
  site.pass(30_000);
  site.risk('a', 0.95).pass(ROUND_MS);
  const large = site.planned().shift!;
  t.not(large.id, small.id);
  t.equal(site.owned().a, 0, 'the large one is on its way');
  t.ok(large.moving.length > 60);

  const patient = inPeace();
  patient.risk('a', 0.6).pass(ROUND_MS);
  const first = patient.planned().shift!;
  patient.risk('a', 0.66).pass(ROUND_MS);
  t.equal(patient.planned().shift!.id, first.id, 'a little more waits for a large one');
});
