// Entry of a worker thread: builds one data plane, opens its listeners, and does what the main thread says.
// An exception that nobody caught ends the thread; the main thread starts another (worker-pool.ts).

import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { systemClock } from '../core/clock.ts';
import { systemRandom } from '../core/random.ts';
import { logAccess } from '../proxy/access-log.ts';
import { ContextHolder, countLocalReply, type DataPlane } from '../proxy/data-plane.ts';
import { drainListeners } from '../proxy/drain.ts';
import { FailureBursts } from '../proxy/failure-bursts.ts';
import { handleRequest } from '../proxy/handle-request.ts';
import { KeptTraces } from '../proxy/kept-traces.ts';
import { Listener } from '../proxy/listener.ts';
import { LoadReports } from '../proxy/load-reports.ts';
import { LongLivedStreams } from '../proxy/long-lived.ts';
import { RequestIds } from '../proxy/request-ids.ts';
import { intervalTicker, TimerWheel } from '../proxy/timer-wheel.ts';
import { tokenVerifier } from '../proxy/token-verifier.ts';
import type { RequestTrace } from '../proxy/trace.ts';
import type { TraceRecord } from '../proxy/trace-record.ts';
import { UpgradeUpstream } from '../proxy/upgrade.ts';
import { type PoolOptions, UpstreamPools } from '../proxy/upstream-pools.ts';
import { KeyBytes } from '../routing/key-bytes.ts';
import { readUnverifiedClaim } from '../routing/shard-key.ts';
import type { Snapshot } from '../routing/snapshot.ts';
import { LiveCells } from '../state/live-cells.ts';
import { ServedTally } from '../state/served-tally.ts';
import { SnapshotStore } from '../state/snapshot-store.ts';
import type { WorkerColumn } from '../state/worker-column.ts';
import { MetricDeltas } from '../telemetry/deltas.ts';
import { createLogger, type Logger } from '../telemetry/logger.ts';
import { LoopDelay } from '../telemetry/loop-delay.ts';
import { bucketsOf } from '../telemetry/metric-table.ts';
import type { FromWorker, ListenPlan, ToWorker, WorkerStart } from './messages.ts';

// Spans travel together: a message of their own each would cost more than they do.
const SPAN_PAUSE_MS = 100;
// Seconds between looks at long-lived streams: ten thousand of them cost a millisecond.
const TICKS_PER_RELEASE = 5;

class DataPlaneWorker {
  readonly #start: WorkerStart;
  readonly #thread: string;
  readonly #port: MessagePort;
  readonly #log: Logger;
  readonly #column: WorkerColumn;
  readonly #store: SnapshotStore;
  readonly #wheel = new TimerWheel(systemClock);
  readonly #upstream: UpstreamPools;
  readonly #reports = new LoadReports();
  readonly #served = new ServedTally();
  readonly #metrics = new MetricDeltas(bucketsOf);
  readonly #traces: KeptTraces;
  readonly #plane: DataPlane;
  readonly #contexts: ContextHolder;
  readonly #loopDelay: LoopDelay;
  readonly #longLived = new LongLivedStreams(systemRandom());
  readonly #stopFading: () => void;
  #spans: TraceRecord[] = [];
  #listeners: Listener[] = [];
  #ticks = 0;

  constructor(start: WorkerStart, port: MessagePort) {
    this.#start = start;
    this.#port = port;
    this.#thread = `worker-${start.worker}`;
    this.#log = createLogger({ level: start.logLevel, thread: this.#thread });
    this.#loopDelay = new LoopDelay(this.#thread);
    const cells = new LiveCells(start.workers, start.cells);
    this.#column = cells.column(start.worker);
    this.#store = new SnapshotStore(cells, (snapshot) => this.#onSnapshot(snapshot));
    this.#upstream = new UpstreamPools(this.#wheel, systemClock, INITIAL_POOL_OPTIONS);
    this.#traces = new KeptTraces(systemClock, start.worker, start.workers);
    this.#plane = this.#buildPlane(cells);
    this.#contexts = new ContextHolder(this.#plane);
    this.#stopFading = intervalTicker.every(1000, () => {
      this.#column.fadeLatencies();
      this.#releaseMoved();
    });
  }

  async run(): Promise<void> {
    await this.#store.load(this.#start.input);
    const bound = await this.#listen();
    if (bound === undefined) return;
    this.#port.on('message', (message: ToWorker) => this.#onMessage(message));
    this.#say({ kind: 'listening', listen: bound });
  }

  #buildPlane(cells: LiveCells): DataPlane {
    const column = this.#column;
    const random = systemRandom();
    const [longLived, reports] = [this.#longLived, this.#reports];
    const tools = { wheel: this.#wheel, column, longLived, reports, now: () => systemClock.monotonicMs() };
    return {
      store: this.#store,
      column,
      tools: { ...tools, upstream: this.#upstream },
      upgradeTools: { ...tools, upstream: new UpgradeUpstream() },
      clock: systemClock,
      random,
      deciding: {
        random,
        now: () => systemClock.monotonicMs(),
        loads: {
          inFlight: (region) => cells.regionInFlight(region),
          waiting: (region) => cells.regionWaiting(region),
          healthyShare: (region) => cells.healthyShare(region),
          utilisation: (region) => cells.utilisation(region),
        },
        key: new KeyBytes(),
        claims: readUnverifiedClaim,
        verify: tokenVerifier(),
      },
      serverLoads: {
        inFlight: (slot) => cells.serverInFlight(slot),
        latencyUs: (slot) => column.latencyUs(slot),
        expectedUs: (slot) => column.expectedUs(slot),
        failuresInARow: (slot) => column.failuresInARow(slot),
        ramp: (slot) => cells.ramp(slot),
      },
      bursts: new FailureBursts(),
      metrics: this.#metrics,
      workers: this.#start.workers,
      stage: this.#start.input.managerOf === undefined ? 'proxy' : 'rem',
      pseudonym: this.#start.pseudonym,
      ids: new RequestIds(random),
      record: (trace, taken) => {
        countServed(trace, taken.snapshot, column, this.#served);
        logAccess(trace, taken.snapshot, this.#log);
        const kept = this.#traces.offer(trace, taken);
        if (kept?.span !== undefined) this.#exportSpan(kept);
      },
    };
  }

  async #listen(): Promise<ListenPlan[] | undefined> {
    const bound: ListenPlan[] = [];
    for (const plan of this.#start.listen) {
      const listener = this.#openListener();
      this.#listeners.push(listener);
      try {
        const address = await listener.listen('path' in plan ? plan : { ...plan, reusePort: true });
        bound.push(
          typeof address === 'string' ? { path: address } : { host: address.address, port: address.port },
        );
      } catch (error) {
        const where = 'path' in plan ? `unix:${plan.path}` : `${plan.host}:${plan.port}`;
        const why = error instanceof Error ? error.message : String(error);
        this.#say({ kind: 'cannot_listen', problem: `cannot listen on ${where}: ${why}` });
        return undefined;
      }
    }
    return bound;
  }

  #openListener(): Listener {
    const { cells } = this.#column;
    const limits = () => this.#store.current().snapshot.settings.limits;
    return new Listener({
      wheel: this.#wheel,
      clock: systemClock,
      callbacks: {
        limits,
        onRequest: (exchange) => handleRequest(exchange, this.#plane, this.#contexts),
        onRefused: (reason, detail) => {
          countLocalReply(this.#metrics, reason);
          this.#log.debug({ reason, detail }, 'refused before it was a request');
        },
        onConnection: () => {
          this.#column.addConnections(1);
          return cells.connections() <= limits().connections;
        },
        onDisconnect: () => this.#column.addConnections(-1),
        onAcceptError: (error) => this.#log.error({ error: error.message }, 'connections cannot be accepted'),
      },
    });
  }

  #onSnapshot(snapshot: Snapshot): void {
    const origins = new Set(
      snapshot.regions.flatMap((region) => region.servers.map((server) => server.origin)),
    );
    this.#upstream.retain(origins, poolOptionsOf(snapshot));
  }

  #exportSpan(record: TraceRecord): void {
    this.#spans.push(record);
    if (this.#spans.length === 1) setTimeout(() => this.#sendSpans(), SPAN_PAUSE_MS).unref();
  }

  #sendSpans(): void {
    if (this.#spans.length > 0) this.#say({ kind: 'spans', records: this.#spans });
    this.#spans = [];
  }

  /** Looks from time to time rather than at every plan: a shift ends between two plans, too. */
  #releaseMoved(): void {
    this.#ticks += 1;
    if (this.#ticks % TICKS_PER_RELEASE !== 0 || !this.#store.isReady) return;
    const { snapshot } = this.#store.current();
    this.#longLived.releaseMoved(snapshot, systemClock.monotonicMs(), snapshot.settings.shiftPeriod);
  }

  #onMessage(message: ToWorker): void {
    switch (message.kind) {
      case 'snapshot':
        void this.#store.load(message.input).then((isSwapped) => {
          if (isSwapped) this.#say({ kind: 'applied', configGeneration: message.input.configGeneration });
        });
        return;
      case 'log_level':
        return this.#log.setLevel(message.level);
      case 'release_streams':
        return this.#longLived.release(message.slots, message.withinMs);
      case 'flush':
        return this.#flush(message.ticket);
      case 'traces':
        return this.#say({
          kind: 'traces',
          ticket: message.ticket,
          records: this.#traces.find(message.query),
        });
      case 'drain':
        void drainListeners(this.#listeners, message.graceMs, systemClock).then(() => this.#stop());
        return;
      case 'stop':
        return this.#stop();
    }
  }

  #flush(ticket: number): void {
    const deltas = [...this.#metrics.take(), ...this.#loopDelay.take()];
    for (const { route, region, remaining } of this.#contexts.retryBudgets()) {
      const labels = [route, region, this.#thread];
      deltas.push({ kind: 'gauge', metric: 'foreshard_retry_budget_remaining', labels, value: remaining });
    }
    this.#say({
      kind: 'deltas',
      ticket,
      deltas,
      reports: this.#reports.take(),
      served: this.#served.take(),
    });
  }

  #stop(): void {
    for (const listener of this.#listeners) listener.destroy();
    this.#wheel.close();
    this.#stopFading();
    this.#flush(0);
    this.#sendSpans();
    void Promise.all([this.#log.flush(), this.#upstream.destroy()]).then(() => {
      this.#say({ kind: 'drained' });
      this.#port.close();
    });
  }

  #say(message: FromWorker): void {
    this.#port.postMessage(message);
  }
}

/** Demand is forecast per shard group: a region's own load is of our making, every shift breaks its level. */
function countServed(
  { decision, status, attempts }: RequestTrace,
  snapshot: Snapshot,
  column: WorkerColumn,
  served: ServedTally,
): void {
  if (decision === undefined) return;
  const { set, shard } = decision;
  // 2^(32 - shardShift) shards, of which the top six bits are the group.
  column.groupServed(shard >>> (26 - set.shardShift), status >= 500);
  served.countShard(set.key, set.owners.length, shard);
  for (const { region, durationMs } of attempts) {
    served.countLatency(snapshot.regions[region]!.id, durationMs);
  }
}

const INITIAL_POOL_OPTIONS: PoolOptions = {
  connections: 1,
  connectTimeout: 1000,
  responseHeaderBytes: 65_536,
  trailerFields: 64,
};

function poolOptionsOf(snapshot: Snapshot): PoolOptions {
  const { limits } = snapshot.settings;
  return {
    connections: limits.inFlightPerServer,
    connectTimeout: Math.max(...snapshot.routes.map((route) => route.timeouts.connect)),
    responseHeaderBytes: limits.responseHeaderBytes,
    trailerFields: limits.trailerFields,
  };
}

if (parentPort === null) throw new Error('proxy-worker.ts runs as a worker thread of `foreshard proxy` only');
await new DataPlaneWorker(workerData as WorkerStart, parentPort).run();
