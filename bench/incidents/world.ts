// One contestant in one incident: its six servers, itself, its history, and the client, from start to accounts. Several
// worlds run side by side; they share nothing but the machine.

import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Clock } from '../../src/core/clock.ts';
import { seededRandom } from '../../src/core/random.ts';
import { type RunningProcess, runToEnd, startProcess } from '../load/child-process.ts';
import { freePorts } from '../load/free-port.ts';
import type { RunRecord, SharesAt } from './account.ts';
import type { Contestant, ContestantRegion, RunningContestant } from './contestants/contestant.ts';
import { historyOf, postHistory } from './history.ts';
import { portsBelowEphemeral } from './port-range.ts';
import {
  type Incident,
  REGIONS,
  regionCapacity,
  SERVERS_PER_REGION,
  tracksOf,
  trafficBefore,
  valueAt,
} from './script.ts';
import type { DriverResult, DriverSetup, ServerResult, ServerSetup } from './wire.ts';

export interface WorldSetup {
  readonly incident: Incident;
  readonly contestant: Contestant;
  readonly seed: number;
  /** Monotonic milliseconds at which the script is meant to begin; what is announced is announced for this time. */
  readonly startMs: number;
  /** Folder of the whole bench. */
  readonly folder: string;
  readonly clock: Clock;
}

export interface ReadyWorld {
  readonly kind: 'ready';
  /** Plays the script and ends the world. @param startMs monotonic milliseconds, in the future. */
  play(startMs: number): Promise<WorldOutcome>;
  /** Ends it unplayed. */
  stop(): Promise<void>;
}

export type WorldOutcome =
  | { readonly kind: 'done'; readonly record: RunRecord; readonly cpuMicros: number }
  | { readonly kind: 'failed'; readonly why: string };

const READY_LIMIT_MS = 60_000;
const POLL_MS = 20;
const SHARES_EVERY_MS = 250;
/** Requests may be under way for this long after the last one was due. */
const AFTER_MS = 15_000;

interface RunningServer {
  readonly setup: ServerSetup;
  readonly process: RunningProcess;
  readonly admin: string;
}

/** More than any world waits for the others. */
const WARM_UP_SECONDS = 300;
/** A process of node is there by then, and the history is read. */
const CLIENT_STARTS_MS = 5000;
const DRIVER = new URL('./driver-process.ts', import.meta.url).pathname;

let worlds = 0;

/** Servers, contestant and its history; nothing is sent yet. */
export async function prepareWorld(
  setup: WorldSetup,
): Promise<ReadyWorld | { readonly kind: 'failed'; readonly why: string }> {
  worlds += 1;
  const folder = join(setup.folder, `${worlds}-${setup.incident.id}-${setup.contestant.id}`);
  mkdirSync(folder);
  const servers: RunningServer[] = [];
  let contestant: RunningContestant | null = null;
  let warmUp: RunningProcess | null = null;
  const stop = async (): Promise<void> => {
    await warmUp?.stop();
    await contestant?.stop();
    await Promise.all(servers.map(({ process }) => process.stop()));
    rmSync(folder, { recursive: true, force: true });
  };
  const failed = async (why: string): Promise<{ readonly kind: 'failed'; readonly why: string }> => {
    await stop();
    return { kind: 'failed', why };
  };
  try {
    servers.push(...(await startServers(setup)));
    const started = await startContestant(setup, servers, folder);
    if (typeof started === 'string') return await failed(started);
    contestant = started;
    const problem = await tellHistory(setup, servers, contestant);
    if (problem !== undefined) return await failed(problem);
    // Demand does not stop where the history ends, and begin again with the script.
    warmUp = startDriver({
      url: contestant.url,
      incident: trafficBefore(setup.incident, WARM_UP_SECONDS),
      seed: setup.seed + 1,
      // A client that is late sends all that is overdue at once.
      startMs: setup.clock.monotonicMs() + CLIENT_STARTS_MS,
      file: null,
    });
  } catch (error) {
    return failed(messageOf(error));
  }
  const running = contestant;
  const warming = warmUp;
  return {
    kind: 'ready',
    stop,
    play: async (startMs) => {
      try {
        return await play({ ...setup, startMs }, { servers, contestant: running, warmUp: warming }, folder);
      } catch (error) {
        return { kind: 'failed', why: messageOf(error) };
      } finally {
        await stop();
      }
    },
  };
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

async function startServers({ incident, seed, clock }: WorldSetup): Promise<RunningServer[]> {
  const program = new URL('./server-process.ts', import.meta.url).pathname;
  const names = REGIONS.flatMap((_, region) =>
    Array.from({ length: SERVERS_PER_REGION }, (_, server) => [region, server] as const),
  );
  const ports = await portsBelowEphemeral(
    names.length,
    seededRandom(seed ^ Math.floor(clock.wallMs() + 7919 * worlds)),
  );
  return Promise.all(
    names.map(async ([region, server], i) => {
      const setup: ServerSetup = {
        name: `${region}/${server}`,
        port: ports[i]!,
        seed: seed * 64 + i,
        tracks: tracksOf(incident, region, server),
      };
      const process_ = startProcess({ command: process.execPath, args: [program, JSON.stringify(setup)] });
      return { setup, process: process_, admin: await adminOf(process_, clock) };
    }),
  );
}

/** The address that a server tells once it listens. */
async function adminOf(server: RunningProcess, clock: Clock): Promise<string> {
  const deadline = clock.monotonicMs() + READY_LIMIT_MS;
  while (clock.monotonicMs() < deadline && !server.hasExited()) {
    const port = /^admin (\d+)$/m.exec(server.output())?.[1];
    if (port !== undefined) return `http://127.0.0.1:${port}`;
    await sleep(POLL_MS);
  }
  await server.stop();
  throw new Error(`a scripted server did not start: ${server.output()}`);
}

async function startContestant(
  { incident, contestant, startMs, clock }: WorldSetup,
  servers: readonly RunningServer[],
  folder: string,
): Promise<RunningContestant | string> {
  const [port = 0, controlPort = 0] = await freePorts(2);
  const regions = REGIONS.map(
    (id, region): ContestantRegion => ({
      id,
      capacity: regionCapacity(incident, region, 0),
      servers: servers.filter(({ setup }) => setup.name.startsWith(`${region}/`)).map(({ setup }) => setup),
    }),
  );
  const { maintenanceAt, failing } = incident;
  const maintenance =
    maintenanceAt === null || failing === null ? null : { region: REGIONS[failing]!, second: maintenanceAt };
  const beginsAt = clock.wallMs() + (startMs - clock.monotonicMs());
  const outcome = await contestant.start({
    regions,
    port,
    controlPort,
    folder,
    beginsAt,
    maintenance,
    clock,
  });
  return outcome.kind === 'failed' ? outcome.why : outcome.contestant;
}

interface Playing {
  readonly servers: readonly RunningServer[];
  readonly contestant: RunningContestant;
  readonly warmUp: RunningProcess;
}

function startDriver(setup: DriverSetup): RunningProcess {
  return startProcess({ command: process.execPath, args: [DRIVER, JSON.stringify(setup)] });
}

async function play(
  setup: WorldSetup,
  { servers, contestant, warmUp }: Playing,
  folder: string,
): Promise<WorldOutcome> {
  const { incident, seed, startMs, clock } = setup;
  await Promise.all(servers.map(({ admin }) => fetch(`${admin}/begin?at=${startMs}`)));
  const cpuBefore = contestant.cpuMicros();
  const file = join(folder, 'driver.json');
  const driver: DriverSetup = { url: contestant.url, incident, seed, startMs, file };
  const limitMs = startMs - clock.monotonicMs() + incident.seconds * 1000 + AFTER_MS;
  const watching = watch(setup, contestant);
  const running = runToEnd({ command: process.execPath, args: [DRIVER, JSON.stringify(driver)] }, limitMs);
  await sleep(Math.max(0, startMs - clock.monotonicMs()));
  await warmUp.stop();
  const ran = await running;
  const shares = await watching.stop();
  const ended = contestant.endedWith();
  if (ended !== undefined)
    return { kind: 'failed', why: `${setup.contestant.id} ended: ${ended.slice(-300)}` };
  if (ran.kind === 'failed') return { kind: 'failed', why: ran.why };
  const results = await Promise.all(
    servers.map(async ({ admin }) => (await (await fetch(`${admin}/result`)).json()) as ServerResult),
  );
  const record: RunRecord = {
    incident,
    driver: JSON.parse(readFileSync(file, 'utf8')) as DriverResult,
    servers: results,
    shares,
  };
  return { kind: 'done', record, cpuMicros: contestant.cpuMicros() - cpuBefore };
}

async function tellHistory(
  { incident, seed, startMs, clock }: WorldSetup,
  servers: readonly RunningServer[],
  { telemetryUrl }: RunningContestant,
): Promise<string | undefined> {
  if (telemetryUrl === null) return undefined;
  const documents = historyOf({
    beginsAt: clock.wallMs() + (startMs - clock.monotonicMs()),
    until: clock.wallMs(),
    serverUrls: REGIONS.map((_, region) =>
      servers
        .filter(({ setup }) => setup.name.startsWith(`${region}/`))
        .map(({ setup }) => `http://127.0.0.1:${setup.port}`),
    ),
    seed,
    demand: valueAt(incident.demand, 0),
  });
  return postHistory(telemetryUrl, documents, clock);
}

/** Reads the shares again and again, and tells of the maintenance when its time has come. */
function watch(
  { incident, startMs, clock }: WorldSetup,
  contestant: RunningContestant,
): { stop(): Promise<SharesAt[]> } {
  const seen: SharesAt[] = [];
  let [isOver, isTold] = [false, false];
  const loop = async (): Promise<void> => {
    while (!isOver) {
      const second = (clock.monotonicMs() - startMs) / 1000;
      const { maintenanceAt, failing } = incident;
      if (!isTold && maintenanceAt !== null && failing !== null && second >= maintenanceAt) {
        isTold = true;
        await contestant.onMaintenance(REGIONS[failing]!);
      }
      const shares = second < 0 ? null : await contestant.shares();
      if (shares !== null) seen.push({ second, shares });
      await sleep(SHARES_EVERY_MS);
    }
  };
  const looping = loop();
  return {
    stop: async () => {
      isOver = true;
      await looping;
      return seen;
    },
  };
}
