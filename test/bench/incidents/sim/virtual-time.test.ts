import t from 'tap';
import { accountFor } from '../../../../bench/incidents/account.ts';
import { firstSet, INCIDENT_IDS } from '../../../../bench/incidents/catalogue.ts';
import { AUTO } from '../../../../bench/incidents/contestants/catalogue.ts';
import {
  CALM_SERVER,
  delayed,
  type Incident,
  REGIONS,
  regionCapacity,
  type ServerTracks,
  valueAt,
} from '../../../../bench/incidents/script.ts';
import { type Outcome, ServerModel } from '../../../../bench/incidents/server-model.ts';
import { exposition, loadReport } from '../../../../bench/incidents/server-pages.ts';
import type { RiskRecord } from '../../../../bench/incidents/sim/engine-loop.ts';
import { shuffledPredictions } from '../../../../bench/incidents/sim/shuffle.ts';
import { simulate } from '../../../../bench/incidents/sim/simulate.ts';
import { VirtualTime } from '../../../../bench/incidents/sim/virtual-time.ts';
import { trafficOf } from '../../../../bench/incidents/traffic.ts';
import { parseOrca } from '../../../../src/analytics/ingest/orca.ts';
import { seededRandom } from '../../../../src/core/random.ts';

/** A server under virtual time; `run` plays all that is due until then. */
function virtualServer(tracks: Partial<ServerTracks>) {
  let now = 0;
  const due: { at: number; work: () => void }[] = [];
  const model = new ServerModel({ ...CALM_SERVER, ...tracks }, seededRandom(1), {
    nowMs: () => now,
    afterMs: (ms, work) => void due.push({ at: now + ms, work }),
  });
  model.begin(0);
  const run = (until: number): void => {
    for (;;) {
      due.sort((a, b) => a.at - b.at);
      const next = due[0];
      if (next === undefined || next.at > until) break;
      due.shift();
      now = next.at;
      next.work();
    }
    now = until;
  };
  const offer = (): { outcome?: Outcome; atMs?: number } => {
    const seen: { outcome?: Outcome; atMs?: number } = {};
    model.offer((outcome) => Object.assign(seen, { outcome, atMs: now }));
    return seen;
  };
  return { model, run, offer };
}

t.test('a server answers as many at once as it has slots, queues others and refuses the rest', async (t) => {
  const { model, run, offer } = virtualServer({});
  const all = Array.from({ length: 80 }, offer);
  t.equal(all.filter(({ outcome }) => outcome === 'full').length, 80 - 8 - 64);
  t.equal(model.metrics().inFlight, 72);
  run(150);
  t.ok(all.filter(({ outcome }) => outcome === 'ok').length >= 3);
  run(5000);
  t.equal(all.filter(({ outcome }) => outcome === 'ok').length, 72);
  t.equal(model.metrics().queueDepth, 0);
});

t.test('a pause holds every answer back, a crash answers nobody, errors are a share', async (t) => {
  const paused = virtualServer({ pauseMs: [[0, 900]] });
  const held = paused.offer();
  paused.run(899);
  t.equal(held.outcome, undefined);
  paused.run(1900);
  t.equal(held.outcome, 'ok');

  const crashing = virtualServer({
    up: [
      [0, 1],
      [0.05, 0],
      [3, 1],
    ],
  });
  const lost = crashing.offer();
  crashing.run(60);
  t.equal(crashing.model.isUp(), false);
  t.equal(lost.outcome, 'gone');
  crashing.run(3100);
  t.equal(crashing.model.isUp(), true, 'and it comes back');

  const failing = virtualServer({ errors: [[0, 0.3]] });
  const answers: { outcome?: Outcome }[] = [];
  for (let i = 0; i < 500; i++) {
    answers.push(failing.offer());
    failing.run((i + 1) * 200);
  }
  const share = answers.filter(({ outcome }) => outcome === 'error').length / answers.length;
  t.ok(Math.abs(share - 0.3) < 0.08, `${share}`);
});

t.test('a queue that stays full kills the server for a while', async (t) => {
  const { model, run, offer } = virtualServer({});
  let second = 0;
  for (; second < 30 && model.deaths === 0; second++) {
    for (let i = 0; i < 100; i++) {
      offer();
      run(second * 1000 + i * 10);
      model.isUp();
    }
  }
  t.equal(model.deaths, 1);
  t.ok(second >= 5, 'not by a burst');
  t.equal(model.isUp(), false);
  run((second + 9) * 1000);
  t.equal(model.isUp(), true);
});

t.test('what a server says of itself is read by the engine', async (t) => {
  const { model, offer } = virtualServer({ memory: [[0, 0.7]] });
  offer();
  const report = parseOrca(loadReport(model.metrics()));
  t.equal(report?.get('memory'), 0.7);
  t.equal(report?.get('in_flight'), 1);
  t.ok(report?.has('latency_ms.p99'));
  t.match(exposition(model.metrics()), /^mem_utilization 0\.7000$/m);
});

t.test('an incident that is delayed is the same after so much calm', async (t) => {
  for (const id of INCIDENT_IDS) {
    const incident = firstSet(id, 1);
    const later = delayed(incident, 100);
    for (const second of [0, 30, 55, 70]) {
      for (const [region] of REGIONS.entries()) {
        t.equal(regionCapacity(later, region, second + 100), regionCapacity(incident, region, second), id);
      }
      t.equal(valueAt(later.demand, second + 100), valueAt(incident.demand, second), id);
    }
  }
});

t.test('virtual time keeps the order of moments, and of those who ask for the same one', async (t) => {
  const time = new VirtualTime(Date.UTC(2026, 0, 1));
  const seen: string[] = [];
  time.afterMs(30, () => seen.push('c'));
  time.afterMs(10, () => {
    seen.push('a');
    time.afterMs(0, () => seen.push('a, at once'));
    time.afterMs(20, () => seen.push('c, asked later'));
  });
  time.afterMs(10, () => seen.push('b'));
  time.runUntil(29);
  t.strictSame(seen, ['a', 'b', 'a, at once']);
  time.runUntil(30);
  t.strictSame(seen.slice(3), ['c', 'c, asked later']);
  t.equal(time.wallMs(), Date.UTC(2026, 0, 1) + 30);
});

t.test('shuffled predictions are the same ones at other times, in whole blocks', async (t) => {
  const records = Array.from({ length: 53 }, (_, i) => new Map([['a', i]])) as unknown as RiskRecord[];
  const at = shuffledPredictions(records, 50, seededRandom(1));
  const order = Array.from({ length: 50 }, (_, i) => Number(at(i)!.get('a')));
  t.strictSame(
    order.toSorted((a, b) => a - b),
    [...records.keys()].slice(0, 50),
    'none of after the failure',
  );
  t.notSame(
    order,
    [...order].sort((a, b) => a - b),
  );
  for (let i = 0; i < 50; i += 5) t.equal(order[i + 4]! - order[i]!, 4);
});

t.test(
  'under virtual time a run is its seed, every request is accounted for, and what is announced is known',
  { timeout: 240_000 },
  async (t) => {
    const script: Incident = { ...firstSet('e', 1), seconds: 45, failsAt: 36, maintenanceAt: 36 };
    const short = {
      ...script,
      servers: script.servers.map((part) => ({
        ...part,
        tracks: {
          up: [
            [0, 1],
            [36, 0],
          ],
        } as const,
      })),
    };
    const run = (mode: string) =>
      simulate({
        incident: short,
        seed: 1,
        top: { ...AUTO, pae: { ...AUTO.pae, mode } },
        predictionAt: () => undefined,
        keepsAnswers: true,
      });
    const off = run('off');
    const again = run('off');
    t.strictSame(off.record.driver.requests, again.record.driver.requests);
    const figures = accountFor(off.record);
    t.equal(figures.requests, trafficOf(short, 1).length);
    t.strictSame([figures.replayedPosts, figures.unaccounted], [0, 0]);
    t.ok(figures.shareAtFailure! > 0.2 && figures.bad > 0, 'nobody moves before the region is off');
    const auto = run('auto');
    t.ok(
      auto.predicted.some((record) => record.get(REGIONS[short.failing!]!)!.risk > 0.9),
      'the engine knows of it',
    );
    t.equal(accountFor(auto.record).requests, figures.requests);
  },
);
