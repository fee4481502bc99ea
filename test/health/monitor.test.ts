// The monitor with real live cells and metrics, a prober that answers what the test says, and time by hand.

import t from 'tap';
import { seededRandom } from '../../src/core/random.ts';
import type { ProbeResult } from '../../src/health/active-probe.ts';
import { HealthMonitor, type MonitoredServer, type MonitorSettings } from '../../src/health/monitor.ts';
import { LiveCells } from '../../src/state/live-cells.ts';
import type { Logger } from '../../src/telemetry/logger.ts';
import { MetricsRegistry } from '../../src/telemetry/registry.ts';
import { HandClock } from '../rig/clock.ts';

const SETTINGS: MonitorSettings = {
  active: true,
  path: '/up',
  timeout: 1000,
  interval: 2000,
  unhealthyThreshold: 3,
  healthyThreshold: 2,
  slowStart: 30_000,
  outlier: {
    enabled: true,
    consecutive5xx: 5,
    consecutiveConnectFailures: 3,
    baseEjection: 30_000,
    maxEjection: 300_000,
    maxEjected: 0.5,
  },
};
const FOLD_MS = 50;

class Rig {
  readonly cells = new LiveCells(2);
  readonly columns = [this.cells.column(0), this.cells.column(1)];
  readonly clock = new HandClock();
  readonly metrics = new MetricsRegistry();
  readonly probes: { readonly origin: string; readonly path: string; readonly at: number }[] = [];
  readonly logged: string[] = [];
  /** Answers to probes by origin; the default is a pass. `hang` leaves a probe without one. */
  readonly answers = new Map<string, ProbeResult | 'hang'>();
  readonly hanging: ((result: ProbeResult) => void)[] = [];
  readonly monitor: HealthMonitor;
  servers: MonitoredServer[];

  constructor(counts: Readonly<Record<string, number>>, settings: MonitorSettings = SETTINGS) {
    const log: Logger = {
      debug: () => {},
      info: (_, message) => void this.logged.push(message),
      warn: (_, message) => void this.logged.push(message),
      error: (_, message) => void this.logged.push(message),
      setLevel: () => {},
      flush: async () => {},
    };
    this.monitor = new HealthMonitor(
      {
        cells: this.cells,
        clock: this.clock,
        random: seededRandom(7),
        log,
        metrics: this.metrics,
        meter: { utilisationWithout: () => this.without },
        prober: ({ origin, path }) => {
          this.probes.push({ origin, path, at: this.clock.monotonicMs() });
          const answer = this.answers.get(origin) ?? { passed: true, detail: 'status 200', tookMs: 1 };
          return answer === 'hang' ? new Promise((done) => this.hanging.push(done)) : Promise.resolve(answer);
        },
      },
      settings,
    );
    let slot = 0;
    this.servers = Object.entries(counts).flatMap(([region, count]) =>
      Array.from({ length: count }, (_, i) => {
        const origin = `http://${region}-${i}`;
        this.cells.resetSlot(slot);
        return { id: origin, origin, region, slot: slot++ };
      }),
    );
    this.monitor.watch(this.servers, settings);
  }

  /** Load over capacity if the accused server were missing. */
  without = Number.NaN;

  /** Time passes in folds, each with its probes answered. */
  async pass(ms: number): Promise<void> {
    for (let left = ms; left > 0; left -= FOLD_MS) {
      this.clock.pass(FOLD_MS);
      this.monitor.tick();
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  fail(origin: string): void {
    this.answers.set(origin, { passed: false, detail: 'status 500', tookMs: 1 });
  }

  slot(origin: string): number {
    return this.servers.find((server) => server.origin === origin)!.slot;
  }

  /** What a worker reports of so many attempts. */
  traffic(
    origin: string,
    outcome: 'success' | 'error5xx' | 'connect_failure',
    count: number,
    worker = 0,
  ): void {
    const slot = this.slot(origin);
    for (let i = 0; i < count; i++)
      this.columns[worker]!.attemptJudged(slot, this.cells.incarnation(slot), outcome, 1);
  }

  ejected(): string[] {
    return this.servers.filter(({ slot }) => this.cells.isEjected(slot)).map(({ id }) => id);
  }

  probesOf(origin: string): number[] {
    return this.probes.filter((probe) => probe.origin === origin).map(({ at }) => at);
  }

  async series(name: string): Promise<string[]> {
    const text = await this.metrics.text();
    return text.split('\n').filter((line) => line.startsWith(name));
  }
}

t.test('all servers are asked soon after the start, then at their own pace', async (t) => {
  const rig = new Rig({ east: 20 });
  await rig.pass(600);
  t.equal(new Set(rig.probes.map(({ origin }) => origin)).size, 20, 'within a fast pause');
  t.equal(rig.probes[0]!.path, '/up');
  t.ok(new Set(rig.probes.map(({ at }) => at)).size > 5, 'not all in one moment');
  t.ok(rig.servers.every(({ slot }) => rig.cells.health(slot) === 'healthy'));
  t.ok(
    rig.servers.every(({ slot }) => rig.cells.ramp(slot) === 1),
    'no slow start at the start',
  );
  const before = rig.probes.length;
  await rig.pass(20_000);
  const perServer = (rig.probes.length - before) / 20;
  t.ok(perServer > 8.5 && perServer < 11, `about ten in twenty seconds, seen ${perServer}`);
});

t.test(
  'a server that fails its checks is out after the threshold at a fast pace, and comes back slowly',
  async (t) => {
    const rig = new Rig({ east: 2 });
    await rig.pass(1000);
    const version = rig.cells.version;
    rig.fail('http://east-0');
    const from = rig.clock.monotonicMs();
    while (rig.cells.health(0) === 'healthy') await rig.pass(FOLD_MS);
    t.ok(rig.clock.monotonicMs() - from < 2200 + 2 * 600, 'one pause and two fast ones');
    t.ok(rig.cells.version > version, 'workers are told');
    t.strictSame(await rig.series('foreshard_server_health'), [
      'foreshard_server_health{region="east",server="http://east-0"} 0',
      'foreshard_server_health{region="east",server="http://east-1"} 1',
    ]);
    t.match(await rig.series('foreshard_region_servers'), [/registered"} 2$/, /usable"} 1$/]);

    await rig.pass(10_000);
    rig.answers.clear();
    while (rig.cells.health(0) === 'unhealthy') await rig.pass(FOLD_MS);
    await rig.pass(FOLD_MS);
    t.equal(rig.cells.ramp(0), 0.1, 'it begins with a tenth');
    await rig.pass(15_000 - FOLD_MS);
    t.ok(Math.abs(rig.cells.ramp(0) - 0.5) < 0.01);
    await rig.pass(15_000);
    t.equal(rig.cells.ramp(0), 1);
    t.equal(rig.cells.ramp(1), 1, 'the other one never was away');
    t.strictSame(rig.logged, [
      'server health changed',
      'server health changed',
      'server health changed',
      'server health changed',
    ]);
  },
);

t.test('failing traffic ejects a server for a time, then it comes back slowly', async (t) => {
  const rig = new Rig({ east: 4 });
  await rig.pass(1000);
  rig.traffic('http://east-1', 'error5xx', 4);
  await rig.pass(FOLD_MS);
  t.strictSame(rig.ejected(), []);
  rig.traffic('http://east-1', 'error5xx', 1, 1);
  await rig.pass(FOLD_MS);
  t.strictSame(rig.ejected(), ['http://east-1'], 'the fifth in a row, of another worker');
  t.match(await rig.series('foreshard_ejections_total'), [/region="east",reason="consecutive_5xx"} 1$/]);
  t.equal(rig.monitor.report()[1]!.ejected, true);
  await rig.pass(29_900);
  t.strictSame(rig.ejected(), ['http://east-1']);
  await rig.pass(200);
  t.strictSame(rig.ejected(), []);
  t.ok(rig.cells.ramp(1) < 0.2, 'slow start');
  rig.traffic('http://east-1', 'connect_failure', 3);
  await rig.pass(FOLD_MS);
  t.strictSame(rig.ejected(), ['http://east-1']);
  await rig.pass(59_000);
  t.strictSame(rig.ejected(), ['http://east-1'], 'twice as long');
  await rig.pass(1100);
  t.strictSame(rig.ejected(), []);
});

t.test('a success between failures of other workers keeps a server in', async (t) => {
  const rig = new Rig({ east: 2 });
  await rig.pass(1000);
  rig.traffic('http://east-0', 'error5xx', 3, 0);
  rig.traffic('http://east-0', 'success', 1, 1);
  rig.traffic('http://east-0', 'error5xx', 3, 1);
  await rig.pass(FOLD_MS);
  t.strictSame(rig.ejected(), []);
});

t.test(
  'no more than the share of a region is ejected, and never the last server that can serve',
  async (t) => {
    const rig = new Rig({ east: 4, west: 1 });
    await rig.pass(1000);
    for (const { origin } of rig.servers) rig.traffic(origin, 'error5xx', 9);
    await rig.pass(200);
    t.equal(rig.ejected().length, 2, 'two of four in the east, none of one in the west');
    t.notOk(rig.ejected().includes('http://west-0'));

    const ill = new Rig({ east: 3 });
    for (const id of ['http://east-1', 'http://east-2']) ill.fail(id);
    await ill.pass(4000);
    ill.traffic('http://east-0', 'error5xx', 9);
    await ill.pass(200);
    t.strictSame(ill.ejected(), [], 'the others are unhealthy');
  },
);

t.test(
  'a manager that requests cannot reach is out at once, and back when a check gets through',
  async (t) => {
    const rig = new Rig({ east: 1, west: 1 });
    const [manager, other] = rig.servers;
    rig.servers = [{ ...manager!, standsForRegion: true, healthPath: '/own' }, other!];
    rig.monitor.watch(rig.servers, SETTINGS);
    await rig.pass(5000);
    const paths = [...new Set(rig.probes.map(({ origin, path }) => origin + path))];
    t.strictSame(paths.sort(), ['http://east-0/own', 'http://west-0/up'], 'it has told where to ask');
    const health = (): string[] => rig.monitor.report().map((one) => one.health);
    rig.fail('http://east-0');
    for (const { origin } of rig.servers) rig.traffic(origin, 'connect_failure', 3);
    await rig.pass(FOLD_MS);
    t.strictSame(health(), ['unhealthy', 'healthy'], 'the only server of a region is asked first');
    t.strictSame(rig.ejected(), [], 'no time has to pass before it may come back');
    t.strictSame(rig.logged.filter((line) => line === 'manager out of reach').length, 1, 'said once');
    rig.traffic('http://east-0', 'connect_failure', 3);
    await rig.pass(FOLD_MS);
    t.strictSame(rig.logged.filter((line) => line === 'manager out of reach').length, 1);

    rig.answers.clear();
    await rig.pass(2 * SETTINGS.interval + 1000);
    t.equal(health()[0], 'healthy', 'checks bring it back');
    rig.traffic('http://east-0', 'success', 1);
    rig.traffic('http://east-0', 'error5xx', 9);
    await rig.pass(FOLD_MS);
    t.equal(health()[0], 'healthy', 'answers of 500 are its servers’ affair: it can be reached');

    const watched = new Rig({ east: 1 }, { ...SETTINGS, active: false });
    watched.servers = watched.servers.map((server) => ({ ...server, standsForRegion: true }));
    watched.monitor.watch(watched.servers, { ...SETTINGS, active: false });
    watched.traffic('http://east-0', 'connect_failure', 9);
    await watched.pass(FOLD_MS);
    t.not(watched.monitor.report()[0]!.health, 'unhealthy', 'without checks nothing would bring it back');
  },
);

t.test('failing traffic brings the next check forward, one at a time and never without pause', async (t) => {
  const rig = new Rig({ east: 2 });
  await rig.pass(1000);
  rig.answers.set('http://east-0', 'hang');
  const before = rig.probesOf('http://east-0').length;
  rig.traffic('http://east-0', 'connect_failure', 1);
  await rig.pass(FOLD_MS);
  t.equal(rig.probesOf('http://east-0').length, before + 1, 'asked at once');
  for (let i = 0; i < 10; i++) {
    rig.traffic('http://east-0', 'connect_failure', 1);
    await rig.pass(FOLD_MS);
  }
  t.equal(rig.probesOf('http://east-0').length, before + 1, 'not while it is being asked');
  rig.answers.delete('http://east-0');
  rig.hanging[0]!({ passed: true, detail: 'status 200', tookMs: 1 });
  for (let i = 0; i < 20; i++) {
    rig.traffic('http://east-0', 'connect_failure', 1);
    await rig.pass(FOLD_MS);
  }
  const pauses = rig
    .probesOf('http://east-0')
    .slice(before + 1)
    .map((at, i, all) => at - (all[i - 1] ?? 0));
  t.ok(
    pauses.slice(1).every((pause) => pause >= 100),
    `pauses of ${pauses.slice(1)} ms`,
  );
  t.ok(pauses.length >= 5 && pauses.length <= 11, 'and it is asked');
});

t.test('a reload keeps what is known of servers that stay, and follows new settings', async (t) => {
  const rig = new Rig({ east: 2, west: 1 });
  rig.fail('http://east-0');
  await rig.pass(4000);
  rig.traffic('http://west-0', 'error5xx', 1);
  t.equal(rig.cells.health(0), 'unhealthy');
  rig.servers = rig.servers.slice(0, 2);
  rig.monitor.watch(rig.servers, { ...SETTINGS, interval: 3_600_000 });
  t.equal(rig.cells.health(0), 'unhealthy', 'health stays');
  t.strictSame(
    rig.monitor.report().map(({ id }) => id),
    ['http://east-0', 'http://east-1'],
  );
  t.equal((await rig.series('foreshard_server_health')).length, 2, 'no series of a server that is gone');

  await rig.pass(5000);
  const before = rig.probesOf('http://east-1').length;
  await rig.pass(5000);
  t.equal(rig.probesOf('http://east-1').length, before, 'the pause is an hour now');
  rig.monitor.watch(rig.servers, { ...SETTINGS, interval: 1000 });
  await rig.pass(1200);
  t.ok(rig.probesOf('http://east-1').length > before, 'and a second again: the old pause does not run on');

  rig.monitor.watch(rig.servers, { ...SETTINGS, active: false });
  t.equal(rig.cells.health(0), 'unknown', 'without checks their last verdict would stay for ever');
  const last = rig.probes.length;
  await rig.pass(10_000);
  t.equal(rig.probes.length, last);
  t.equal(rig.cells.health(0), 'unknown');
});

t.test(
  'an answer that comes after its server was taken out, or the monitor closed, changes nothing',
  async (t) => {
    const rig = new Rig({ east: 2 });
    rig.answers.set('http://east-0', 'hang');
    await rig.pass(1000);
    const [, other] = rig.servers;
    rig.servers = [other!];
    rig.monitor.watch(rig.servers, { ...SETTINGS, unhealthyThreshold: 1 });
    rig.hanging[0]!({ passed: false, detail: 'late', tookMs: 1 });
    await rig.pass(FOLD_MS);
    t.equal(rig.cells.health(0), 'unknown');
    rig.monitor.close();
    const last = rig.probes.length;
    rig.traffic('http://east-1', 'error5xx', 9);
    await rig.pass(10_000);
    t.equal(rig.probes.length, last);
    t.strictSame(rig.ejected(), []);
  },
);

t.test(
  'a server that the others would drown without is not ejected for time-outs, only looked at',
  async (t) => {
    const rig = new Rig({ east: 4 });
    await rig.pass(600);
    rig.without = 0.95;
    rig.traffic('http://east-0', 'error5xx', 5);
    await rig.pass(100);
    t.strictSame(rig.ejected(), []);
    rig.traffic('http://east-1', 'connect_failure', 3);
    await rig.pass(100);
    t.strictSame(rig.ejected(), ['http://east-1'], 'one that is not there carries nothing');
    rig.without = 0.8;
    rig.traffic('http://east-0', 'error5xx', 5);
    await rig.pass(100);
    t.ok(rig.ejected().includes('http://east-0'));
  },
);

t.test(
  'a server that answers requests is not unhealthy for late checks while the others would drown',
  async (t) => {
    const rig = new Rig({ east: 4 });
    await rig.pass(600);
    rig.without = 0.95;
    const late = { passed: false, detail: 'no answer within 500 ms', tookMs: 500, isLate: true };
    rig.answers.set('http://east-0', late);
    const health = (): string => rig.cells.health(rig.slot('http://east-0'));
    /** Ten checks of a server that answers requests meanwhile, or not. */
    const checks = async (answers: boolean): Promise<void> => {
      for (let i = 0; i < 100; i++) {
        if (answers) rig.traffic('http://east-0', 'success', 1);
        await rig.pass(1000);
      }
    };
    await checks(true);
    t.equal(health(), 'healthy');
    await checks(false);
    t.equal(health(), 'unhealthy', 'one that answers nobody carries nothing');
    rig.answers.delete('http://east-0');
    await checks(true);
    t.equal(health(), 'healthy');
    rig.without = 0.8;
    rig.answers.set('http://east-0', late);
    await checks(true);
    t.equal(health(), 'unhealthy', 'where the others can carry its load');
  },
);
