// What a manager does for servers, operators and proxies who call its API: registrations, drains with their
// handshake, the report and those who wait for it. Fills control/rem-source.ts.

import type { RemConfig } from '../config/schema-rem.ts';
import type { MemberVerdict, RemSource } from '../control/rem-source.ts';
import type { Clock } from '../core/clock.ts';
import type { HealthMonitor } from '../health/monitor.ts';
import {
  Acknowledgements,
  beginDrain,
  type DrainState,
  drainVeto,
  hastenDrain,
  LEAST_DRAIN_MS,
  settleDrain,
} from '../region/drain.ts';
import { HostMeter } from '../region/host-telemetry.ts';
import type { LoadMeter } from '../region/load-meter.ts';
import type { FenceReason, FenceVerdict, Member, Members, Registration } from '../region/members.ts';
import { isOwnAddress, type LocalHosts } from '../region/own-address.ts';
import { ProxyAddresses } from '../region/proxy-addresses.ts';
import type { HostTelemetry, RegionReport, ReportedServer } from '../region/report.ts';
import type { LiveCells } from '../state/live-cells.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { MetricsRegistry } from '../telemetry/registry.ts';
import type { MemberScrapes } from './member-scrapes.ts';
import type { RemRouting } from './rem-routing.ts';
import type { WorkerPool } from './worker-pool.ts';

export interface RemDeskTools {
  readonly clock: Clock;
  readonly cells: LiveCells;
  readonly members: Members;
  readonly routing: RemRouting;
  readonly monitor: HealthMonitor;
  readonly meter: LoadMeter;
  readonly scrapes: MemberScrapes;
  readonly workers: WorkerPool;
  readonly metrics: MetricsRegistry;
  readonly log: Logger;
  config(): RemConfig;
  dataUrl(): string;
  ownAddresses(): readonly string[];
  localHosts(): LocalHosts;
  isEnding(): boolean;
}

const STATUS_OF: Readonly<Record<FenceReason, number>> = {
  stale_incarnation: 409,
  stale_epoch: 409,
  replayed: 409,
  id_taken: 409,
  address_taken: 409,
  not_registered: 404,
  too_many: 429,
};

// A proxy that has not polled for so many intervals is gone: nobody waits for it.
const PROXY_GONE_INTERVALS = 5;
// Telemetry of the machine: shorter than this is noise.
const TELEMETRY_MS = 1000;
const VETO_RETRY_SECONDS = 5;

export class RemDesk implements RemSource {
  readonly #tools: RemDeskTools;
  readonly #acknowledgements = new Acknowledgements();
  readonly #proxyAddresses = new ProxyAddresses();
  readonly #host: HostMeter;
  #telemetry: HostTelemetry = {};
  #measuredAt = Number.NEGATIVE_INFINITY;
  #regionDrain: DrainState | undefined;
  #refuses = false;
  /** When the last proxy had heard of the region's drain, monotonic milliseconds. */
  #heardSince: number | undefined;
  #waiting: (() => void)[] = [];
  #health = '';

  constructor(tools: RemDeskTools) {
    this.#tools = tools;
    this.#host = new HostMeter(tools.clock);
  }

  get metrics(): MetricsRegistry {
    return this.#tools.metrics;
  }

  get epoch(): number {
    return this.#tools.members.epoch;
  }

  /** The region drains and every proxy has heard it, or had its time: no new requests. */
  get refuses(): boolean {
    return this.#refuses;
  }

  report(): RegionReport {
    const { members, meter } = this.#tools;
    const config = this.#tools.config();
    const servers = members.list().map((member) => {
      const telemetry = this.#tools.scrapes.valuesOf(member.id);
      return { ...this.#reported(member), ...(telemetry !== undefined && { telemetry }) };
    });
    const told = servers.map(({ capacity }) => capacity);
    const sum = told.every((capacity) => capacity !== undefined)
      ? told.reduce((total, capacity) => total + capacity!, 0)
      : undefined;
    return {
      region: config.region,
      incarnation: this.#tools.routing.incarnation,
      epoch: members.epoch,
      dataUrl: this.#tools.dataUrl(),
      draining: this.#regionDrain !== undefined,
      servers,
      ...((config.capacity ?? sum) && { capacity: config.capacity ?? sum }),
      telemetry: {
        ...this.#telemetry,
        rps: Math.round(meter.rate(0) * 10) / 10,
        in_flight: servers.reduce((total, server) => total + (server.in_flight ?? 0), 0),
      },
      policies: this.#tools.routing.policy,
    };
  }

  #reported(member: Member): ReportedServer {
    const { cells, routing } = this.#tools;
    const slot = routing.slotOf(member.url);
    const health = slot === undefined ? 'unknown' : cells.isEjected(slot) ? 'unhealthy' : cells.health(slot);
    return {
      id: member.id,
      url: member.url,
      zone: member.zone,
      health,
      weight: member.weight,
      ...(member.capacity !== undefined && { capacity: member.capacity }),
      draining: this.#refuses || member.drain !== undefined,
      ...(member.drain?.isDone === true && { drained: true }),
      in_flight: slot === undefined ? 0 : cells.serverInFlight(slot),
    };
  }

  register(registration: Registration): MemberVerdict {
    const addresses = [
      ...this.#tools.ownAddresses(),
      ...this.#proxyAddresses.list(this.#tools.clock.monotonicMs()),
    ];
    if (isOwnAddress(registration.url, addresses, this.#tools.localHosts())) {
      this.#refused('loop');
      const detail = `url must be a server's, ${registration.url} is this manager's or a proxy's`;
      return { ok: false, status: 422, reason: 'loop', detail };
    }
    return this.#verdict(this.#tools.members.register(registration, this.#tools.clock.monotonicMs()));
  }

  renew(id: string, incarnation: string): MemberVerdict {
    return this.#verdict(this.#tools.members.renew(id, incarnation, this.#tools.clock.monotonicMs()));
  }

  deregister(id: string, incarnation: string | undefined): MemberVerdict {
    return this.#verdict(this.#tools.members.deregister(id, incarnation));
  }

  #verdict(verdict: FenceVerdict): MemberVerdict {
    if (verdict.ok) {
      // What is left, in whole milliseconds: a repeated registration is told when its first one ends.
      return {
        ok: true,
        body: { leaseTtlSeconds: Math.floor(verdict.leaseMs) / 1000, epoch: verdict.epoch },
      };
    }
    this.#refused(verdict.reason);
    return { ...verdict, status: STATUS_OF[verdict.reason] };
  }

  #refused(reason: string): void {
    this.#tools.metrics.add(
      'foreshard_registrations_refused_total',
      [this.#tools.config().region, reason],
      1,
    );
  }

  drain(id: string | undefined, deadlineMs: number | undefined): MemberVerdict {
    const { members, clock, log } = this.#tools;
    const { drain: rules, region } = this.#tools.config();
    const now = clock.monotonicMs();
    if (id === undefined) {
      return { ok: true, body: { region, ...this.#told(this.#drainRegion(now, deadlineMs), now) } };
    }
    const member = members.get(id);
    if (member === undefined) return unknown(id);
    const veto = drainVeto(this.#drainables(), id, rules.maxDraining);
    if (veto !== undefined) {
      log.warn({ server: id, veto }, 'drain refused');
      const detail = `${id} may not drain now: ${veto}`;
      return { ok: false, status: 409, reason: 'veto', detail, retryAfterSeconds: VETO_RETRY_SECONDS };
    }
    const before = member.drain;
    const drain =
      before === undefined
        ? beginDrain(now, deadlineMs ?? rules.deadline, this.epoch + 1)
        : hastenDrain(before, now, deadlineMs);
    if (before?.deadline !== drain.deadline) {
      members.setDrain(id, drain);
      this.#releaseStreams(id, drain.deadline - now);
      log.info({ server: id, deadlineMs: drain.deadline - now }, 'server drains');
    }
    return { ok: true, body: { serverId: id, ...this.#told(drain, now) } };
  }

  /** What is left of a drain's time, not what was asked for: one that runs already is never made longer. */
  #told({ deadline }: DrainState, now: number): object {
    const deadlineSeconds = Math.max(0, Math.floor(deadline - now)) / 1000;
    return { draining: true, deadlineSeconds, epoch: this.epoch };
  }

  undrain(id: string | undefined): MemberVerdict {
    const { members } = this.#tools;
    if (id === undefined) {
      if (this.#regionDrain === undefined) return notDraining('the region');
      this.#regionDrain = undefined;
      this.#refuses = false;
      members.touch();
      return { ok: true, body: { region: this.#tools.config().region, draining: false, epoch: this.epoch } };
    }
    const member = members.get(id);
    if (member === undefined) return unknown(id);
    if (member.drain === undefined) return notDraining(id);
    members.setDrain(id, undefined);
    return { ok: true, body: { serverId: id, draining: false, epoch: this.epoch } };
  }

  #drainables() {
    return this.#tools.members.list().map((member) => {
      const { health, draining } = this.#reported(member);
      const isHealthy = health === 'healthy' || health === 'degraded';
      const { id, weight, capacity } = member;
      const canServe = isHealthy || health === 'unknown';
      return { id, weight, capacity, canServe, isHealthy, isDraining: draining };
    });
  }

  /** Tunnels and event streams to a server that drains are closed one after the other, not all at the end. */
  #releaseStreams(id: string, withinMs: number): void {
    const slot = this.#tools.routing.slotOf(this.#tools.members.get(id)!.url);
    if (slot !== undefined) this.#tools.workers.releaseStreams([slot], withinMs);
  }

  #drainRegion(now: number, deadlineMs: number | undefined): DrainState {
    const { log, members, config } = this.#tools;
    const before = this.#regionDrain;
    if (before === undefined) {
      this.#heardSince = undefined;
      this.#regionDrain = beginDrain(now, deadlineMs ?? config().drain.deadline, this.epoch + 1);
      log.info({ deadlineMs: this.#regionDrain.deadline - now }, 'region drains: announced');
      members.touch();
      return this.#regionDrain;
    }
    this.#regionDrain = hastenDrain(before, now, deadlineMs);
    if (this.#refuses && this.#regionDrain.deadline < before.deadline) this.#releaseAll(now);
    return this.#regionDrain;
  }

  #releaseAll(now: number): void {
    const withinMs = Math.max(0, this.#regionDrain!.deadline - now);
    for (const { id } of this.#tools.members.list()) this.#releaseStreams(id, withinMs);
  }

  /** Shutdown: announces, and resolves when every proxy has heard it or the patience is over. */
  async announceEnd(graceMs: number): Promise<void> {
    this.#drainRegion(this.#tools.clock.monotonicMs(), graceMs);
    const patience = Math.min(graceMs, 2 * this.#tools.config().healthCheckInterval);
    const since = this.#tools.clock.monotonicMs();
    while (!this.#isHeard() && this.#tools.clock.monotonicMs() - since < patience) {
      await new Promise((resolve) => setTimeout(resolve, ACK_LOOK_MS));
    }
  }

  #isHeard(): boolean {
    const drain = this.#regionDrain;
    const since =
      this.#tools.clock.monotonicMs() - PROXY_GONE_INTERVALS * this.#tools.config().healthCheckInterval;
    return drain === undefined || this.#acknowledgements.waitingFor(drain.epoch, since).length === 0;
  }

  /** One look at leases and drains. */
  tick(): void {
    const { clock, members, metrics, log } = this.#tools;
    const now = clock.monotonicMs();
    for (const id of members.expire(now)) {
      metrics.add('foreshard_lease_expired_total', [this.#tools.config().region], 1);
      log.warn({ server: id }, 'lease expired');
    }
    this.#settleServers(now);
    this.#settleRegion(now);
    if (now - this.#measuredAt < TELEMETRY_MS) return;
    this.#measuredAt = now;
    this.#telemetry = this.#host.measure();
  }

  #settleServers(now: number): void {
    for (const member of this.#tools.members.list()) {
      if (member.drain === undefined || member.drain.isDone) continue;
      const { in_flight = 0 } = this.#reported(member);
      const settled = settleDrain(member.drain, in_flight, now);
      if (!settled.isDone) continue;
      this.#tools.members.setDrain(member.id, settled);
      this.#tools.log.info({ server: member.id, leftBehind: in_flight }, 'server drained');
    }
  }

  #settleRegion(now: number): void {
    const drain = this.#regionDrain;
    if (drain === undefined || this.#refuses) return;
    // Half of the deadline is for hearing, the other half for finishing.
    const isOver = now >= drain.since + (drain.deadline - drain.since) / 2;
    if (!this.#isHeard()) this.#heardSince = undefined;
    else this.#heardSince ??= now;
    // What proxies had decided before they heard is still on its way.
    const isHeardOut = this.#heardSince !== undefined && now >= this.#heardSince + LEAST_DRAIN_MS;
    if (!isHeardOut && !isOver) return;
    this.#refuses = true;
    this.#tools.log.info({}, 'region drains: new requests are refused');
    this.#releaseAll(now);
    this.#tools.members.touch();
  }

  /** Health of a member may have changed. */
  healthChanged(): void {
    const health = this.#tools.members
      .list()
      .map((member) => `${member.id} ${this.#reported(member).health}`)
      .join();
    if (health === this.#health) return;
    this.#health = health;
    this.#tools.members.touch();
  }

  heardOf(proxy: string, ack: number, addresses: readonly string[]): void {
    const now = this.#tools.clock.monotonicMs();
    this.#acknowledgements.acknowledge(proxy, ack, now);
    this.#proxyAddresses.say(proxy, addresses, now);
  }

  changeAfter(epoch: number, waitMs: number): Promise<void> {
    if (this.epoch > epoch || waitMs === 0 || this.#waiting.length >= MAX_WAITING) return Promise.resolve();
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        this.#waiting = this.#waiting.filter((waiter) => waiter !== done);
        resolve();
      };
      const timer = setTimeout(done, waitMs);
      this.#waiting.push(done);
    });
  }

  /** The epoch has changed: whoever waits for that gets an answer. */
  wake(): void {
    for (const done of [...this.#waiting]) done();
  }

  notReady(): string | undefined {
    if (this.#tools.isEnding() || this.#regionDrain !== undefined) return 'draining';
    return this.#tools.workers.readyCount === 0 ? 'no worker serves yet' : undefined;
  }

  async refreshMetrics(): Promise<void> {
    const { workers, cells, metrics } = this.#tools;
    await workers.flush();
    metrics.set('foreshard_connections', [], cells.connections());
    metrics.set('foreshard_requests_in_flight', [], cells.requestsInFlight());
  }
}

const ACK_LOOK_MS = 20;
const MAX_WAITING = 4096;

function unknown(id: string): MemberVerdict {
  return { ok: false, status: 404, reason: 'not_registered', detail: `there is no server ${id}` };
}

function notDraining(what: string): MemberVerdict {
  return { ok: false, status: 409, reason: 'not_draining', detail: `${what} does not drain` };
}
