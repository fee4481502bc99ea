// A manager asks its servers for their metrics: what its report holds of them.

import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import t, { type Test } from 'tap';
import { MemberScrapes } from '../../src/compose/member-scrapes.ts';
import type { Logger } from '../../src/telemetry/logger.ts';
import { MetricsRegistry } from '../../src/telemetry/registry.ts';
import { HandClock } from '../rig/clock.ts';
import { until } from '../rig/traffic.ts';

const PATIENCE_MS = 10_000;
const EVERY_MS = 300;

/** The first member is asked at once, others after a turn. */
function rig(t: Test): { scrapes: MemberScrapes; clock: HandClock; metrics: MetricsRegistry } {
  const clock = new HandClock();
  const metrics = new MetricsRegistry();
  const log = { debug: () => {} } as unknown as Logger;
  let draws = 0;
  const random = { next: () => (draws++ === 0 ? 0 : 0.999), u32: () => 0 };
  const scrapes = new MemberScrapes({ clock, random, log, metrics });
  t.teardown(() => scrapes.close());
  return { scrapes, clock, metrics };
}

/** A server with a page; undefined = it hangs up. */
async function pageServer(
  t: Test,
  page: () => string | undefined,
): Promise<{ url: string; asked: () => number }> {
  let asked = 0;
  const server = createServer((request, response) => {
    asked += 1;
    const text = page();
    if (text === undefined) request.socket.destroy();
    else response.end(text);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/metrics`, asked: () => asked };
}

t.test('a member’s metrics are known until they are old', async (t) => {
  const { scrapes, clock, metrics } = rig(t);
  let page: string | undefined = 'cpu_utilization 0.123456\nqueue_depth 7\n';
  const { url, asked } = await pageServer(t, () => page);
  scrapes.watch('eu', [{ id: 's1', metrics: url }, { id: 's2' }], EVERY_MS);
  t.equal(scrapes.valuesOf('s1'), undefined, 'nothing was read yet');
  await until(() => scrapes.valuesOf('s1') !== undefined, PATIENCE_MS, 'the page is read');
  t.strictSame(scrapes.valuesOf('s1'), { cpu: 0.123, queue_depth: 7 });
  t.equal(scrapes.valuesOf('s2'), undefined);
  page = undefined;
  const before = asked();
  await until(() => asked() > before + 1, PATIENCE_MS, 'it is asked again');
  t.ok(scrapes.valuesOf('s1'), 'one page that was missed is no reason to forget');
  clock.pass(3 * EVERY_MS + 1);
  t.equal(scrapes.valuesOf('s1'), undefined, 'what is old is not told');
  t.match(await metrics.text(), 'foreshard_scrapes_total{result="unreachable"}');

  scrapes.watch('eu', [{ id: 's2' }], EVERY_MS);
  const last = asked();
  await new Promise((resolve) => setTimeout(resolve, 2 * EVERY_MS));
  t.ok(asked() <= last + 1, 'whoever left is not asked any more');
});

t.test('a report has room for the figures that models know first', async (t) => {
  const { scrapes } = rig(t);
  const many = Array.from({ length: 40 }, (_, i) => `own_${i} ${i}`).join('\n');
  const { url } = await pageServer(t, () => `${many}\nmem_utilization 0.5\ncpu_utilization 0.25\n`);
  const ids = Array.from({ length: 1000 }, (_, i) => `s${i}`);
  // The turn of the others never comes in this test.
  const nowhere = 'http://127.0.0.1:9/metrics';
  scrapes.watch(
    'eu',
    ids.map((id, i) => ({ id, metrics: i === 0 ? url : nowhere })),
    60_000,
  );
  await until(() => scrapes.valuesOf('s0') !== undefined, PATIENCE_MS, 'the page is read');
  t.strictSame(
    Object.keys(scrapes.valuesOf('s0')!),
    ['cpu', 'memory', 'own_0', 'own_1'],
    'four of a thousand each',
  );
});
