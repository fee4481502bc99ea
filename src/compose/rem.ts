// Builds a Regional Endpoint Manager out of its parts and runs it: members and their sources, health, the data
// path (the proxy's engine over one region), the report, drains, the API.

import { randomBytes } from 'node:crypto';
import { Resolver } from 'node:dns/promises';
import { availableParallelism } from 'node:os';
import { splitAddress } from '../config/quantities.ts';
import type { RemConfig } from '../config/schema-rem.ts';
import { remRoutes } from '../control/rem-routes.ts';
import { ControlServer } from '../control/server.ts';
import { systemClock } from '../core/clock.ts';
import { systemRandom } from '../core/random.ts';
import { ulid } from '../core/ulid.ts';
import { probeOverHttp } from '../health/active-probe.ts';
import { HealthMonitor } from '../health/monitor.ts';
import { Discovery, sourceName } from '../region/discovery.ts';
import { LoadMeter } from '../region/load-meter.ts';
import { Members } from '../region/members.ts';
import { ServerRegistry } from '../region/registry.ts';
import type { PolicyDocument } from '../routing/regional-policy.ts';
import { LiveCells } from '../state/live-cells.ts';
import { SharedTables } from '../state/shared-tables.ts';
import { createLogger, type Logger } from '../telemetry/logger.ts';
import { MetricsRegistry } from '../telemetry/registry.ts';
import { hostsAndPorts, listenPlan, listenUrl, localHosts } from './listen-plan.ts';
import { MemberScrapes } from './member-scrapes.ts';
import type { ListenPlan } from './messages.ts';
import { discoverySources, policyOf, readServerFile, staticMembers } from './rem-config.ts';
import { RemDesk } from './rem-desk.ts';
import { RemRouting } from './rem-routing.ts';
import { monitorSettings } from './routing-publisher.ts';
import { lowerPriority } from './thread-priority.ts';
import { WorkerPool } from './worker-pool.ts';

const FOLD_MS = 50;
const RESOLVER_TIMEOUT_MS = 2000;
// Metrics cost a server more than a probe does: every fifth time.
const LEAST_SCRAPE_MS = 500;

export class RemProcess {
  readonly log: Logger;
  readonly metrics = new MetricsRegistry();
  #config: RemConfig;
  readonly #cells: LiveCells;
  readonly #monitor: HealthMonitor;
  readonly #meter: LoadMeter;
  readonly #members: Members;
  readonly #scrapes: MemberScrapes;
  readonly #routing: RemRouting;
  readonly #workers: WorkerPool;
  readonly #desk: RemDesk;
  #discovery: Discovery;
  #control: ControlServer | undefined;
  #listening: readonly ListenPlan[] = [];
  #controlAddress = '';
  #timer: NodeJS.Timeout | undefined;
  #seenVersion = 0;
  #isEnding = false;

  /** Builds and starts. Rejects with an Error whose message is for the operator. */
  static async start(config: RemConfig): Promise<RemProcess> {
    const rem = new RemProcess(config, await policyOf(config));
    try {
      await rem.#begin();
    } catch (error) {
      await rem.stop();
      throw error;
    }
    return rem;
  }

  private constructor(config: RemConfig, policy: PolicyDocument) {
    this.#config = config;
    this.log = createLogger({ level: config.log.level, thread: 'main' });
    this.#cells = new LiveCells(config.workers === 'auto' ? availableParallelism() : config.workers);
    const random = systemRandom();
    this.#members = new Members({
      leaseTtl: () => this.#config.lease.ttl,
      // Above every epoch of an earlier process: it counts one a change, and there are fewer than one a ms.
      firstEpoch: Math.floor(systemClock.wallMs()),
      onChange: () => this.#changed(),
    });
    this.#routing = new RemRouting({
      clock: systemClock,
      cells: this.#cells,
      registry: new ServerRegistry(this.#cells),
      tables: new SharedTables(),
      incarnation: ulid(systemClock, random),
    });
    this.#meter = new LoadMeter(this.#cells);
    this.#monitor = new HealthMonitor(
      {
        cells: this.#cells,
        clock: systemClock,
        random,
        prober: probeOverHttp,
        log: this.log,
        metrics: this.metrics,
        meter: this.#meter,
      },
      monitorSettings(config),
    );
    const { log, metrics } = this;
    this.#scrapes = new MemberScrapes({ clock: systemClock, random, log, metrics });
    this.#members.setSource('static', staticMembers(config.servers));
    const published = this.#routing.publish(config, policy, this.#members.list(), false);
    if (typeof published === 'string') throw new Error(published);
    this.#workers = new WorkerPool(
      {
        cells: this.#cells,
        clock: systemClock,
        pseudonym: `foreshard-${randomBytes(4).toString('hex')}`,
        log: this.log,
        logLevel: config.log.level,
        onDeltas: (deltas) => this.metrics.apply(deltas),
        onRestart: () => this.metrics.add('foreshard_worker_restarts_total', [], 1),
      },
      published.input,
    );
    this.#desk = new RemDesk({
      clock: systemClock,
      cells: this.#cells,
      members: this.#members,
      routing: this.#routing,
      monitor: this.#monitor,
      meter: this.#meter,
      scrapes: this.#scrapes,
      workers: this.#workers,
      metrics: this.metrics,
      log: this.log,
      config: () => this.#config,
      dataUrl: () => this.dataUrl,
      ownAddresses: () => hostsAndPorts([...this.listening, this.#controlAddress, this.dataUrl]),
      localHosts,
      isEnding: () => this.#isEnding,
    });
    this.#discovery = this.#newDiscovery();
  }

  get dataUrl(): string {
    const first = this.#listening[0];
    return this.#config.dataUrl !== '' || first === undefined ? this.#config.dataUrl : listenUrl(first);
  }

  get listening(): string[] {
    return this.#listening.map(listenUrl);
  }

  get controlAddress(): string {
    return this.#controlAddress;
  }

  async #begin(): Promise<void> {
    this.#listening = await this.#workers.start(
      this.#config.listen.map(({ address }) => listenPlan(address)),
    );
    lowerPriority(this.log);
    await this.#discovery.start(discoverySources(this.#config));
    this.#changed();
    this.#timer = setInterval(() => this.#fold(), FOLD_MS);
    const address = splitAddress(this.#config.control.address)!;
    this.#control = new ControlServer(remRoutes(this.#desk), {
      token: () => this.#config.control.token,
      log: this.log,
    });
    try {
      this.#controlAddress = `http://${await this.#control.listen(address)}`;
    } catch (error) {
      throw new Error(
        `cannot open the control port ${this.#config.control.address}: ${(error as Error).message}`,
      );
    }
    const { region } = this.#config;
    this.log.info(
      {
        region,
        addresses: this.listening,
        control: this.#controlAddress,
        dataUrl: this.dataUrl,
        pid: process.pid,
      },
      'listening',
    );
    this.log.flush();
  }

  /** Applies a configuration. Resolves to a sentence when it was refused; then nothing has changed. */
  async reload(config: RemConfig): Promise<string | undefined> {
    let policy: PolicyDocument;
    try {
      policy = await policyOf(config);
    } catch (error) {
      return (error as Error).message;
    }
    const published = this.#routing.publish(config, policy, this.#members.list(), this.#desk.refuses);
    if (typeof published === 'string') return published;
    this.#config = config;
    this.log.setLevel(config.log.level);
    this.#workers.setLogLevel(config.log.level);
    this.#discovery.close();
    const wanted = ['static', ...discoverySources(config).map(sourceName)];
    for (const source of new Set(this.#members.list().map((member) => member.source))) {
      if (source !== 'lease' && !wanted.includes(source)) this.#members.setSource(source, []);
    }
    this.#members.setSource('static', staticMembers(config.servers));
    this.#discovery = this.#newDiscovery();
    await this.#discovery.start(discoverySources(config));
    this.#members.touch();
    this.log.info({ servers: this.#members.list().length }, 'configuration applied');
    return undefined;
  }

  configRejected(): void {
    this.metrics.add('foreshard_config_rejected_total', [], 1);
  }

  /** Announces the end to the proxies, waits until they have heard it, finishes what runs, and stops. */
  async drain(): Promise<void> {
    if (this.#isEnding) return;
    this.#isEnding = true;
    const { grace } = this.#config.shutdown;
    this.log.info({ graceMs: grace }, 'draining');
    await this.#desk.announceEnd(grace);
    await this.#workers.drain(grace);
    await this.stop();
  }

  /** Ends at once. */
  async stop(): Promise<void> {
    this.#isEnding = true;
    clearInterval(this.#timer);
    this.#discovery.close();
    this.#scrapes.close();
    this.#monitor.close();
    await this.#control?.close();
    await this.#workers.terminate();
    this.log.flush();
  }

  #newDiscovery(): Discovery {
    return new Discovery({
      resolver: new Resolver({ timeout: RESOLVER_TIMEOUT_MS, tries: 2 }),
      readFile: readServerFile,
      log: this.log,
      onServers: (source, servers) => this.#members.setSource(source, servers),
    });
  }

  /** Members, or what was decided about them, have changed: so does what the data path may use. */
  #changed(): void {
    // Called while this is being built, too.
    if (this.#desk === undefined) return;
    const published = this.#routing.publish(
      this.#config,
      undefined,
      this.#members.list(),
      this.#desk.refuses,
    );
    if (typeof published === 'string') {
      this.log.error({ problem: published }, 'the members cannot be taken, those in force stay');
      return;
    }
    this.#monitor.watch(published.watched, monitorSettings(this.#config));
    this.#meter.watch(published.metered, systemClock.monotonicMs());
    this.#workers.publish(published.input);
    const { region, healthCheckInterval } = this.#config;
    this.#scrapes.watch(region, this.#members.list(), Math.max(LEAST_SCRAPE_MS, 5 * healthCheckInterval));
    this.#desk.wake();
  }

  #fold(): void {
    this.#monitor.tick();
    this.#meter.tick(systemClock.monotonicMs());
    this.#desk.tick();
    if (this.#cells.version === this.#seenVersion) return;
    this.#seenVersion = this.#cells.version;
    this.#desk.healthChanged();
  }
}
