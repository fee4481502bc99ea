// What the engine keeps between ticks: samples out of order, clocks that jump, restarts, who owns which demand.

import t from 'tap';
import {
  Resumption,
  readSaved,
  restoreCalendar,
  saveCalendar,
  saveWatch,
} from '../../src/analytics/engine-state.ts';
import { trainBoostedTrees } from '../../src/analytics/failure/boosted-trees.ts';
import { regionEntity, type Sample } from '../../src/analytics/ingest/sample.ts';
import type { Row } from '../../src/analytics/series-store.ts';
import { seededRandom } from '../../src/core/random.ts';
import { healthy, MINUTE, region, type Site, STEP, server, startSite, watchOf } from '../rig/site.ts';

/** What a later process does with rows and states that were kept. @returns what it could not read. */
function resume(site: Site, rows: readonly Row[], saved: ReadonlyMap<string, string>): string[] {
  const problems: string[] = [];
  const read = new Map(
    [...saved].map(([key, text]) => {
      const of = readSaved(text);
      if (typeof of === 'string') throw new Error(of);
      return [key, of] as const;
    }),
  );
  const resumption = new Resumption(read, (_, found) => problems.push(...found));
  site.engine.replay(rows, resumption);
  site.engine.finishReplay(resumption);
  return problems;
}

t.test('late, duplicate, future and unknown samples are counted and change nothing', async (t) => {
  const site = startSite();
  site.step([[region, { ...healthy, rps: 10 }]]);
  const now = site.clock.wallMs();
  const sample = (at: number, entity = region): Sample => ({
    entity,
    metric: 'rps',
    value: 99,
    at,
    source: '',
  });
  const intake = site.engine.ingest([
    sample(now - 40_000),
    sample(now + 10 * MINUTE),
    sample(now + 1000),
    sample(now + 1000),
    sample(now + 1000, regionEntity('misspelt')),
    sample(now - 3 * 3_600_000),
  ]);
  t.strictSame(intake.accepted, 1);
  t.strictSame(intake.dropped, { late: 2, future: 1, duplicate: 1, unknown_region: 1 });
  t.equal(site.engine.recent('region/a', 'rps', 1)[0], 10, 'a closed slot stays as it was seen');
});

t.test('parts of several proxies add up, shares are averaged', async (t) => {
  const site = startSite();
  const at = site.clock.wallMs() + 1000;
  const of = (source: string, metric: string, value: number, more = 0): Sample => ({
    entity: region,
    metric,
    value,
    at: at + more,
    source,
  });
  site.engine.ingest([
    of('p', 'rps', 10),
    of('p', 'rps', 30, 5000),
    of('q', 'rps', 5),
    of('p', 'cpu', 0.2),
    of('q', 'cpu', 0.4),
  ]);
  site.step([]);
  t.match(
    watchOf(site, 'region/a').row!.values,
    new Map([
      ['rps', 25],
      ['cpu', 0.30000000000000004],
    ]),
  );
});

t.test('a clock that jumps is noticed, and measuring goes on at once', async (t) => {
  const site = startSite();
  const usual = [[region, { ...healthy, rps: 10 }]] as const;
  for (let i = 0; i < 5; i++) site.step(usual);
  site.clock.jumpWall(-3_600_000);
  for (let i = 0; i < 5; i++) site.step(usual);
  t.equal(site.engine.counts.clockJumps, 1);
  t.equal(watchOf(site, 'region/a').row!.at, site.clock.wallMs(), 'rows of the right time are seen');
  t.equal(watchOf(site, 'region/a').row!.values.get('rps'), 10);
  site.clock.jumpWall(86_400_000);
  for (let i = 0; i < 5; i++) site.step(usual);
  t.equal(site.engine.counts.clockJumps, 2);
  t.equal(watchOf(site, 'region/a').row!.values.get('rps'), 10);
  t.ok(site.rows.length < 600, 'a day is not lived through row by row');
});

t.test(
  'a failure that ended before the clock was set back is over soon, not when that time comes again',
  async (t) => {
    const site = startSite();
    for (let i = 0; i < 5; i++) site.step([[region, { ...healthy, rps: 10 }]]);
    for (let i = 0; i < 3; i++) site.step([[region, { ...healthy, rps: 10, healthy_share: 0 }]]);
    t.equal(watchOf(site, 'region/a').risk!.risk, 1);
    site.clock.jumpWall(-3_600_000);
    for (let i = 0; i < 5; i++) site.step([[region, { ...healthy, rps: 10 }]]);
    t.equal(watchOf(site, 'region/a').outcome.since.failure, undefined);
    t.ok(watchOf(site, 'region/a').risk!.risk < 0.5);
  },
);

t.test('what is said after k rows does not depend on what comes later', async (t) => {
  const run = (length: number): string[] => {
    const site = startSite(100);
    const random = seededRandom(5);
    const said: string[] = [];
    for (let i = 0; i < length; i++) {
      const up = i > 80 && i < 86 ? 0 : 1;
      site.step([
        [region, { rps: 40 + i * 0.3 + random.next(), error_rate: 0.01 * random.next(), healthy_share: up }],
        [server, { memory: 0.3 + i * 0.004, cpu: random.next() * 0.5, up }],
      ]);
      said.push(JSON.stringify(watchOf(site, 'region/a').risk));
    }
    return said;
  };
  t.strictSame(run(120).slice(0, 90), run(90));
});

t.test('backfill is lived through slot by slot, in the order of time', async (t) => {
  const site = startSite();
  const now = site.clock.wallMs();
  const samples: Sample[] = [];
  for (let i = 1; i <= 100; i++) {
    samples.push({ entity: region, metric: 'rps', value: i, at: now - i * STEP, source: '' });
  }
  const intake = site.engine.backfill(samples.slice(29));
  t.equal(intake.accepted, 71);
  t.equal(site.rows.length, 70, 'all but the newest slot, which may still be added to');
  site.step([]);
  t.equal(site.rows.length, 70, 'while it goes on, time does not');
  t.equal(site.engine.backfill(samples.slice(0, 29)).accepted, 29);
  site.step([]);
  t.ok(site.rows.length >= 100, 'a past that has reached the present is over');
  t.ok(site.rows.every((row, i) => i === 0 || row.at >= site.rows[i - 1]!.at));
  t.strictSame([...site.engine.recent('region/a', 'rps', 7)].slice(0, 5), [5, 4, 3, 2, 1]);
  t.match(
    site.engine.backfill([samples[50]!]),
    { accepted: 0, dropped: { late: 1 } },
    'the past is not written twice',
  );
});

t.test('a restart continues where it stopped', async (t) => {
  const values = (i: number) =>
    [
      [region, { ...healthy, rps: 50 + (i % 7), healthy_share: i > 60 && i < 66 ? 0 : 1 }],
      [server, { memory: 0.4 + i * 0.002, cpu: 0.2 + 0.01 * (i % 5), up: i > 60 && i < 66 ? 0 : 1 }],
    ] as const;
  const whole = startSite(100);
  for (let i = 0; i < 150; i++) whole.step(values(i));
  const before = startSite(100);
  before.engine.calendar.learn(
    {
      id: '',
      kind: 'campaign',
      regions: [],
      start: 0,
      end: 1,
      title: 'X',
      severity: 0,
      loadFactor: undefined,
    },
    2,
  );
  for (let i = 0; i < 120; i++) before.step(values(i));
  const saved = new Map(
    [...before.engine.watches()].flatMap((watch) => {
      const text = saveWatch(watch, before.engine.settings);
      return text === undefined ? [] : [[watch.entity.key, text] as const];
    }),
  );
  for (let i = 120; i < 130; i++) before.step(values(i));
  // Another process: it has all rows, and models as they were ten rows before the end.
  const after = startSite(100);
  after.clock.pass(130 * STEP);
  const problems = resume(after, before.rows.slice(60), saved);
  t.strictSame(problems, []);
  restoreCalendar(after.engine.calendar, saveCalendar(before.engine.calendar));
  t.equal(after.engine.calendar.learnt().length, 1);
  for (let i = 130; i < 150; i++) after.step(values(i));
  for (const key of ['region/a', 'server/a/http://a1']) {
    const [a, b] = [watchOf(whole, key), watchOf(after, key)];
    // Anomaly detectors know the rows that are there, which are half as many here.
    t.strictSame(
      b.risk && { ...b.risk, anomaly: 0 },
      a.risk && { ...a.risk, anomaly: 0 },
      'the same risk as without the restart',
    );
    t.strictSame(b.failure, a.failure, 'and what the models of failures say, with half of their rows gone');
    t.strictSame(
      b.outlook === undefined ? undefined : { ...b.outlook, above: b.outlook.above(60) },
      a.outlook === undefined ? undefined : { ...a.outlook, above: a.outlook.above(60) },
      'and the demand, by the same method',
    );
    t.strictSame(
      b.scores.failure.figures(),
      a.scores.failure.figures(),
      'and the same accuracy, counted once',
    );
    t.strictSame(b.scores.demand.figures(), a.scores.demand.figures(), 'of forecasts too');
    t.strictSame(b.drift.state(), a.drift.state());
  }
  t.ok(watchOf(after, 'region/a').scores.demand.figures().scored > 100);
  t.strictSame(
    [...after.engine.recent('region/a', 'rps', 40)],
    [...whole.engine.recent('region/a', 'rps', 40)],
  );
});

t.test(
  'trained trees, calibration and acted state outlive a restart; what cannot be read is said so',
  async (t) => {
    const before = startSite(100);
    // Six failures of a server, each after its memory climbed; enough to train on.
    const climb = (i: number) => {
      const up = i % 100 >= 95 ? 0 : 1;
      const memory = 0.3 + Math.max(0, (i % 100) - 80) * 0.02;
      return [[server, { memory, cpu: 0.2 + 0.01 * (i % 5), up }]] as const;
    };
    for (let i = 0; i < 900; i++) before.step(climb(i));
    const watch = watchOf(before, server.key);
    const job = watch.models.failure!.training(false);
    if (job?.kind !== 'failure') return t.fail('nothing to train on');
    watch.models.failure!.adopt(trainBoostedTrees(job.rows));
    watch.acted = true;
    watch.models.failure!.setActedUpon(true);
    for (let i = 900; i < 905; i++) before.step(climb(i));
    const text = saveWatch(watch, before.engine.settings)!;
    const after = startSite(100);
    after.clock.pass(905 * STEP);
    t.strictSame(resume(after, before.rows.slice(-3), new Map([[server.key, text]])), []);
    t.equal(watchOf(after, server.key).acted, true);
    for (let i = 905; i < 990; i++) {
      before.step(climb(i));
      after.step(climb(i));
      t.strictSame(watchOf(after, server.key).failure, watch.failure, `row ${i}`);
    }
    t.strictSame(
      watchOf(after, server.key).models.failure!.state(),
      watch.models.failure!.state(),
      'all that is known is the same',
    );

    const broken = (change: (state: Record<string, Record<string, unknown>>) => void): string => {
      const state = JSON.parse(text);
      change(state);
      return JSON.stringify(state);
    };
    const cases: [string, string, RegExp][] = [
      ['cut', text.slice(0, -40), /JSON/],
      ['of a later version', broken((state) => Object.assign(state, { version: 3 })), /version is 3, ours 2/],
      ['no state at all', '7', /must be an object/],
    ];
    for (const [what, given, problem] of cases) t.match(readSaved(given), problem, what);
    const trees = broken((state) => {
      const failure = state.models!.failure as { predictor: { trees: { leafValue: string } } };
      failure.predictor.trees.leafValue = 'AAAA';
    });
    const third = startSite(100);
    third.clock.pass(990 * STEP);
    const problems = resume(third, before.rows.slice(-3), new Map([[server.key, trees]]));
    t.match(problems[0], /models\.failure\.predictor\.trees\.leafValue must be/);
    t.equal(
      watchOf(third, server.key).scores.failure.figures().scored > 0,
      true,
      'the parts that can be read are taken',
    );
    third.step(climb(990));
    t.ok(watchOf(third, server.key).failure !== undefined, 'and the engine goes on');
  },
);

t.test('a region is expected to get the demand of what it owns, not what it got so far', async (t) => {
  const site = startSite();
  const groups = [0, 1, 2, 3].map(
    (group) => ({ kind: 'group', key: `group/${group}`, region: '', id: String(group) }) as const,
  );
  const own = (of: readonly number[]): Float64Array =>
    Float64Array.from({ length: 64 }, (_, g) => (of.includes(g) ? 1 : 0));
  site.engine.setOwnership(
    new Map([
      ['a', own([0, 1])],
      ['b', own([2, 3])],
    ]),
  );
  const demand = () => [
    ...groups.map((group) => [group, { rps: 10, error_rate: 0 }] as const),
    [region, { ...healthy, rps: 20 }] as const,
  ];
  for (let i = 0; i < 100; i++) site.step(demand());
  t.ok(Math.abs(watchOf(site, 'region/a').load!.p50 - 20) < 1);
  site.engine.setOwnership(
    new Map([
      ['a', own([0, 1, 2])],
      ['b', own([3])],
    ]),
  );
  site.step(demand());
  t.ok(
    Math.abs(watchOf(site, 'region/a').load!.p50 - 30) < 1,
    'at once, without a single request of the new ones',
  );
});

t.test('a model that throws costs its entity the models, not the engine its life', async (t) => {
  const site = startSite();
  site.step([[region, { ...healthy, rps: 1 }]]);
  const watch = watchOf(site, 'region/a');
  watch.models = {
    ...watch.models,
    failure: {
      ...watch.models.failure!,
      observe: () => {
        throw new Error('broken');
      },
    },
  };
  site.step([
    [region, { ...healthy, rps: 1 }],
    [server, { cpu: 0.1, up: 1 }],
  ]);
  t.equal(site.engine.counts.modelFailures, 1);
  site.step([[region, { ...healthy, rps: 1 }]]);
  t.equal(site.engine.counts.modelFailures, 1, 'it has new models');
  t.ok(Math.abs(site.engine.recent(server.key, 'cpu', 2)[0]! - 0.1) < 1e-6, 'others were not touched');
});
