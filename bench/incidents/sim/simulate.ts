// One incident under virtual time: scripted servers, a proxy model, and the product's engine and shard manager. Gives the
// same record as a run with processes, so that both are accounted for alike.

import { seededRandom } from '../../../src/core/random.ts';
import { regionSetKey } from '../../../src/routing/build-snapshot.ts';
import { isBad, type RunRecord, type SharesAt } from '../account.ts';
import { foreshardConfig, sharesOf } from '../contestants/foreshard.ts';
import { maintenanceCalendar } from '../contestants/maintenance-calendar.ts';
import { historyOf } from '../history.ts';
import { type Incident, REGIONS, regionCapacity, SERVERS_PER_REGION, tracksOf, valueAt } from '../script.ts';
import { type Scheduler, ServerModel } from '../server-model.ts';
import { requestsOf } from '../traffic.ts';
import type { SeenRequest } from '../wire.ts';
import { configOf, EngineLoop, type RiskRecord } from './engine-loop.ts';
import { readMeasurements } from './measurements.ts';
import { ProxyModel, type SimServer, simServer } from './proxy-model.ts';
import { RoutingModel } from './routing-model.ts';
import { VirtualTime } from './virtual-time.ts';

export interface SimSetup {
  readonly incident: Incident;
  readonly seed: number;
  /** Keys of proxy.yaml that make the contestant. */
  readonly top: Readonly<Record<string, unknown>>;
  /** What the engine is said to have predicted at an evaluation, counted from the first; undefined = what it did. */
  predictionAt(evaluation: number): RiskRecord | undefined;
  /** Called at every evaluation; for those who look into a run. */
  onEvaluation?(second: number, engine: EngineLoop): void;
  onRequest?(): void;
  /** Of a machine on which processes stand still now and then: for one of them what VirtualTime calls `playedAt`. */
  stallsOf?(process: string): (dueMs: number) => number;
  /** False: answers are not kept, for runs of days; the record then holds bad ones alone. */
  readonly keepsAnswers: boolean;
}

export interface SimResult {
  readonly record: RunRecord;
  readonly predicted: readonly RiskRecord[];
  /** Shards moved by reason. */
  readonly moves: Readonly<Record<string, number>>;
}

/** A Monday; the engine knows days of the week. */
const START_WALL_MS = Date.UTC(2026, 0, 5, 8);
const MEASURE_MS = 1000;
const TURN_MS = 100;
const SHARES_MS = 250;
const WATCH_MS = 25;
const AFTER_MS = 5000;
/** Regions, their servers, ports that nobody listens on. */
const PORT = 10_000;

export function simulate(setup: SimSetup): SimResult {
  const { incident, seed, top } = setup;
  const time = new VirtualTime(START_WALL_MS, setup.stallsOf?.('client and proxy'));
  const random = seededRandom(seed ^ 0x51_3a);
  const servers = simServers(setup, time);
  const isEngineOn = (top.pae as { mode?: string } | undefined)?.mode !== 'off';
  // Without an engine a proxy serves by base weights, which a shadow's first round gives too.
  const keys = isEngineOn ? top : { ...top, pae: { mode: 'shadow' } };
  const config = configOf(foreshardConfig(contestantSetup(setup, servers, time), keys));
  const moves: Record<string, number> = {};
  const loop = new EngineLoop({
    config,
    clock: time,
    predictionAt: setup.predictionAt,
    onMoves: (by) => {
      for (const [reason, shards] of Object.entries(by)) moves[reason] = (moves[reason] ?? 0) + shards;
    },
  });
  if (isEngineOn) tellPast(setup, loop, servers, time);
  const routing = new RoutingModel(time, random);
  const proxy = new ProxyModel(servers, routing, {
    config,
    time,
    random,
    keepsReceived: setup.keepsAnswers,
  });
  const set = regionSetKey([...REGIONS].sort());
  time.every(WATCH_MS, () => servers.forEach(({ model }) => void model.isUp()));
  time.every(config.healthCheckInterval, () => proxy.probe());
  routing.apply(planOf(loop));
  time.afterMs(MEASURE_MS, () =>
    time.every(MEASURE_MS, () => {
      const documents = readMeasurements(proxy, MEASURE_MS / 1000, new Date(time.wallMs()).toISOString());
      if (!isEngineOn) return;
      loop.take(documents);
      loop.takeCounts(set, MEASURE_MS / 1000, routing.counts.slice());
      routing.counts.fill(0);
    }),
  );
  if (isEngineOn) {
    time.every(TURN_MS, () => {
      const before = loop.predicted.length;
      loop.turn();
      if (loop.predicted.length > before) setup.onEvaluation?.(time.nowMs() / 1000, loop);
      routing.apply(planOf(loop));
    });
  }
  const shares: SharesAt[] = [];
  time.every(SHARES_MS, () =>
    shares.push({ second: time.nowMs() / 1000, shares: sharesOf(planOf(loop), time.wallMs()) }),
  );
  const requests = playTraffic(setup, proxy, time);
  const results = servers.map(({ name, received, model: { deaths } }) => ({
    name,
    received,
    deaths,
    loopDelayMs: 0,
  }));
  return {
    record: { incident, driver: { requests, lateMs: 0 }, servers: results, shares },
    predicted: loop.predicted,
    moves,
  };
}

function planOf(loop: EngineLoop) {
  if (loop.plan === undefined) throw new Error('the shard manager made no plan');
  return loop.plan;
}

function simServers({ incident, seed, stallsOf }: SimSetup, time: VirtualTime): SimServer[] {
  return REGIONS.flatMap((region, index) =>
    Array.from({ length: SERVERS_PER_REGION }, (_, server) => {
      const number = index * SERVERS_PER_REGION + server;
      const playedAt = stallsOf?.(`server ${number}`);
      const scheduler: Scheduler =
        playedAt === undefined
          ? time
          : {
              nowMs: () => time.nowMs(),
              afterMs: (ms, work) => time.afterMs(playedAt(time.nowMs() + ms) - time.nowMs(), work),
            };
      const model = new ServerModel(
        tracksOf(incident, index, server),
        seededRandom(seed * 64 + number),
        scheduler,
      );
      model.begin(0);
      return simServer({
        region,
        name: `${index}/${server}`,
        url: `http://127.0.0.1:${PORT + number}`,
        model,
      });
    }),
  );
}

function contestantSetup({ incident }: SimSetup, servers: readonly SimServer[], time: VirtualTime) {
  const { maintenanceAt, failing } = incident;
  return {
    regions: REGIONS.map((id, region) => ({
      id,
      capacity: regionCapacity(incident, region, 0),
      servers: servers
        .filter((server) => server.region === id)
        .map(({ url }) => ({ port: Number(new URL(url).port) })),
    })),
    port: 1,
    controlPort: 2,
    folder: '/nowhere',
    beginsAt: START_WALL_MS,
    maintenance:
      maintenanceAt === null || failing === null
        ? null
        : { region: REGIONS[failing]!, second: maintenanceAt },
    clock: time,
  };
}

function tellPast(setup: SimSetup, loop: EngineLoop, servers: readonly SimServer[], time: VirtualTime): void {
  const { incident, seed } = setup;
  const documents = historyOf({
    beginsAt: START_WALL_MS,
    until: START_WALL_MS,
    serverUrls: REGIONS.map((id) => servers.filter(({ region }) => region === id).map(({ url }) => url)),
    seed,
    demand: valueAt(incident.demand, 0),
  });
  for (let from = 0; from < documents.length; from += 1500)
    loop.take(documents.slice(from, from + 1500), true);
  loop.announce(maintenanceCalendar(contestantSetup(setup, servers, time)), START_WALL_MS);
}

function playTraffic(setup: SimSetup, proxy: ProxyModel, time: VirtualTime): SeenRequest[] {
  const { incident, seed, keepsAnswers } = setup;
  const seen: SeenRequest[] = [];
  const source = requestsOf(incident, seed);
  const next = (): void => {
    const { value: request, done } = source.next();
    if (done === true) return;
    time.afterMs(request.dueMs - time.nowMs(), () => {
      setup.onRequest?.();
      proxy.send(request, (answer) => {
        if (keepsAnswers || isBad(answer)) seen.push(answer);
      });
      next();
    });
  };
  next();
  time.runUntil(incident.seconds * 1000 + AFTER_MS);
  return seen;
}
