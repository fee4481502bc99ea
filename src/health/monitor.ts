// Looks after the health of all servers of a process, on the main thread: folds the workers' cells, runs the
// probes, asks the pure machines (health-state, outlier, slow-start) and writes what they say into the live
// cells. The only writer of health and ejection.

import type { Clock } from '../core/clock.ts';
import type { Health } from '../core/model.ts';
import type { Random } from '../core/random.ts';
import type { LiveCells, ServerCounts } from '../state/live-cells.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { MetricsRegistry } from '../telemetry/registry.ts';
import type { ProbeResult, Prober } from './active-probe.ts';
import {
  afterProbe,
  type HealthThresholds,
  INITIAL_STATE,
  type ProbeState,
  suspect,
} from './health-state.ts';
import {
  accusation,
  type EjectionReason,
  eject,
  type FailureRuns,
  joinRuns,
  mayEject,
  newOutlierState,
  type OutlierSettings,
  type OutlierState,
  settleOutlier,
} from './outlier.ts';
import { FASTEST_MS, firstProbeMs, nextProbeMs } from './probe-schedule.ts';
import { RoundTrip } from './round-trip.ts';
import { slowStartFactor } from './slow-start.ts';

/** Nearer to their capacity than this servers answer late, and look like failing ones. */
export const MOST_WITHOUT = 0.9;

export interface MonitorSettings extends HealthThresholds {
  readonly active: boolean;
  readonly path: string;
  /** Milliseconds. */
  readonly timeout: number;
  readonly interval: number;
  readonly slowStart: number;
  readonly outlier: OutlierSettings;
}

export interface MonitoredServer {
  readonly id: string;
  readonly origin: string;
  readonly region: string;
  readonly slot: number;
  /** What somebody has decided about it, whatever checks say. */
  readonly standing?: Standing | undefined;
  /** The data path of a region's manager: when it cannot be reached, other regions stand in. */
  readonly standsForRegion?: boolean;
  /** Path of its check where it has told one: what a manager's policy lets pass. */
  readonly healthPath?: string | undefined;
}

export type Standing = Extract<Health, 'draining' | 'maintenance' | 'unhealthy'>;

interface Watched extends MonitoredServer {
  probe: ProbeState;
  outlier: OutlierState;
  /** Monotonic milliseconds; counts while no probe is under way. */
  nextProbeAt: number;
  isProbing: boolean;
  /** Monotonic milliseconds of the end of the last probe; -Infinity = none. */
  probedAt: number;
  /** Monotonic milliseconds of the last recovery; -Infinity = never. */
  recoveredAt: number;
  lastDetail: string;
  readonly roundTrip: RoundTrip;
  /** Totals at the last fold, to see what is new. */
  successes: number;
  failures: number;
  /** Monotonic milliseconds of the last fold that brought a good answer to a request; -Infinity = none. */
  answeredAt: number;
}

/** What the control API says of a server. */
export interface ServerReport {
  readonly id: string;
  readonly region: string;
  readonly health: Health;
  readonly ejected: boolean;
  readonly inFlight: number;
  readonly attempts: number;
  readonly ramp: number;
  /** Result of the last probe. */
  readonly lastProbe: string;
}

export interface MonitorTools {
  readonly cells: LiveCells;
  readonly clock: Clock;
  readonly random: Random;
  readonly prober: Prober;
  readonly log: Logger;
  readonly metrics: MetricsRegistry;
  readonly meter: LoadView;
}

/** Load over what could carry it if a server were missing; NaN = not known. */
export interface LoadView {
  utilisationWithout(slot: number): number;
}

export class HealthMonitor {
  readonly #tools: MonitorTools;
  readonly #watched = new Map<string, Watched>();
  #settings: MonitorSettings;
  #isClosed = false;

  constructor(tools: MonitorTools, settings: MonitorSettings) {
    this.#tools = tools;
    this.#settings = settings;
  }

  /** Takes over a new set of servers; those that stay keep their health, ejection and ramp. */
  watch(servers: readonly MonitoredServer[], settings: MonitorSettings): void {
    this.#settings = settings;
    const { clock, random } = this.#tools;
    const now = clock.monotonicMs();
    const ids = new Set(servers.map((server) => server.id));
    for (const id of this.#watched.keys()) if (!ids.has(id)) this.#watched.delete(id);
    for (const server of servers) {
      const known = this.#watched.get(server.id);
      if (known !== undefined) {
        // A server may have changed its region or slot; what is known of it is still true.
        const before = known.standing;
        Object.assign(known, { standing: undefined, standsForRegion: false, healthPath: undefined }, server);
        this.#stand(known, before, now);
        if (settings.active) {
          // The pause may be much shorter now than the one that is under way.
          const due = now + nextProbeMs(known.probe, settings.interval, random);
          known.nextProbeAt = Math.min(known.nextProbeAt, due);
        } else this.#forgetProbes(known);
        continue;
      }
      const watched: Watched = {
        ...server,
        probe: INITIAL_STATE,
        outlier: newOutlierState(now),
        nextProbeAt: now + firstProbeMs(settings.interval, random),
        isProbing: false,
        probedAt: Number.NEGATIVE_INFINITY,
        recoveredAt: Number.NEGATIVE_INFINITY,
        lastDetail: 'not probed yet',
        roundTrip: new RoundTrip(),
        successes: 0,
        failures: 0,
        answeredAt: Number.NEGATIVE_INFINITY,
      };
      this.#watched.set(server.id, watched);
      this.#stand(watched, undefined, now);
    }
    this.#publishGauges();
    this.#tools.cells.publish();
  }

  /** Puts what was decided about a server into force; one that is let go comes back like a recovered one. */
  #stand(server: Watched, before: Standing | undefined, now: number): void {
    if (server.standing === before) return;
    this.#tools.cells.setHealth(server.slot, server.standing ?? server.probe.health);
    const { log } = this.#tools;
    log.info(
      { server: server.id, region: server.region, standing: server.standing ?? 'none' },
      'server standing changed',
    );
    if (server.standing === undefined) server.recoveredAt = now;
  }

  /** Looks at a server now, instead of at its next turn: somebody has seen a sign of trouble. */
  suspect(id: string): void {
    const server = this.#watched.get(id);
    if (server === undefined) return;
    server.nextProbeAt = Math.min(server.nextProbeAt, this.#tools.clock.monotonicMs());
  }

  /** One fold: to be called every 50 ms or so. */
  tick(): void {
    if (this.#isClosed) return;
    const now = this.#tools.clock.monotonicMs();
    let isChanged = false;
    for (const server of this.#watched.values()) {
      if (this.#judgeTraffic(server, now)) isChanged = true;
      this.#tools.cells.setRamp(
        server.slot,
        slowStartFactor(now - server.recoveredAt, this.#settings.slowStart),
      );
      if (this.#settings.active && !server.isProbing && server.nextProbeAt <= now) this.#startProbe(server);
    }
    if (isChanged) this.#changed();
  }

  close(): void {
    this.#isClosed = true;
  }

  report(): ServerReport[] {
    const { cells } = this.#tools;
    return [...this.#watched.values()].map((server) => ({
      id: server.id,
      region: server.region,
      health: cells.health(server.slot),
      ejected: cells.isEjected(server.slot),
      inFlight: cells.serverInFlight(server.slot),
      attempts: this.#countsOf(server).reduce((sum, counts) => sum + counts.attempts, 0),
      ramp: cells.ramp(server.slot),
      lastProbe: server.lastDetail,
    }));
  }

  /** Milliseconds to the nearest server of each region, as far as checks have measured it. */
  roundTrips(): Record<string, number> {
    const shortest: Record<string, number> = {};
    for (const { region, roundTrip } of this.#watched.values()) {
      const ms = roundTrip.shortest();
      if (ms !== undefined) shortest[region] = Math.min(ms, shortest[region] ?? ms);
    }
    return shortest;
  }

  #countsOf(server: Watched): ServerCounts[] {
    const { cells } = this.#tools;
    return Array.from({ length: cells.workers }, (_, worker) => cells.counts(worker, server.slot));
  }

  /** @returns whether the server went out of rotation or came back. */
  #judgeTraffic(server: Watched, now: number): boolean {
    const counts = this.#countsOf(server);
    const successes = counts.reduce((sum, one) => sum + one.successes, 0);
    const failures = counts.reduce((sum, one) => sum + one.connectFailures + one.otherFailures, 0);
    const runs = joinRuns(counts, successes > server.successes);
    // Failing traffic is a reason to look now instead of at the next turn, but not to ask without pause.
    if (failures > server.failures) {
      server.nextProbeAt = Math.min(server.nextProbeAt, Math.max(now, server.probedAt + FASTEST_MS));
    }
    if (successes > server.successes) server.answeredAt = now;
    server.successes = successes;
    server.failures = failures;

    const wasEjected = server.outlier.ejectedUntil !== undefined;
    server.outlier = settleOutlier(server.outlier, runs, now, this.#settings.outlier);
    if (wasEjected && server.outlier.ejectedUntil === undefined) {
      this.#restore(server, now);
      return true;
    }
    const reason = accusation(server.outlier, runs, this.#settings.outlier);
    if (reason === 'consecutive_connect_failures' && this.#condemn(server, runs, now)) return true;
    if (reason === undefined) return false;
    if (!this.#mayEject(server) || (reason === 'consecutive_5xx' && this.#isNeeded(server))) {
      server.probe = suspect(server.probe, this.#settings);
      return false;
    }
    server.outlier = eject(server.outlier, runs, now, this.#settings.outlier);
    this.#eject(server, reason, now);
    return true;
  }

  /**
   * A manager that cannot be reached is out at once, although its region has no other server: waiting for
   * probes would cost more retries than a budget allows. Probes bring it back, not the time of an ejection.
   */
  #condemn(server: Watched, runs: FailureRuns, now: number): boolean {
    if (server.standsForRegion !== true || !this.#settings.active) return false;
    server.outlier = { ...server.outlier, judged: runs };
    if (server.probe.health === 'unhealthy') return false;
    server.probe = { health: 'unhealthy', against: 0 };
    server.lastDetail = 'requests cannot connect';
    server.nextProbeAt = now + FASTEST_MS;
    const { cells, log } = this.#tools;
    cells.setHealth(server.slot, server.standing ?? 'unhealthy');
    log.warn({ server: server.id, region: server.region, detail: server.lastDetail }, 'manager out of reach');
    return true;
  }

  #mayEject(server: Watched): boolean {
    const region = [...this.#watched.values()].filter((other) => other.region === server.region);
    const ejected = region.filter((other) => other.outlier.ejectedUntil !== undefined).length;
    const inRotation = region.filter((other) => this.#isInRotation(other)).length;
    // A server that is unhealthy anyway is not the last one that can serve.
    const others = this.#isInRotation(server) ? inRotation : inRotation + 1;
    return mayEject(region.length, ejected, others, this.#settings.outlier);
  }

  /**
   * Whether the others would drown without it. Time-outs are what drowning looks like: one server is ejected for them, its
   * load drowns the next, and so on, until nobody is left who is not. Checks decide then.
   */
  #isNeeded({ slot }: Watched): boolean {
    return this.#tools.meter.utilisationWithout(slot) >= MOST_WITHOUT;
  }

  #isInRotation(server: Watched): boolean {
    return (
      server.outlier.ejectedUntil === undefined &&
      server.probe.health !== 'unhealthy' &&
      server.standing === undefined
    );
  }

  #eject(server: Watched, reason: EjectionReason, now: number): void {
    const { cells, log, metrics } = this.#tools;
    cells.setEjected(server.slot, true);
    metrics.add('foreshard_ejections_total', [server.region, reason], 1);
    const forMs = server.outlier.ejectedUntil! - now;
    log.warn({ server: server.id, region: server.region, reason, forMs }, 'server ejected');
  }

  #restore(server: Watched, now: number): void {
    this.#tools.cells.setEjected(server.slot, false);
    server.recoveredAt = now;
    this.#tools.log.info({ server: server.id, region: server.region }, 'server back after ejection');
  }

  #startProbe(server: Watched): void {
    server.isProbing = true;
    const { timeout: timeoutMs } = this.#settings;
    const path = server.healthPath ?? this.#settings.path;
    void this.#tools.prober({ origin: server.origin, path, timeoutMs }).then((result) => {
      server.isProbing = false;
      // A reload may have taken the server out, or all probes, while this one was under way.
      if (this.#isClosed || !this.#settings.active || this.#watched.get(server.id) !== server) return;
      if (result.passed) server.roundTrip.add(result.tookMs);
      this.#afterProbe(server, result);
    });
  }

  #afterProbe(server: Watched, { passed, detail, isLate }: ProbeResult): void {
    const { clock, random } = this.#tools;
    const now = clock.monotonicMs();
    const before = server.probe.health;
    // A late check of a server that works as fast as it can says what its requests say: that there are too many.
    const isAnswering = now - server.answeredAt <= this.#settings.interval;
    const isDrowning = isLate === true && isAnswering && this.#isNeeded(server);
    if (!isDrowning) server.probe = afterProbe(server.probe, passed, this.#settings);
    server.lastDetail = detail;
    server.probedAt = now;
    server.nextProbeAt = now + nextProbeMs(server.probe, this.#settings.interval, random);
    const after = server.probe.health;
    if (after === before) return;
    if (before === 'unhealthy') server.recoveredAt = now;
    this.#tools.cells.setHealth(server.slot, server.standing ?? after);
    const fields = { server: server.id, region: server.region, from: before, to: after, detail };
    if (after === 'unhealthy') this.#tools.log.warn(fields, 'server health changed');
    else this.#tools.log.info(fields, 'server health changed');
    this.#changed();
  }

  /** Without probes nothing would ever contradict their last verdict: the server is believed again. */
  #forgetProbes(server: Watched): void {
    if (server.probe === INITIAL_STATE) return;
    server.probe = INITIAL_STATE;
    server.lastDetail = 'not probed';
    this.#tools.cells.setHealth(server.slot, 'unknown');
  }

  #changed(): void {
    this.#publishGauges();
    this.#tools.cells.publish();
  }

  #publishGauges(): void {
    const { metrics } = this.#tools;
    metrics.reset('foreshard_server_health');
    metrics.reset('foreshard_region_servers');
    const usable = new Map<string, number>();
    const registered = new Map<string, number>();
    for (const server of this.#watched.values()) {
      const isUp = this.#isInRotation(server) ? 1 : 0;
      metrics.set('foreshard_server_health', [server.region, server.id], isUp);
      usable.set(server.region, (usable.get(server.region) ?? 0) + isUp);
      registered.set(server.region, (registered.get(server.region) ?? 0) + 1);
    }
    for (const [region, count] of registered) {
      metrics.set('foreshard_region_servers', [region, 'registered'], count);
      metrics.set('foreshard_region_servers', [region, 'usable'], usable.get(region) ?? 0);
    }
  }
}
