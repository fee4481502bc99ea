import t from 'tap';
import { seededRandom } from '../../src/core/random.ts';
import type { ProbeResult } from '../../src/health/active-probe.ts';
import { HealthMonitor, type MonitorSettings } from '../../src/health/monitor.ts';
import { LiveCells } from '../../src/state/live-cells.ts';
import { createLogger } from '../../src/telemetry/logger.ts';
import { MetricsRegistry } from '../../src/telemetry/registry.ts';
import { HandClock } from '../rig/clock.ts';

const SETTINGS: MonitorSettings = {
  active: true,
  path: '/healthz',
  timeout: 1000,
  interval: 2000,
  slowStart: 0,
  unhealthyThreshold: 3,
  healthyThreshold: 2,
  outlier: {
    enabled: true,
    consecutive5xx: 5,
    consecutiveConnectFailures: 3,
    baseEjection: 30_000,
    maxEjection: 300_000,
    maxEjected: 0.5,
  },
};

/** One server in slot 0 whose probes end when a test says so. */
function monitored(settings = SETTINGS) {
  const cells = new LiveCells(1);
  const clock = new HandClock();
  const pending: ((result: ProbeResult) => void)[] = [];
  const monitor = new HealthMonitor(
    {
      cells,
      clock,
      random: seededRandom(1),
      prober: () => new Promise((resolve) => pending.push(resolve)),
      log: createLogger({ level: 'silent', thread: 'test' }),
      metrics: new MetricsRegistry(),
      meter: { utilisationWithout: () => Number.NaN },
    },
    settings,
  );
  cells.resetSlot(0);
  const servers = [{ id: 'a', origin: 'http://a', region: 'eu', slot: 0 }];
  monitor.watch(servers, settings);
  const column = cells.column(0);
  return {
    cells,
    monitor,
    pending,
    reload: (next: MonitorSettings) => monitor.watch(servers, next),
    fail: (count = 1) => {
      for (let i = 0; i < count; i++) column.attemptJudged(0, cells.incarnation(0), 'connect_failure', 0);
    },
    /** Time passes, with a fold at its end. */
    pass: (ms: number) => {
      clock.pass(ms);
      monitor.tick();
    },
    answer: async (passed: boolean) => {
      pending.shift()!({ passed, detail: passed ? 'status 200' : 'ECONNREFUSED', tookMs: 1 });
      await new Promise((resolve) => setImmediate(resolve));
    },
  };
}

t.test('the last server of a region is not ejected, but one failed probe decides', async (t) => {
  const { pass, fail, cells, answer } = monitored();
  pass(600);
  await answer(true);
  t.equal(cells.health(0), 'healthy');
  fail(3);
  pass(50);
  // Probes are not made without a pause.
  pass(150);
  t.notOk(cells.isEjected(0));
  t.equal(cells.health(0), 'healthy');
  await answer(false);
  t.equal(cells.health(0), 'unhealthy');
});

t.test('a passing probe clears a suspicion', async (t) => {
  const { pass, fail, cells, answer } = monitored({ ...SETTINGS, outlier: { ...SETTINGS.outlier } });
  pass(600);
  await answer(true);
  fail(3);
  pass(50);
  // Probes are not made without a pause.
  pass(150);
  await answer(true);
  t.equal(cells.health(0), 'healthy');
});
