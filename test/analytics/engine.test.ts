// What a site shows, minute by minute, and what the engine makes of it.

import t from 'tap';
import { riskReport } from '../../src/analytics/report.ts';
import { seededRandom } from '../../src/core/random.ts';
import { healthy, MINUTE, region, STEP, server, startSite, watchOf } from '../rig/site.ts';

t.test('memory that climbs is flagged minutes before the server dies, and the reason says so', async (t) => {
  const site = startSite();
  const random = seededRandom(1);
  const noise = (): number => (random.next() - 0.5) * 0.01;
  const usual = (memory: number, up: number) =>
    [
      [region, { ...healthy, rps: 50 + 5 * random.next(), healthy_share: up }],
      [
        server,
        { cpu: 0.3 + noise(), memory: memory + noise(), rps: 50 + 5 * random.next(), error_rate: 0, up },
      ],
    ] as const;
  let highest = 0;
  for (let i = 0; i < 240; i++) {
    site.step(usual(0.5, 1));
    highest = Math.max(highest, watchOf(site, 'region/a').risk!.risk);
  }
  t.ok(highest < 0.3, `two quiet hours stay below the lowest threshold, highest ${highest.toFixed(2)}`);
  let flaggedAt: number | undefined;
  let reasons: readonly string[] = [];
  let diesAt = 0;
  // From half to full in twenty minutes.
  for (let i = 0; i < 40; i++) {
    const memory = 0.5 + (0.48 * i) / 40;
    site.step(usual(memory, 1));
    diesAt = site.clock.wallMs();
    const { risk } = watchOf(site, 'region/a');
    if (flaggedAt === undefined && risk!.risk >= 0.5) {
      flaggedAt = site.clock.wallMs();
      reasons = risk!.reasons;
    }
  }
  if (flaggedAt === undefined) return t.fail('the climb was never flagged');
  const lead = (diesAt - flaggedAt) / MINUTE;
  t.ok(lead >= 3, `flagged ${lead} minutes before`);
  t.match(reasons[0], /^memory reaches its limit in \d+ (min|s)/);
  for (let i = 0; i < 4; i++) site.step(usual(0.99, 0));
  const { scores } = watchOf(site, 'region/a');
  const figures = scores.failure.figures();
  t.equal(figures.events, 1);
  t.equal(figures.foreseen, 1);
  t.ok(figures.leadMs! >= 3 * MINUTE, 'the engine counts its own lead');
  t.equal(watchOf(site, 'region/a').risk!.reasons[0], 'it is failing now');
});

t.test('a harmless daily peak is not flagged', async (t) => {
  const site = startSite(500);
  const random = seededRandom(2);
  let highest = 0;
  let reasons: readonly string[] = [];
  const day = 2880;
  for (let i = 0; i < day * 1.6; i++) {
    const wave = Math.sin((2 * Math.PI * (i % day)) / day - Math.PI / 2) * 0.5 + 0.5;
    const load = 0.2 + 0.5 * wave + 0.03 * (random.next() - 0.5);
    site.step([
      [region, { ...healthy, rps: load * 500, in_flight: load * 20 }],
      [
        server,
        { cpu: load, memory: 0.4 + 0.2 * load, rps: load * 500, error_rate: 0, up: 1, in_flight: load * 20 },
      ],
    ]);
    const { risk } = watchOf(site, 'region/a');
    if (i > 60 && risk!.risk > highest) {
      highest = risk!.risk;
      reasons = risk!.reasons;
    }
  }
  t.ok(highest < 0.3, `highest risk ${highest.toFixed(2)} ${reasons.join('; ')}`);
  t.equal(watchOf(site, 'region/a').scores.failure.figures().falseAlarmsPerDay, 0);
});

t.test('maintenance is a known failure, and its reason says when', async (t) => {
  const site = startSite();
  const now = site.clock.wallMs();
  const event = {
    kind: 'maintenance' as const,
    regions: ['a'],
    title: '',
    severity: 0.5,
    loadFactor: undefined,
  };
  site.engine.calendar.add({ ...event, id: '1', start: now + 3.5 * MINUTE, end: now + 60 * MINUTE });
  site.step([]);
  const { risk } = watchOf(site, 'region/a');
  t.ok(risk!.risk > 0.9);
  t.match(risk!.reasons, ['maintenance starts in 3 min']);
  t.equal(risk!.confidence, 1, 'what is announced needs no measurements');
  t.equal(watchOf(site, 'region/b').risk!.risk, 0, 'and is about nobody else');
  for (let i = 0; i < 10; i++) site.step([]);
  t.match(watchOf(site, 'region/a').risk!.reasons[0], /^maintenance is under way for another \d+ min/);
});

t.test(
  'to foresee what was announced takes no skill: neither foreseen nor missed, nor learnt from',
  async (t) => {
    const run = (isAnnounced: boolean) => {
      const site = startSite();
      const random = seededRandom(4);
      const now = site.clock.wallMs();
      if (isAnnounced) {
        const times = { start: now + 100 * STEP, end: now + 120 * STEP };
        const facts = { regions: ['a'], title: '', severity: 0.5, loadFactor: undefined };
        site.engine.calendar.add({ id: '1', kind: 'maintenance', ...times, ...facts });
      }
      for (let i = 0; i < 160; i++) {
        const isDown = i > 101 && i < 121;
        site.step([
          [region, { rps: 50 + random.next(), error_rate: 0, healthy_share: isDown ? 0 : 1 }],
          [server, { memory: 0.4 + 0.01 * random.next(), up: isDown ? 0 : 1 }],
        ]);
      }
      return [watchOf(site, 'region/a'), watchOf(site, server.key)].map(({ scores, models }) => {
        const state = models.failure!.state() as { predictor: { recentFailures: string } };
        return { ...scores.failure.figures(), learnt: state.predictor.recentFailures !== '' };
      });
    };
    for (const told of run(true))
      t.match(told, { events: 0, foreseen: 0, baseRate: 0, falseAlarmsPerDay: 0, learnt: false });
    for (const seen of run(false))
      t.match(seen, { events: 1, learnt: true }, 'the same without a word is a failure');
  },
);

t.test('a campaign that would pass the capacity raises the risk before it begins', async (t) => {
  const site = startSite(100);
  const random = seededRandom(3);
  const quiet = () => [[region, { ...healthy, rps: 60 + 2 * random.next() }]] as const;
  for (let i = 0; i < 200; i++) site.step(quiet());
  t.ok(watchOf(site, 'region/a').risk!.risk < 0.1);
  const now = site.clock.wallMs();
  const facts = { regions: [], severity: 0.5, loadFactor: 2.5, title: 'Sale 2026' };
  site.engine.calendar.add({
    id: '1',
    kind: 'campaign',
    start: now + 4 * MINUTE,
    end: now + 60 * MINUTE,
    ...facts,
  });
  site.step(quiet());
  const { risk } = watchOf(site, 'region/a');
  t.ok(risk!.overloadProbability > 0.6, `overload ${risk!.overloadProbability}`);
  t.ok(risk!.reasons.some((reason) => /campaign "Sale 2026" multiplies the load by 2.5/.test(reason)));
});

t.test('load that climbs towards the capacity is an overload before it is there', async (t) => {
  const site = startSite(100);
  const random = seededRandom(4);
  const at = (rps: number) => [[region, { ...healthy, rps: rps + random.next() }]] as const;
  for (let i = 0; i < 120; i++) site.step(at(40));
  let foreseen: number | undefined;
  for (let i = 0; i < 40; i++) {
    const rps = 40 + i * 1.75;
    site.step(at(rps));
    if (rps > 100) break;
    if (watchOf(site, 'region/a').risk!.overloadProbability >= 0.5) foreseen ??= i;
  }
  t.ok(foreseen !== undefined, 'flagged below the capacity');
  t.equal(watchOf(site, 'region/a').outcome.since.overload === undefined, false, 'and it came');
});

t.test('whatever is measured, every answer is finite and unsure', async (t) => {
  const odd: Readonly<Record<string, (i: number) => number>> = {
    constant: () => 5,
    huge: (i) => (i % 2 === 0 ? 1e15 : 0),
    negative: () => -3,
    tiny: () => 1e-300,
    'one point': (i) => (i === 0 ? 5 : Number.NaN),
  };
  for (const [name, value] of Object.entries(odd)) {
    const site = startSite(100);
    for (let i = 0; i < 60; i++) {
      const v = value(i);
      site.step(
        Number.isNaN(v)
          ? []
          : [[region, { rps: Math.max(0, v), memory: Math.min(1, Math.max(0, v)), bytes: v }]],
      );
    }
    const report = JSON.stringify(riskReport(site.engine, { mode: 'shadow', now: site.clock.wallMs() }));
    t.notMatch(report, /null|NaN|Infinity/, name);
    const { risk } = watchOf(site, 'region/a');
    t.ok(
      risk!.risk >= 0 && risk!.risk <= 1 && risk!.confidence <= 0.5,
      `${name}: confidence ${risk!.confidence}`,
    );
  }
  const empty = startSite();
  empty.step([]);
  t.match(watchOf(empty, 'region/a').risk, { risk: 0, confidence: 0 });
});
