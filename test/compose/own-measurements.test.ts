// What a proxy hands on of its managers' reports, beside what it has measured itself.

import t from 'tap';
import { readDocuments } from '../../src/analytics/ingest/telemetry-document.ts';
import {
  type MeasuredSite,
  OwnMeasurements,
  type ReportedRegion,
} from '../../src/compose/own-measurements.ts';
import type { HealthMonitor } from '../../src/health/monitor.ts';
import { LiveCells } from '../../src/state/live-cells.ts';

const monitor = { report: () => [] } as unknown as HealthMonitor;

function siteOf(measured: ReportedRegion['measured']): MeasuredSite {
  return {
    servers: [{ id: 'http://10.0.0.1:9500', region: 'eu', slot: 0 }],
    reported: () => ({ registered: 2, healthy: 2, capacity: 100, measured }),
  };
}

/** Of one reading: metrics by region or server. */
function read(from: OwnMeasurements, site: MeasuredSite, now: number): Record<string, object> {
  const documents = from.read(site, now, now);
  t.ok(readDocuments(documents).ok, 'an engine takes it');
  return Object.fromEntries(documents.map(({ region, server, metrics }) => [server ?? region!, metrics]));
}

t.test('a manager’s machine and its servers are measured once a reading', async (t) => {
  const own = new OwnMeasurements(new LiveCells(1), monitor, 'p1');
  const measured = {
    telemetry: { cpu: 0.5, network: 0.25, network_sent_bytes_per_second: 1e6, rps: 7, in_flight: 9 },
    servers: [{ id: 'http://10.0.0.7:80', telemetry: { cpu: 0.75 } }, { id: 's2' }],
  };
  t.strictSame(read(own, siteOf(measured), 0), {}, 'a first reading has no rates');
  const told = read(own, siteOf(measured), 5000);
  t.match(told.eu, { cpu: 0.5, network: 0.25, network_sent_bytes_per_second: 1e6, capacity: 100 });
  t.match(told.eu, { rps: 0, in_flight: 0 }, 'what we measured ourselves is surer');
  t.strictSame(told['http://10.0.0.7:80'], { cpu: 0.75 });
  t.notOk('s2' in told, 'who offers no metrics is not measured');
  t.notOk(
    'cpu' in read(own, siteOf(measured), 10_000).eu!,
    'a reading that is not renewed is not measured again',
  );
  t.match(read(own, siteOf({ ...measured }), 15_000).eu, { cpu: 0.5 });
});

t.test('a manager that talks nonsense costs the engine nothing else', async (t) => {
  const own = new OwnMeasurements(new LiveCells(1), monitor, 'p1');
  const telemetry = { cpu: 7, memory: 0.5, 'no name': 1, disk_io: '1', x: Number.MAX_VALUE, ok: 3 };
  own.read(siteOf({ telemetry: {}, servers: [] }), 0, 0);
  const told = read(own, siteOf({ telemetry, servers: [{ id: 's', telemetry }] }), 5000);
  t.strictSame(told.s, { memory: 0.5, ok: 3 });
  t.match(told.eu, { memory: 0.5, ok: 3 });
  t.notOk('cpu' in told.eu!);
});
