// Builds a Sharding Proxy out of its parts and runs it: configuration, state, health, plan, workers, control
// port. The only file that knows them all. Start-up fails with a sentence; afterwards nothing that an
// operator or the network does ends the process.

import { randomBytes } from 'node:crypto';
import { resolve } from 'node:path';
import { splitAddress } from '../config/quantities.ts';
import type { Config } from '../config/schema.ts';
import { ControlServer, proxyRoutes } from '../control/server.ts';
import { systemClock } from '../core/clock.ts';
import { systemRandom } from '../core/random.ts';
import { probeOverHttp } from '../health/active-probe.ts';
import { HealthMonitor } from '../health/monitor.ts';
import type { Plan } from '../plan/plan.ts';
import type { LoadReport } from '../proxy/load-reports.ts';
import type { TraceRecord } from '../proxy/trace-record.ts';
import { LoadMeter } from '../region/load-meter.ts';
import { ServerRegistry } from '../region/registry.ts';
import type { SnapshotInput } from '../routing/build-snapshot.ts';
import { LiveCells } from '../state/live-cells.ts';
import { PlanFile } from '../state/plan-file.ts';
import type { ServedReport } from '../state/served-tally.ts';
import { SharedTables } from '../state/shared-tables.ts';
import { type LockResult, tryLockState } from '../state/state-lock.ts';
import type { Delta } from '../telemetry/deltas.ts';
import { createLogger, type Logger } from '../telemetry/logger.ts';
import { LoopDelay } from '../telemetry/loop-delay.ts';
import { MetricsRegistry } from '../telemetry/registry.ts';
import { controlSource } from './control-source.ts';
import { listenPlan, listenUrl, localHosts, workerCount } from './listen-plan.ts';
import type { ListenPlan } from './messages.ts';
import { PlanFollower } from './plan-follower.ts';
import { PlanPolls } from './plan-polls.ts';
import { ProxyEngine } from './proxy-engine.ts';
import { RecentPlans } from './recent-plans.ts';
import { ReportedRegions } from './reported-regions.ts';
import { RequestSpans } from './request-spans.ts';
import { monitorSettings, type Published, RoutingPublisher } from './routing-publisher.ts';
import { untilDone } from './until-done.ts';
import { WorkerPool } from './worker-pool.ts';

// How often cells are folded: a failing server is out this soon after the failure that is one too many.
const FOLD_MS = 50;
// How often is looked whether a region is nearer or farther than it was.
const MEASURE_MS = 10_000;
// How often a following process tries to take over.
const LOCK_RETRY_MS = 250;
// How often a process without state looks whether its folder can be used.
const STATE_RETRY_MS = 5000;

export class ProxyProcess {
  readonly log: Logger;
  readonly metrics = new MetricsRegistry();
  /** In force: a reload replaces it. */
  #config: Config;
  readonly #cells: LiveCells;
  readonly #monitor: HealthMonitor;
  readonly #meter: LoadMeter;
  readonly #reported: ReportedRegions;
  readonly #publisher: RoutingPublisher;
  readonly #workers: WorkerPool;
  readonly #planFile: PlanFile;
  readonly #registry: ServerRegistry;
  readonly #pseudonym = `foreshard-${randomBytes(4).toString('hex')}`;
  readonly #timers = new Set<NodeJS.Timeout>();
  #lock: LockResult;
  #control: ControlServer | undefined;
  #engine: ProxyEngine | undefined;
  #listening: readonly ListenPlan[] = [];
  #controlAddress: string | undefined;
  #isDraining = false;
  readonly #polls = new PlanPolls();
  readonly #follower: PlanFollower;
  /** Version of the cells that the engine has been told of. */
  #foldedVersion = 0;
  readonly #recentPlans = new RecentPlans();
  readonly #spans: RequestSpans;
  /** The plan that those who poll have been told of. */
  #announced: Plan | undefined;

  /** Builds and starts. Rejects with an Error whose message is for the operator. */
  static async start(config: Config): Promise<ProxyProcess> {
    const folder = resolve(config.state.path);
    const lock = tryLockState(folder);
    const planFile = new PlanFile(folder);
    const process = new ProxyProcess(config, lock, planFile, await planFile.read());
    try {
      await process.#begin();
    } catch (error) {
      await process.stop();
      throw error;
    }
    return process;
  }

  private constructor(
    config: Config,
    lock: LockResult,
    planFile: PlanFile,
    kept: Awaited<ReturnType<PlanFile['read']>>,
  ) {
    this.#config = config;
    this.#lock = lock;
    this.#planFile = planFile;
    this.log = createLogger({ level: config.log.level, thread: 'main' });
    if (typeof kept === 'string') this.#cannotUsePlan(kept);
    this.#cells = new LiveCells(workerCount(config));
    const random = systemRandom();
    this.#monitor = new HealthMonitor(
      {
        cells: this.#cells,
        clock: systemClock,
        random,
        prober: probeOverHttp,
        log: this.log,
        metrics: this.metrics,
      },
      monitorSettings(config),
    );
    this.#meter = new LoadMeter(this.#cells);
    this.#registry = new ServerRegistry(this.#cells);
    this.#reported = new ReportedRegions({
      clock: systemClock,
      log: this.log,
      metrics: this.metrics,
      proxy: this.#pseudonym,
      addresses: () =>
        this.#listening.flatMap((plan) => ('path' in plan ? [] : [`${plan.host}:${plan.port}`])),
      localHosts,
      fetch,
      onChange: () => this.#serve(this.#publisher.refresh()),
      onSuspect: (dataUrl) => this.#monitor.suspect(dataUrl),
    });
    this.#publisher = new RoutingPublisher(
      {
        clock: systemClock,
        random,
        cells: this.#cells,
        reported: this.#reported,
        registry: this.#registry,
        tables: new SharedTables(),
        monitor: this.#monitor,
        meter: this.#meter,
      },
      typeof kept === 'string' ? undefined : kept,
    );
    this.#follower = this.#newFollower(config);
    const published = this.#publisher.apply(config);
    if (typeof published === 'string') throw new Error(published);
    this.#spans = new RequestSpans(this.#pseudonym, this.metrics, this.log);
    this.#spans.configure(config.otlp.url);
    this.#workers = this.#newWorkers(config, published.input);
    this.#afterPublish(published);
  }

  #newWorkers(config: Config, input: SnapshotInput): WorkerPool {
    const options = {
      cells: this.#cells,
      clock: systemClock,
      pseudonym: this.#pseudonym,
      log: this.log,
      logLevel: config.log.level,
      onDeltas: (deltas: readonly Delta[], reports: readonly LoadReport[], served: ServedReport) =>
        this.#counted(deltas, reports, served),
      onRestart: () => this.metrics.add('foreshard_worker_restarts_total', [], 1),
      onSpans: (records: readonly TraceRecord[]) => this.#spans.take(records),
    };
    return new WorkerPool(options, input);
  }

  #newFollower(config: Config): PlanFollower {
    const follower = new PlanFollower({
      clock: systemClock,
      cells: this.#cells,
      metrics: this.metrics,
      log: this.log,
      config: () => this.#config,
      adopt: (plan) => this.#serve(this.#publisher.adopt(plan)),
    });
    follower.reload(config);
    return follower;
  }

  #cannotUsePlan(problem: string): void {
    this.metrics.add('foreshard_plan_rejected_total', ['on_disk'], 1);
    this.log.warn({ problem }, 'the plan on disk cannot be used');
  }

  #counted(deltas: readonly Delta[], reports: readonly LoadReport[], served: ServedReport): void {
    this.#engine?.apply(deltas, reports, served);
    this.metrics.apply(deltas);
  }

  /** Bound addresses, `http://host:port` or `unix:/path`. */
  get listening(): string[] {
    return this.#listening.map(listenUrl);
  }

  /** undefined while another process has the control port. */
  get controlAddress(): string | undefined {
    return this.#controlAddress;
  }

  async #begin(): Promise<void> {
    this.#timers.add(setInterval(() => this.#fold(), FOLD_MS));
    this.#timers.add(setInterval(() => this.#measure(), MEASURE_MS));
    this.#listening = await this.#workers.start(
      this.#config.listen.map(({ address }) => listenPlan(address)),
    );
    if (this.#lock.kind === 'busy') this.#follow();
    else await this.#lead();
    if (this.#lock.kind === 'unusable') this.#serveWithoutState(this.#lock.why);
    this.log.info(
      {
        addresses: this.listening,
        control: this.#controlAddress,
        workers: this.#cells.workers,
        pid: process.pid,
      },
      'listening',
    );
    void this.log.flush();
  }

  /** Takes what only one process may have: the control port and the plan on disk. */
  async #lead(): Promise<void> {
    const { control } = this.#config;
    const address = splitAddress(control.address)!;
    const source = controlSource({
      publisher: this.#publisher,
      monitor: this.#monitor,
      meter: this.#meter,
      metrics: this.metrics,
      cells: this.#cells,
      workers: this.#workers,
      reported: this.#reported,
      polls: this.#polls,
      recentPlans: this.#recentPlans,
      loopDelay: new LoopDelay('main'),
      engine: () => this.#engine?.port,
      planAgeMs: () => this.#follower.ageMs(),
      isDraining: () => this.#isDraining,
    });
    const server = new ControlServer(proxyRoutes(source), {
      token: () => this.#config.control.token,
      log: this.log,
    });
    try {
      this.#controlAddress = `http://${await server.listen(address)}`;
    } catch (error) {
      throw new Error(`cannot open the control port ${control.address}: ${(error as Error).message}`);
    }
    this.#control = server;
    this.#keepPlan();
    this.#engine = new ProxyEngine(this.#config, {
      cells: this.#cells,
      monitor: this.#monitor,
      metrics: this.metrics,
      log: this.log,
      pseudonym: this.#pseudonym,
      servers: () => this.#registry.entries(),
      flush: () => this.#workers.flush(),
      plan: () => this.#publisher.current.plan,
      knownPlan: () => this.#follower.known,
      onPlan: (document, ageMs) => this.#follower.offer(document, ageMs),
      onUnchanged: (ageMs) => this.#follower.renew(ageMs),
    });
  }

  /** Another process has the state folder: serve beside it, and take over when it lets go. */
  #follow(): void {
    this.log.info({ state: this.#config.state.path }, 'following: another process has the lock');
    this.#every(LOCK_RETRY_MS, async () => {
      if (this.#lock.kind !== 'held') this.#lock = tryLockState(resolve(this.#config.state.path));
      if (this.#lock.kind === 'busy') return false;
      await this.#lead();
      this.log.info({ control: this.#controlAddress }, 'leading: the other process let go');
      return true;
    });
  }

  /** A full or read-only disk costs what is kept over a restart, not the traffic. */
  #serveWithoutState(why: string): void {
    this.log.error({ problem: why }, 'nothing can be kept on disk, serving without');
    this.#every(STATE_RETRY_MS, async () => {
      const lock = tryLockState(resolve(this.#config.state.path));
      if (lock.kind !== 'held') return false;
      this.#lock = lock;
      this.log.info({ state: this.#config.state.path }, 'state can be kept on disk again');
      this.#keepPlan();
      return true;
    });
  }

  #every(pauseMs: number, attempt: () => Promise<boolean>): void {
    const isOver = (): boolean => this.#isDraining;
    untilDone({ pauseMs, attempt, isOver, log: this.log, timers: this.#timers });
  }

  /** Applies a configuration. @returns a sentence when it was refused; then nothing has changed. */
  reload(config: Config): string | undefined {
    const published = this.#publisher.apply(config);
    if (typeof published === 'string') return published;
    this.#config = config;
    this.log.setLevel(config.log.level);
    this.#workers.setLogLevel(config.log.level);
    this.#spans.configure(config.otlp.url);
    this.#workers.publish(published.input);
    this.#afterPublish(published);
    this.#keepPlan();
    this.#follower.reload(config);
    void this.#engine?.reload(config);
    this.log.info(
      { configGeneration: published.input.configGeneration, movedShards: published.movedShards },
      'configuration applied',
    );
    return undefined;
  }

  /** Managers have reported something new, or an engine has another plan. */
  #serve(published: Published | string): void {
    if (typeof published === 'string') {
      this.log.error({ problem: published }, 'the routing in force stays');
      return;
    }
    this.#workers.publish(published.input);
    this.#afterPublish(published);
    this.#keepPlan();
  }

  configRejected(): void {
    this.metrics.add('foreshard_config_rejected_total', [], 1);
  }

  /**
   * Lets go of the lock and the control port, finishes what is under way, and ends the workers. Resolves
   * when everything is closed, at the latest after the grace and a second.
   */
  async drain(): Promise<void> {
    if (this.#isDraining) return;
    this.#isDraining = true;
    const { grace } = this.#publisher.current.config.shutdown;
    this.log.info({ graceMs: grace }, 'draining');
    await this.#letGo();
    await this.#workers.drain(grace);
    await this.stop();
  }

  /** Ends at once. */
  async stop(): Promise<void> {
    this.#isDraining = true;
    for (const timer of this.#timers) clearInterval(timer);
    this.#monitor.close();
    this.#reported.close();
    await this.#letGo();
    await this.#workers.terminate();
    await this.#spans.close();
    await this.log.flush();
  }

  async #letGo(): Promise<void> {
    const control = this.#control;
    this.#polls.close();
    this.#control = undefined;
    await control?.close();
    await this.#engine?.stop();
    this.#engine = undefined;
    await this.#planFile.settled();
    if (this.#lock.kind === 'held') this.#lock.release();
    this.#lock = { kind: 'busy' };
  }

  #fold(): void {
    this.#monitor.tick();
    this.#meter.tick(systemClock.monotonicMs());
    this.#follower.tick();
    if (this.#cells.version === this.#foldedVersion) return;
    this.#foldedVersion = this.#cells.version;
    this.#engine?.hurry();
  }

  #measure(): void {
    const published = this.#publisher.measured(this.#monitor.roundTrips());
    if (published !== undefined) this.#serve(published);
  }

  #afterPublish({ plan, input, isOwn, movedShards, movedShare }: Published): void {
    this.metrics.set('foreshard_plan_generation', [], plan.generation);
    this.metrics.set('foreshard_config_generation', [], input.configGeneration);
    this.metrics.set('foreshard_moved_keyspace_ratio', [], movedShare);
    // An engine counts the moves of its plans itself, by their reasons.
    if (isOwn && movedShards > 0) this.metrics.add('foreshard_shard_moves_total', ['human'], movedShards);
    if (plan === this.#announced) return;
    this.#recentPlans.note(plan);
    this.#announced = plan;
    this.#polls.wake();
  }

  #keepPlan(): void {
    // A follower keeps its hands off: the file belongs to the process that has the lock.
    if (this.#lock.kind !== 'held') return;
    void this.#planFile.write(this.#publisher.current.plan).then((problem) => {
      if (problem !== undefined) this.log.error({ problem }, 'the plan could not be kept on disk');
    });
  }
}
