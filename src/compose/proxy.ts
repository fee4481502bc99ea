// Builds a Sharding Proxy out of its parts and runs it: configuration, state, health, plan, workers, control
// port. The only file that knows them all. Start-up fails with a sentence; afterwards nothing that an
// operator or the network does ends the process.

import { randomBytes } from 'node:crypto';
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
import type { ServedReport } from '../state/served-tally.ts';
import { SharedTables } from '../state/shared-tables.ts';
import type { Delta } from '../telemetry/deltas.ts';
import { createLogger, type Logger } from '../telemetry/logger.ts';
import { LoopDelay } from '../telemetry/loop-delay.ts';
import { MetricsRegistry } from '../telemetry/registry.ts';
import { ControlDesk } from './control-desk.ts';
import { controlSource } from './control-source.ts';
import { hostsAndPorts, listenPlan, listenUrl, localHosts, workerCount } from './listen-plan.ts';
import type { ListenPlan } from './messages.ts';
import { PlanFollower } from './plan-follower.ts';
import { PlanPolls } from './plan-polls.ts';
import { ProxyEngine } from './proxy-engine.ts';
import { RecentPlans } from './recent-plans.ts';
import { ReportedRegions } from './reported-regions.ts';
import { RequestSpans } from './request-spans.ts';
import { monitorSettings, type Published, RoutingPublisher } from './routing-publisher.ts';
import { StateFolder, type Waiting } from './state-folder.ts';
import { lowerPriority } from './thread-priority.ts';
import { WorkerPool } from './worker-pool.ts';

// How often cells are folded: a failing server is out this soon after the failure that is one too many.
const FOLD_MS = 50;
// How often is looked whether what an operator has said is over.
const EXPIRE_MS = 1000;
// How often is looked whether a region is nearer or farther than it was.
const MEASURE_MS = 10_000;

/** What outlives a process. */
interface Kept {
  readonly state: StateFolder;
  readonly desk: ControlDesk;
}

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
  readonly #state: StateFolder;
  readonly #desk: ControlDesk;
  readonly #tables = new SharedTables();
  readonly #registry: ServerRegistry;
  readonly #pseudonym = `foreshard-${randomBytes(4).toString('hex')}`;
  readonly #timers = new Set<NodeJS.Timeout>();
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
    const state = new StateFolder(config.state.path);
    const desk = await ControlDesk.open(config.state.path, systemClock);
    const effective = desk.effective(config);
    if (typeof effective === 'string') throw new Error(effective);
    desk.written = config;
    const process = new ProxyProcess(effective, { state, desk }, await state.read());
    try {
      await process.#begin();
    } catch (error) {
      await process.stop();
      throw error;
    }
    return process;
  }

  private constructor(config: Config, { state, desk }: Kept, kept: Plan | string | undefined) {
    this.#config = config;
    this.#state = state;
    this.#desk = desk;
    desk.apply = (written) => this.#publisher.losesEngine(desk.effective(written)) ?? this.reload(written);
    this.log = createLogger({ level: config.log.level, thread: 'main' });
    if (typeof kept === 'string') this.#cannotUsePlan(kept);
    this.#cells = new LiveCells(workerCount(config));
    const random = systemRandom();
    this.#meter = new LoadMeter(this.#cells);
    const tools = { cells: this.#cells, clock: systemClock, random, log: this.log, metrics: this.metrics };
    this.#monitor = new HealthMonitor(
      { ...tools, prober: probeOverHttp, meter: this.#meter },
      monitorSettings(config),
    );
    this.#registry = new ServerRegistry(this.#cells);
    this.#reported = new ReportedRegions({
      clock: systemClock,
      log: this.log,
      metrics: this.metrics,
      proxy: this.#pseudonym,
      addresses: () => hostsAndPorts([...this.listening, this.#controlAddress]),
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
        tables: this.#tables,
        monitor: this.#monitor,
        meter: this.#meter,
      },
      typeof kept === 'string' ? undefined : kept,
    );
    this.#follower = this.#newFollower(config);
    const published = this.#publisher.apply(config);
    if (typeof published === 'string') throw new Error(published);
    this.#spans = new RequestSpans(this.#pseudonym, this.metrics, this.log);
    this.#spans.configure(config.otlp);
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
      onTaken: (plan, steps) => this.#spans.planTaken(plan, steps),
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
    this.#timers.add(setInterval(() => void this.#desk.expire(), EXPIRE_MS));
    this.#listening = await this.#workers.start(
      this.#config.listen.map(({ address }) => listenPlan(address)),
    );
    lowerPriority(this.log);
    if (this.#state.kind === 'busy') this.#follow();
    else await this.#lead();
    this.#state.retry(this.#waiting, () => this.#keepPlan());
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
      desk: this.#desk,
      tables: this.#tables,
      loopDelay: new LoopDelay('main'),
      engine: () => this.#engine?.port,
      planAgeMs: () => this.#follower.ageMs(),
      isDraining: () => this.#isDraining,
    });
    const server = new ControlServer(proxyRoutes(source), {
      token: () => this.#config.control.token,
      readToken: () => this.#config.control.readToken,
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
      site: () => ({
        servers: this.#registry.entries(),
        reported: (region) => this.#reported.site(region),
      }),
      flush: () => this.#workers.flush(),
      plan: () => this.#publisher.current.plan,
      knownPlan: () => this.#follower.known,
      onPlan: (document, ageMs) => this.#follower.offer(document, ageMs),
      onUnchanged: (ageMs) => this.#follower.renew(ageMs),
    });
  }

  #follow(): void {
    this.#state.follow(this.#waiting, {
      lead: async () => {
        await this.#desk.load();
        await this.#lead();
        this.reload(this.#desk.written);
        this.log.info({ control: this.#controlAddress }, 'leading: the other process let go');
      },
      onPlan: (plan) => this.#serve(this.#publisher.adoptKept(plan)),
    });
  }

  get #waiting(): Waiting {
    return { log: this.log, timers: this.#timers, isOver: () => this.#isDraining };
  }

  /** Applies a configuration. @returns a sentence when it was refused; then nothing has changed. */
  reload(written: Config): string | undefined {
    const config = this.#desk.effective(written);
    if (typeof config === 'string') return config;
    const published = this.#publisher.apply(config);
    if (typeof published === 'string') return published;
    for (const problem of this.#desk.overruled(written)) this.log.warn({ problem }, 'configuration warning');
    this.#desk.written = written;
    this.#config = config;
    this.log.setLevel(config.log.level);
    this.#workers.setLogLevel(config.log.level);
    this.#spans.configure(config.otlp);
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

  configRejected(problems: readonly string[]): void {
    this.#desk.refuseReload(problems);
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
    await this.#desk.close();
    await this.#engine?.stop();
    this.#engine = undefined;
    await this.#state.release();
  }

  #fold(): void {
    this.#monitor.tick();
    this.#meter.tick(systemClock.monotonicMs());
    // Whoever follows hears of the engine by the plans that the leading process keeps.
    if (this.#state.kind === 'busy') this.#follower.renew(0);
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
    this.#state.keep(this.#publisher.current.plan, this.log);
  }
}
