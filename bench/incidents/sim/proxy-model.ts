// A proxy under virtual time: chooses by the plan, checks health, gives up on slow servers, sends again what may be sent
// again, and counts what it sees. The machines that judge health and outliers are the product's own; sockets are calls.

import type { Config } from '../../../src/config/schema.ts';
import type { Random } from '../../../src/core/random.ts';
import { afterProbe, INITIAL_STATE, type ProbeState, suspect } from '../../../src/health/health-state.ts';
import { MOST_WITHOUT } from '../../../src/health/monitor.ts';
import {
  accusation,
  eject,
  mayEject,
  newOutlierState,
  type OutlierState,
  settleOutlier,
} from '../../../src/health/outlier.ts';
import { FULL } from '../../../src/routing/fallbacks.ts';
import { AS_STATED, mostTime, mostWaiting, SPARE, SPENT } from '../../../src/routing/in-time.ts';
import type { Outcome, ServerModel } from '../server-model.ts';
import type { PlannedRequest } from '../traffic.ts';
import type { SeenRequest } from '../wire.ts';
import type { KeyRoute, RoutingModel } from './routing-model.ts';
import type { VirtualTime } from './virtual-time.ts';

export interface SimServer {
  readonly region: string;
  /** `region/server`, indices. */
  readonly name: string;
  readonly url: string;
  readonly model: ServerModel;
  readonly received: (readonly [number: number, atMs: number])[];
  probe: ProbeState;
  outlier: OutlierState;
  run5xx: number;
  runConnect: number;
  inFlight: number;
  /** Moving averages, as the product's workers have them: time of an answer, and what was in flight before a request. */
  latencyMs: number;
  crowd: number;
  /** Since the last reading. */
  attempts: number;
  errors: number;
  connectFailures: number;
  latencies: number[];
}

export function simServer(fixed: Pick<SimServer, 'region' | 'name' | 'url' | 'model'>): SimServer {
  return {
    ...fixed,
    received: [],
    probe: INITIAL_STATE,
    outlier: newOutlierState(0),
    run5xx: 0,
    runConnect: 0,
    inFlight: 0,
    latencyMs: 0,
    crowd: 0,
    attempts: 0,
    errors: 0,
    connectFailures: 0,
    latencies: [],
  };
}

type AttemptEnd = Outcome | 'timeout' | 'refused';

const STATUS: Readonly<Record<AttemptEnd, number>> = {
  ok: 200,
  error: 500,
  full: 503,
  gone: 502,
  timeout: 504,
  refused: 502,
};
/** Nothing of the request has arrived. */
const UNSENT: ReadonlySet<AttemptEnd> = new Set(['refused']);
const BUDGET_WINDOW_MS = 10_000;
const METER_MS = 1000;
/** Of a new sample in a moving average of a server. */
const GAIN = 0.2;
/** Envoy's: a region keeps all of its requests while five of seven servers are healthy. */
const OVERPROVISIONING = 1.4;

interface Walk {
  readonly request: PlannedRequest;
  readonly route: KeyRoute;
  readonly tried: Set<SimServer>;
  /** Ends the attempts under way: one, or two where the request is hedged. */
  readonly running: Set<() => void>;
  readonly done: (seen: SeenRequest) => void;
}

export class ProxyModel {
  readonly servers: readonly SimServer[];
  readonly groups = new Map<number, { requests: number; errors: number }>();
  readonly #config: Config;
  readonly #routing: RoutingModel;
  readonly #time: VirtualTime;
  readonly #random: Random;
  readonly #keepsReceived: boolean;
  /** Region -> when requests were sent to it, of the last second. */
  readonly #sentAt = new Map<string, number[]>();
  #requestsAt: number[] = [];
  #retriesAt: number[] = [];
  #hedgesAt: number[] = [];

  constructor(
    servers: readonly SimServer[],
    routing: RoutingModel,
    tools: { config: Config; time: VirtualTime; random: Random; keepsReceived: boolean },
  ) {
    this.servers = servers;
    this.#routing = routing;
    this.#config = tools.config;
    this.#time = tools.time;
    this.#random = tools.random;
    this.#keepsReceived = tools.keepsReceived;
  }

  send(request: PlannedRequest, done: (seen: SeenRequest) => void): void {
    this.#requestsAt.push(this.#time.nowMs());
    const route = this.#routing.routeOf(request.key);
    const region = this.#regionFor(route);
    if (region === 'shed') done(this.#seen(request, 503, ''));
    else this.#attempt({ request, route, tried: new Set(), running: new Set(), done }, region);
  }

  /** One check of every server; to be called every healthCheckInterval. */
  probe(): void {
    const { timeout } = this.#config.health;
    for (const server of this.servers) {
      let isAnswered = false;
      const judge = (passed: boolean): void => {
        if (isAnswered) return;
        isAnswered = true;
        server.probe = afterProbe(server.probe, passed, this.#config.health);
      };
      if (!server.model.isUp()) judge(false);
      else {
        server.model.whenMoving(() => judge(server.model.isUp()));
        this.#time.afterMs(timeout, () => judge(false));
      }
      const runs = { run5xx: server.run5xx, runConnect: server.runConnect };
      server.outlier = settleOutlier(server.outlier, runs, this.#time.nowMs(), this.#config.health.outlier);
    }
  }

  isHealthy({ probe, outlier }: SimServer): boolean {
    return probe.health !== 'unhealthy' && outlier.ejectedUntil === undefined;
  }

  #attempt(walk: Walk, preferred: string | undefined): void {
    const server = this.#choose(walk, preferred);
    if (server === undefined) {
      walk.done(this.#seen(walk.request, 503, ''));
      return;
    }
    walk.tried.add(server);
    const sentMs = this.#time.nowMs();
    server.attempts += 1;
    server.crowd += GAIN * (server.inFlight - server.crowd);
    server.inFlight += 1;
    const sent = this.#sentAt.get(server.region) ?? [];
    sent.push(sentMs);
    this.#sentAt.set(server.region, sent);
    let isOver = false;
    const giveWay = (): void => {
      if (isOver) return;
      isOver = true;
      server.inFlight -= 1;
      const waitedMs = this.#time.nowMs() - sentMs;
      server.latencyMs += GAIN * Math.max(0, waitedMs - server.latencyMs);
    };
    const end = (how: AttemptEnd): void => {
      if (isOver) return;
      isOver = true;
      server.inFlight -= 1;
      this.#judge(server, how, this.#time.nowMs() - sentMs);
      walk.running.delete(giveWay);
      if (how !== 'ok' && walk.running.size > 0) return;
      for (const other of walk.running) other();
      this.#finish(walk, server, how);
    };
    walk.running.add(giveWay);
    if (walk.tried.size === 1) this.#hedgeLater(walk, server);
    if (!server.model.isUp()) {
      end('refused');
      return;
    }
    if (this.#keepsReceived) server.received.push([walk.request.number, sentMs]);
    this.#time.afterMs(this.#config.routes[0]!.timeouts.response, () => end('timeout'));
    server.model.offer((outcome) => end(outcome));
  }

  #hedgeLater(walk: Walk, first: SimServer): void {
    const { after } = this.#config.routes[0]!.hedge;
    if (after === 0 || walk.request.method !== 'GET') return;
    this.#time.afterMs(after, () => {
      if (walk.running.size !== 1 || walk.tried.size > 1) return;
      const { demoted } = this.#routing;
      const region = walk.route.regions.find(
        (other) =>
          other !== first.region &&
          !demoted.has(other) &&
          this.#hasHealthy(other) &&
          this.#utilisation(other) < SPARE &&
          this.#answersInTime(other),
      );
      if (region !== undefined && this.#takeHedge()) this.#attempt(walk, region);
    });
  }

  #takeHedge(): boolean {
    const from = this.#time.nowMs() - METER_MS;
    this.#hedgesAt = this.#hedgesAt.filter((at) => at > from);
    const requests = this.#requestsAt.filter((at) => at > from).length;
    const { budget, minBudget } = this.#config.routes[0]!.hedge;
    if (this.#hedgesAt.length >= Math.max(minBudget, budget * requests)) return false;
    this.#hedgesAt.push(this.#time.nowMs());
    return true;
  }

  #finish(walk: Walk, server: SimServer, how: AttemptEnd): void {
    const { request, tried, done } = walk;
    const mayRepeat = request.method === 'GET' || UNSENT.has(how);
    const { attempts, base, cap } = this.#config.routes[0]!.retry;
    const next =
      how !== 'ok' && mayRepeat && tried.size < attempts ? this.#regionAfter(walk, how) : undefined;
    if (next !== undefined && this.#takeRetry()) {
      const pause = this.#random.next() * Math.min(cap, base * 2 ** (tried.size - 1));
      this.#time.afterMs(pause, () => this.#attempt(walk, next));
      return;
    }
    this.#noteGroup(walk.route.group, how);
    const isAnswer = how === 'ok' || how === 'error' || how === 'full';
    done(this.#seen(request, STATUS[how], isAnswer ? server.name : ''));
  }

  /** Another region first, as the product does; none whose work it would only add to. */
  #regionAfter({ route, tried }: Walk, how: AttemptEnd): string | undefined {
    const takes = (region: string): boolean =>
      this.#hasHealthy(region) &&
      this.#answersInTime(region) &&
      (UNSENT.has(how) || this.#utilisation(region) < SPENT);
    const been = new Set([...tried].map(({ region }) => region));
    const fresh = route.regions.filter((region) => !been.has(region));
    return [...fresh, ...been].find(takes);
  }

  /**
   * The owner, unless it has no healthy server, gives this key away as half-healthy, is at its capacity or too late;
   * undefined = nobody is healthy.
   */
  #regionFor({ regions, spillPlace }: KeyRoute): string | 'shed' | undefined {
    const [owner = '', ...others] = regions;
    const own = this.servers.filter(({ region }) => region === owner);
    const healthy = own.filter((server) => this.isHealthy(server)).length;
    const keeps = Math.min(1, (OVERPROVISIONING * healthy) / own.length);
    if (healthy > 0 && spillPlace < keeps && this.#hasRoom(owner)) return owner;
    const able = others.filter((region) => this.#hasHealthy(region));
    const { demoted } = this.#routing;
    const region =
      able.find((other) => !demoted.has(other) && this.#hasRoom(other)) ?? (healthy > 0 ? owner : able[0]);
    if (region === undefined || this.#answersInTime(region)) return region;
    return able.find((other) => this.#hasRoom(other)) ?? 'shed';
  }

  #hasRoom(region: string): boolean {
    return this.#utilisation(region) < FULL && this.#answersInTime(region);
  }

  #answersInTime(id: string): boolean {
    const { capacity } = this.#config.regions.find((region) => region.id === id)!;
    if (capacity === undefined) return true;
    const own = this.servers.filter(({ region }) => region === id);
    const left = own.filter((server) => this.isHealthy(server)).length || own.length;
    const waiting = own.reduce((sum, { inFlight }) => sum + inFlight, 0);
    const { response } = this.#config.routes[0]!.timeouts;
    return waiting < mostWaiting((capacity * left) / own.length, response, 'normal');
  }

  /** As the product's load meter has it. */
  #utilisationWithout(missing: SimServer): number {
    let [rate, left] = [0, 0];
    for (const { id, capacity = Number.NaN } of this.#config.regions) {
      const own = this.servers.filter(({ region }) => region === id);
      const healthy = own.filter((server) => server !== missing && this.isHealthy(server)).length;
      const from = this.#time.nowMs() - METER_MS;
      rate += (this.#sentAt.get(id) ?? []).filter((at) => at > from).length / (METER_MS / 1000);
      left += (capacity * healthy) / own.length;
    }
    return rate / left;
  }

  #hasHealthy(id: string): boolean {
    return this.servers.some((server) => server.region === id && this.isHealthy(server));
  }

  /** Requests of the last second over what is left of the stated capacity. */
  #utilisation(id: string): number {
    const from = this.#time.nowMs() - METER_MS;
    const times = (this.#sentAt.get(id) ?? []).filter((at) => at > from);
    this.#sentAt.set(id, times);
    const { capacity } = this.#config.regions.find((region) => region.id === id)!;
    const own = this.servers.filter(({ region }) => region === id);
    const left = own.filter((server) => this.isHealthy(server)).length || own.length;
    return capacity === undefined ? 0 : times.length / (METER_MS / 1000) / ((capacity * left) / own.length);
  }

  /**
   * The least busy healthy server of the region, else of the key's others; where that is too late and another region has
   * room and a server with time, that one. Health is ignored when nobody is healthy.
   */
  #choose({ tried, route }: Walk, preferred: string | undefined): SimServer | undefined {
    const order = [...(preferred === undefined ? [] : [preferred]), ...route.regions];
    const fresh = this.servers.filter((server) => !tried.has(server));
    const [start = ''] = order;
    const { response } = this.#config.routes[0]!.timeouts;
    const latestMs =
      this.#utilisation(start) >= AS_STATED ? Number.POSITIVE_INFINITY : mostTime(response, 'normal');
    const bestOf = (region: string): SimServer | undefined => {
      const able = fresh.filter((server) => server.region === region && this.isHealthy(server));
      const timely = able.filter((server) => !this.#isLate(server, latestMs));
      return this.#leastBusy(timely.length > 0 ? timely : able);
    };
    const first = order.map(bestOf).find((server) => server !== undefined);
    if (first === undefined) return this.#leastBusy(fresh);
    if (!this.#isLate(first, latestMs)) return first;
    const { demoted } = this.#routing;
    const others = route.regions.filter((region) => !demoted.has(region) && this.#hasRoom(region));
    return (
      others.map(bestOf).find((server) => server !== undefined && !this.#isLate(server, latestMs)) ?? first
    );
  }

  #isLate({ latencyMs, inFlight, crowd }: SimServer, latestMs: number): boolean {
    return (latencyMs * (inFlight + 1)) / (crowd + 1) > latestMs;
  }

  #leastBusy(servers: readonly SimServer[]): SimServer | undefined {
    const least = Math.min(...servers.map(({ inFlight }) => inFlight));
    const idle = servers.filter(({ inFlight }) => inFlight === least);
    return idle[this.#random.u32() % Math.max(1, idle.length)];
  }

  #takeRetry(): boolean {
    const from = this.#time.nowMs() - BUDGET_WINDOW_MS;
    this.#requestsAt = this.#requestsAt.filter((at) => at > from);
    this.#retriesAt = this.#retriesAt.filter((at) => at > from);
    const { budget, minBudget } = this.#config.routes[0]!.retry;
    if (this.#retriesAt.length >= budget * this.#requestsAt.length + minBudget) return false;
    this.#retriesAt.push(this.#time.nowMs());
    return true;
  }

  #judge(server: SimServer, how: AttemptEnd, latencyMs: number): void {
    const isFailure = how !== 'ok';
    if (!isFailure) {
      server.latencyMs =
        server.latencyMs === 0 ? latencyMs : server.latencyMs + GAIN * (latencyMs - server.latencyMs);
    }
    if (isFailure) server.errors += 1;
    if (how === 'refused') server.connectFailures += 1;
    else if (server.latencies.length < MAX_LATENCIES) server.latencies.push(latencyMs);
    server.run5xx = isFailure && how !== 'refused' ? server.run5xx + 1 : 0;
    server.runConnect = how === 'refused' ? server.runConnect + 1 : 0;
    const settings = this.#config.health.outlier;
    const runs = { run5xx: server.run5xx, runConnect: server.runConnect };
    if (accusation(server.outlier, runs, settings) === undefined) return;
    const own = this.servers.filter(({ region }) => region === server.region);
    const ejected = own.filter(({ outlier }) => outlier.ejectedUntil !== undefined).length;
    const isNeeded = how !== 'refused' && this.#utilisationWithout(server) >= MOST_WITHOUT;
    if (
      !isNeeded &&
      mayEject(own.length, ejected, own.filter((one) => this.isHealthy(one)).length, settings)
    ) {
      server.outlier = eject(server.outlier, runs, this.#time.nowMs(), settings);
    } else server.probe = suspect(server.probe, this.#config.health);
  }

  #noteGroup(group: number, how: AttemptEnd): void {
    const counts = this.groups.get(group) ?? { requests: 0, errors: 0 };
    this.groups.set(group, counts);
    counts.requests += 1;
    if (how !== 'ok') counts.errors += 1;
  }

  #seen({ number, dueMs, key, method }: PlannedRequest, status: number, servedBy: string): SeenRequest {
    const latencyMs = this.#time.nowMs() - dueMs;
    return { number, dueMs, key, method, status, latencyMs, servedBy, failure: '' };
  }
}

/** Of one server between two readings. */
const MAX_LATENCIES = 10_000;
