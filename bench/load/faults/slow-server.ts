// F5: a server becomes 400 times slower, then all of them do. What is under way at one server stays capped, the
// excess goes elsewhere or is refused at once, and memory stays flat.

import { setTimeout as sleep } from 'node:timers/promises';
import { formatMicros } from '../../report/table.ts';
import { FaultServers } from './fault-servers.ts';
import { applyLoad, countLost, countOther } from './load.ts';
import { atMost, exactly, type Scenario, type ScenarioResult, type ScenarioRig, told } from './scenario.ts';

/** Above what the servers can take when all are slow: 4 x 256 places in 2 s. */
const RATE = 800;
/** More than the servers may hold together, so that no request waits in the sender. */
const CONNECTIONS = 2000;
const FAST = { delay: 5 } as const;
const SLOW = { delay: 2000 } as const;
/** Default of limits.inFlightPerServer. */
const CAP = 256;
const MIB = 1024 ** 2;
/** Two thousand connections with a request each take a few; a leak of bodies or requests takes more. */
const GROWTH_BYTES = 64 * MIB;

export const slowServer: Scenario = { id: 'F5', title: 'A server slows from 5 ms to 2 s, then all do', run };

async function run(rig: ScenarioRig): Promise<ScenarioResult> {
  const { clock } = rig;
  const spanMs = rig.quick ? 6000 : 15_000;
  const servers = await FaultServers.start(4, rig.folder, clock);
  rig.atEnd(() => servers.stop());
  await servers.setAll(FAST);
  const [a = 0, b = 0, c = 0, d = 0] = servers.ports;
  const proxy = await rig.startForeshard({ east: [a, b], west: [c, d] });
  const plan = { connections: CONNECTIONS, rate: RATE, durationMs: spanMs };
  const countBy = { header: 'retry-after', member: '' };

  rig.show('F5: all servers fast');
  await applyLoad(proxy, { ...plan, durationMs: 4000 }, clock);
  const rssBefore = proxy.process.usage()?.rssBytes ?? Number.NaN;

  rig.show('F5: one server slow');
  await servers.set(0, SLOW);
  const one = await applyLoad(proxy, plan, clock);
  const peakOfOne = (await servers.stats())[0]!.peak;

  rig.show('F5: all servers slow');
  await servers.setAll(SLOW);
  const half = sleep(spanMs / 2).then(() => proxy.process.usage()?.rssBytes ?? Number.NaN);
  const all = await applyLoad(proxy, { ...plan, countBy }, clock);
  const rssHalf = await half;
  const rssAfter = proxy.process.usage()?.rssBytes ?? Number.NaN;
  const peaks = (await servers.stats()).map(({ peak }) => peak);

  const { refusal, counts } = all.result;
  const untimed = (counts.statuses[503] ?? 0) - (counts.groups['1'] ?? 0);
  const mebibytes = (bytes: number): string => `${(bytes / MIB).toFixed(0)} MiB`;
  const p99 = one.result.latency.percentile(99);
  const growth = Math.max(rssHalf, rssAfter) - rssBefore;
  return {
    figures: [
      atMost('most under way at the slow server', peakOfOne, CAP, String),
      exactly('one slow: lost or not 200', countLost(one.result) + countOther(one.result, 200), 0),
      told('one slow: p50, p99', `${formatMicros(one.result.latency.percentile(50))}, ${formatMicros(p99)}`),
      atMost('all slow: most under way at any', Math.max(...peaks), CAP, String),
      told('all slow: refused', `${refusal.count} of ${counts.answered}`),
      atMost('all slow: p99 of a refusal', refusal.percentile(99), 10_000, formatMicros),
      exactly('all slow: 503 without Retry-After', untimed, 0),
      exactly(
        'all slow: lost, or neither 200 nor 503',
        countLost(all.result) + countOther(all.result, 200, 503),
        0,
      ),
      atMost('growth of memory', growth, GROWTH_BYTES, mebibytes),
    ],
    charts: [],
  };
}
