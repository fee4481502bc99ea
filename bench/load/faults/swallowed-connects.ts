// F3: a region whose network drops every attempt to connect. Made of listeners whose process is stopped and
// whose accept queues are full: the kernel then drops what comes.

import net from 'node:net';
import { formatMicros } from '../../report/table.ts';
import { freePorts } from '../free-port.ts';
import { launchAndWait } from '../rig.ts';
import { FaultServers } from './fault-servers.ts';
import { applyLoad, countLost, countOther } from './load.ts';
import { atMost, exactly, type Scenario, type ScenarioResult, type ScenarioRig, told } from './scenario.ts';

const RATE = 300;
const CONNECTIONS = 512;
/** From the first request on, clients may notice for this long. */
const GRACE_MS = 2000;
const ADDED_MICROS = 250_000;
/** A connect on loopback that takes this long is being dropped. */
const DROPPED_MS = 400;
/** The queues hold two or three. */
const MAX_FILLERS = 32;

export const swallowedConnects: Scenario = {
  id: 'F3',
  title: 'A region that swallows every attempt to connect',
  run,
};

async function run(rig: ScenarioRig): Promise<ScenarioResult> {
  const { clock } = rig;
  const spanMs = rig.quick ? 8000 : 20_000;
  const servers = await FaultServers.start(4, rig.folder, clock);
  rig.atEnd(() => servers.stop());
  await servers.setAll({ delay: 2 });
  const silent = await startSilent(rig);
  const [a = 0, b = 0, c = 0, d = 0] = servers.ports;
  const proxy = await rig.startForeshard({ silent, east: [a, b], west: [c, d] });
  rig.show(`F3: ${RATE}/s, a third of the keys at home in the silent region`);
  const load = await applyLoad(proxy, { connections: CONNECTIONS, rate: RATE, durationMs: spanMs }, clock);
  const later = load.intervals.filter(({ atMs, latency }) => atMs > GRACE_MS + 1000 && latency.count > 0);
  const worst = Math.max(...later.map(({ latency }) => latency.max));
  const usual = load.result.latency.percentile(50);
  const { result } = load;
  return {
    figures: [
      exactly('GETs lost or not 200', countLost(result) + countOther(result, 200), 0),
      told('p50, worst in all', `${formatMicros(usual)}, ${formatMicros(result.latency.max)}`),
      atMost('added at most, after 2 s', Math.max(0, worst - usual), ADDED_MICROS, formatMicros),
    ],
    charts: [
      {
        kind: 'lines',
        title: 'F3: slowest answer of each second',
        xTitle: 'seconds',
        yTitle: 'ms',
        xScale: 'linear',
        lines: [
          {
            label: 'slowest',
            points: load.intervals.map(({ atMs, latency }) => [
              atMs / 1000,
              latency.count === 0 ? 0 : latency.max / 1000,
            ]),
          },
        ],
      },
    ],
  };
}

/** Two ports that swallow. */
async function startSilent(rig: ScenarioRig): Promise<readonly number[]> {
  const ports = await freePorts(2);
  for (const port of ports) {
    const program = new URL('./silent-listener.ts', import.meta.url).pathname;
    const command = { command: process.execPath, args: [program, JSON.stringify({ port })] };
    const launch = { files: [], command, readyUrl: `http://127.0.0.1:${port}/healthz` };
    const outcome = await launchAndWait(launch, rig.folder, rig.clock);
    if (outcome.kind === 'failed') throw new Error(`the silent listener did not start: ${outcome.why}`);
    const { pid } = outcome.process;
    process.kill(pid, 'SIGSTOP');
    const fillers: net.Socket[] = [];
    rig.atEnd(async () => {
      for (const socket of fillers) socket.destroy();
      process.kill(pid, 'SIGCONT');
      await outcome.process.stop();
    });
    await fillQueue(port, fillers);
  }
  return ports;
}

async function fillQueue(port: number, fillers: net.Socket[]): Promise<void> {
  while (fillers.length < MAX_FILLERS) {
    const socket = net.connect({ host: '127.0.0.1', port });
    fillers.push(socket);
    socket.on('error', () => undefined);
    const isTaken = await new Promise<boolean>((resolve) => {
      const timer = setTimeout(() => resolve(false), DROPPED_MS);
      socket.once('connect', () => {
        clearTimeout(timer);
        resolve(true);
      });
    });
    if (!isTaken) {
      socket.destroy();
      return;
    }
  }
  throw new Error(
    `port ${port} takes connections without end: this system does not drop what a full queue cannot hold`,
  );
}
