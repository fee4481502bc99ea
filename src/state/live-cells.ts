// What changes by the millisecond, in one SharedArrayBuffer that all threads see: each worker writes its
// own columns and no other; the main thread folds them and writes health and ejection. So a counter has
// one writer and needs no lock, and a limit that is stated per process is checked against all columns.
// Where a slot is reused its incarnation grows, so that a late writer cannot blame the new server.

import { HEALTH_STATES, type Health, MAX_SERVERS } from '../core/model.ts';
import {
  ATTEMPTS,
  CONNECT_FAILURES,
  CONNECTIONS,
  EJECTED,
  ERRORS_5XX,
  GROUP_STRIDE,
  HEALTH,
  IN_FLIGHT,
  INCARNATION,
  LATENCY_US,
  MAIN_STRIDE,
  MAX_REGIONS,
  OTHER_FAILURES,
  RAMP_PERMILLE,
  REGION_IN_FLIGHT,
  REGION_STRIDE,
  REGION_WAITING,
  REPORT_STRIDE,
  REPORTED_HEALTHY,
  REPORTED_REGISTERED,
  REQUESTS_IN_FLIGHT,
  RUN_5XX,
  RUN_CONNECT,
  SERVER_STRIDE,
  SHARD_GROUPS,
  SUCCESSES,
  VERSION,
  WORKER_STRIDE,
} from './cell-layout.ts';
import { WorkerColumn } from './worker-column.ts';

type Seven<T> = readonly [T, T, T, T, T, T, T];
/** Counters of one server, as one worker or all of them together have seen them. */
export interface ServerCounts {
  inFlight: number;
  attempts: number;
  successes: number;
  errors5xx: number;
  connectFailures: number;
  otherFailures: number;
  /** Failures in a row up to now. */
  run5xx: number;
  runConnect: number;
}

/** Servers of a region by its manager's word. */
export interface ReportedCounts {
  readonly registered: number;
  readonly healthy: number;
}

export class LiveCells {
  readonly buffer: SharedArrayBuffer;
  readonly workers: number;
  readonly #global: Int32Array;
  readonly #main: Int32Array;
  readonly #servers: Int32Array;
  readonly #workers: Int32Array;
  readonly #regions: Int32Array;
  readonly #reports: Int32Array;
  readonly #groups: Int32Array;
  readonly #utilisation: Float64Array;
  readonly #healthyShare: Float64Array;
  readonly #staleSince: Float64Array;

  /** @param buffer of another thread's cells with the same number of workers; else new ones are made. */
  constructor(workers: number, buffer?: SharedArrayBuffer) {
    const lengths = [16, MAX_SERVERS * MAIN_STRIDE, workers * MAX_SERVERS * SERVER_STRIDE];
    lengths.push(workers * WORKER_STRIDE, workers * MAX_REGIONS * REGION_STRIDE, MAX_REGIONS * REPORT_STRIDE);
    lengths.push(workers * SHARD_GROUPS * GROUP_STRIDE);
    const ints = lengths.reduce((sum, length) => sum + length, 0);
    this.buffer = buffer ?? new SharedArrayBuffer(ints * 4 + 2 * MAX_REGIONS * 8 + 8);
    this.workers = workers;
    let at = 0;
    const take = (length: number): Int32Array => {
      const view = new Int32Array(this.buffer, at, length);
      at += length * 4;
      return view;
    };
    const views = lengths.map(take) as unknown as Seven<Int32Array>;
    [this.#global, this.#main, this.#servers, this.#workers, this.#regions] = views;
    [, , , , , this.#reports, this.#groups] = views;
    this.#utilisation = new Float64Array(this.buffer, at, MAX_REGIONS);
    this.#healthyShare = new Float64Array(this.buffer, at + MAX_REGIONS * 8, MAX_REGIONS);
    this.#staleSince = new Float64Array(this.buffer, at + 2 * MAX_REGIONS * 8, 1);
    if (buffer === undefined) {
      this.#utilisation.fill(Number.NaN);
      this.#healthyShare.fill(1);
      this.#staleSince[0] = Number.POSITIVE_INFINITY;
    }
  }

  /** Grows with every published change of health; a reader rebuilds its view when it differs. */
  get version(): number {
    return Atomics.load(this.#global, VERSION);
  }

  // ---- main thread writes ----

  publish(): void {
    Atomics.add(this.#global, VERSION, 1);
  }

  /** Makes a slot the home of a new server: everything known of the former one is forgotten. */
  resetSlot(slot: number): void {
    const base = slot * MAIN_STRIDE;
    this.#main[base + HEALTH] = HEALTH_STATES.indexOf('unknown');
    this.#main[base + EJECTED] = 0;
    this.#main[base + RAMP_PERMILLE] = 1000;
    this.#main[base + INCARNATION]! += 1;
    for (let worker = 0; worker < this.workers; worker++) {
      const at = this.#serverBase(worker, slot);
      // In flight belongs to its worker, which still has to count its own requests down.
      this.#servers.fill(0, at + ATTEMPTS, at + SERVER_STRIDE);
    }
  }

  setHealth(slot: number, health: Health): void {
    this.#main[slot * MAIN_STRIDE + HEALTH] = HEALTH_STATES.indexOf(health);
  }

  setEjected(slot: number, ejected: boolean): void {
    this.#main[slot * MAIN_STRIDE + EJECTED] = ejected ? 1 : 0;
  }

  /** @param ramp 0..1, share of its weight that a server in slow start has. */
  setRamp(slot: number, ramp: number): void {
    this.#main[slot * MAIN_STRIDE + RAMP_PERMILLE] = Math.round(ramp * 1000);
  }

  /**
   * @param utilisation requests/s over what is left of the capacity; NaN when the capacity is not known.
   * @param healthyShare of the stated capacity that is left, 0..1.
   */
  setLoad(region: number, utilisation: number, healthyShare: number): void {
    this.#utilisation[region] = utilisation;
    this.#healthyShare[region] = healthyShare;
  }

  /**
   * What a region's manager says of its servers; undefined while it says nothing. To be followed by `publish`.
   */
  setReported(region: number, counts: ReportedCounts | undefined): void {
    const at = region * REPORT_STRIDE;
    this.#reports[at + REPORTED_HEALTHY] = counts?.healthy ?? 0;
    this.#reports[at + REPORTED_REGISTERED] = counts?.registered ?? 0;
  }

  /** @param since when the plan went stale, monotonic milliseconds; Infinity while it is fresh. */
  setStaleSince(since: number): void {
    this.#staleSince[0] = since;
  }

  /** A worker is gone: what it had in flight is gone with it. */
  clearWorker(worker: number): void {
    const from = this.#serverBase(worker, 0);
    this.#servers.fill(0, from, from + MAX_SERVERS * SERVER_STRIDE);
    this.#workers.fill(0, worker * WORKER_STRIDE, (worker + 1) * WORKER_STRIDE);
    this.#regions.fill(0, this.#regionBase(worker, 0), this.#regionBase(worker + 1, 0));
    this.#groups.fill(0, this.#groupBase(worker), this.#groupBase(worker + 1));
  }

  // ---- everybody reads ----

  health(slot: number): Health {
    return HEALTH_STATES[this.#main[slot * MAIN_STRIDE + HEALTH]!]!;
  }

  isEjected(slot: number): boolean {
    return this.#main[slot * MAIN_STRIDE + EJECTED] === 1;
  }

  ramp(slot: number): number {
    return this.#main[slot * MAIN_STRIDE + RAMP_PERMILLE]! / 1000;
  }

  incarnation(slot: number): number {
    return this.#main[slot * MAIN_STRIDE + INCARNATION]!;
  }

  get staleSince(): number {
    return this.#staleSince[0]!;
  }

  utilisation(region: number): number {
    return this.#utilisation[region]!;
  }

  healthyShare(region: number): number {
    return this.#healthyShare[region]!;
  }

  /** What the region's manager says of its servers; undefined while it says nothing, or has none. */
  reported(region: number): ReportedCounts | undefined {
    const at = region * REPORT_STRIDE;
    const registered = this.#reports[at + REPORTED_REGISTERED]!;
    return registered === 0 ? undefined : { registered, healthy: this.#reports[at + REPORTED_HEALTHY]! };
  }

  serverInFlight(slot: number): number {
    let sum = 0;
    for (let worker = 0; worker < this.workers; worker++) {
      sum += this.#servers[this.#serverBase(worker, slot) + IN_FLIGHT]!;
    }
    return sum;
  }

  regionInFlight(region: number): number {
    return this.#sumOfRegion(region, REGION_IN_FLIGHT);
  }

  /** Requests of a region whose response head has not come yet. */
  regionWaiting(region: number): number {
    return this.#sumOfRegion(region, REGION_WAITING);
  }

  #sumOfRegion(region: number, field: number): number {
    let sum = 0;
    for (let worker = 0; worker < this.workers; worker++)
      sum += this.#regions[this.#regionBase(worker, region) + field]!;
    return sum;
  }

  connections(): number {
    let sum = 0;
    for (let worker = 0; worker < this.workers; worker++)
      sum += this.#workers[worker * WORKER_STRIDE + CONNECTIONS]!;
    return sum;
  }

  requestsInFlight(): number {
    let sum = 0;
    for (let worker = 0; worker < this.workers; worker++) {
      sum += this.#workers[worker * WORKER_STRIDE + REQUESTS_IN_FLIGHT]!;
    }
    return sum;
  }

  attempts(worker: number, slot: number): number {
    return this.#servers[this.#serverBase(worker, slot) + ATTEMPTS]!;
  }

  counts(worker: number, slot: number): ServerCounts {
    const at = this.#serverBase(worker, slot);
    const cells = this.#servers;
    return {
      inFlight: cells[at + IN_FLIGHT]!,
      attempts: cells[at + ATTEMPTS]!,
      successes: cells[at + SUCCESSES]!,
      errors5xx: cells[at + ERRORS_5XX]!,
      connectFailures: cells[at + CONNECT_FAILURES]!,
      otherFailures: cells[at + OTHER_FAILURES]!,
      run5xx: cells[at + RUN_5XX]!,
      runConnect: cells[at + RUN_CONNECT]!,
    };
  }

  /** Requests and failures (5xx, or none of ours) of one shard group since the worker began. */
  groupCounts(worker: number, group: number): { readonly requests: number; readonly errors: number } {
    const [requests = 0, errors = 0] = this.#groups.subarray(this.#groupBase(worker) + group * GROUP_STRIDE);
    return { requests, errors };
  }

  /** Moving average of the time to a response head as one worker sees it, microseconds; 0 = no answer yet. */
  latencyUs(worker: number, slot: number): number {
    return this.#servers[this.#serverBase(worker, slot) + LATENCY_US]!;
  }

  /** The writing end of one worker. */
  column(worker: number): WorkerColumn {
    return new WorkerColumn(
      this,
      this.#servers.subarray(this.#serverBase(worker, 0), this.#serverBase(worker + 1, 0)),
      this.#workers.subarray(worker * WORKER_STRIDE, (worker + 1) * WORKER_STRIDE),
      this.#regions.subarray(this.#regionBase(worker, 0), this.#regionBase(worker + 1, 0)),
      this.#groups.subarray(this.#groupBase(worker), this.#groupBase(worker + 1)),
    );
  }

  #regionBase(worker: number, region: number): number {
    return (worker * MAX_REGIONS + region) * REGION_STRIDE;
  }

  #groupBase(worker: number): number {
    return worker * SHARD_GROUPS * GROUP_STRIDE;
  }

  #serverBase(worker: number, slot: number): number {
    return (worker * MAX_SERVERS + slot) * SERVER_STRIDE;
  }
}
