// What changes by the millisecond, in one SharedArrayBuffer that all threads see: each worker writes its
// own columns and no other; the main thread folds them and writes health and ejection. So a counter has
// one writer and needs no lock, and a limit that is stated per process is checked against all columns.
// Where a slot is reused its incarnation grows, so that a late writer cannot blame the new server.

import { HEALTH_STATES, type Health, MAX_SERVERS } from '../core/model.ts';

export const MAX_REGIONS = 512;

// Fields of a server in a worker's column. Sixteen 32-bit cells are one cache line: two servers never
// share one, nor do two workers.
const SERVER_STRIDE = 16;
const IN_FLIGHT = 0;
const ATTEMPTS = 1;
const SUCCESSES = 2;
const ERRORS_5XX = 3;
const CONNECT_FAILURES = 4;
const OTHER_FAILURES = 5;
const RUN_5XX = 6;
const RUN_CONNECT = 7;
const LATENCY_US = 8;
const ATTEMPTS_BEFORE = 9;

// Fields of a server that the main thread writes.
const MAIN_STRIDE = 4;
const HEALTH = 0;
const EJECTED = 1;
const RAMP_PERMILLE = 2;
const INCARNATION = 3;

// Fields of a worker as a whole.
const WORKER_STRIDE = 16;
const CONNECTIONS = 0;
const REQUESTS_IN_FLIGHT = 1;

// Requests and errors of a shard group (the top six bits of the shard) in a worker's column.
export const SHARD_GROUPS = 64;
const GROUP_STRIDE = 2;

const VERSION = 0;

// Fields of a region that a manager reports on; the main thread writes them. 0 registered = no report.
const REPORT_STRIDE = 2;
const REPORTED_REGISTERED = 0;
const REPORTED_HEALTHY = 1;

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

export type Outcome = 'success' | 'error5xx' | 'connect_failure' | 'other_failure';

/** Share of a new sample in the moving average of latency: about the last ten answers count. */
const LATENCY_GAIN = 0.2;
/** Per second without a request: a server that was 400 times slower than others is tried again after nine. */
const LATENCY_FADE = 0.5;

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
  readonly #staleSince: Float64Array;

  /** @param buffer of another thread's cells with the same number of workers; else new ones are made. */
  constructor(workers: number, buffer?: SharedArrayBuffer) {
    const lengths = [16, MAX_SERVERS * MAIN_STRIDE, workers * MAX_SERVERS * SERVER_STRIDE];
    lengths.push(workers * WORKER_STRIDE, workers * MAX_REGIONS, MAX_REGIONS * REPORT_STRIDE);
    lengths.push(workers * SHARD_GROUPS * GROUP_STRIDE);
    const ints = lengths.reduce((sum, length) => sum + length, 0);
    this.buffer = buffer ?? new SharedArrayBuffer(ints * 4 + MAX_REGIONS * 8 + 8);
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
    this.#staleSince = new Float64Array(this.buffer, at + MAX_REGIONS * 8, 1);
    if (buffer === undefined) {
      this.#utilisation.fill(Number.NaN);
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

  /** @param utilisation requests/s over capacity; NaN when the capacity is not known. */
  setUtilisation(region: number, utilisation: number): void {
    this.#utilisation[region] = utilisation;
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
    this.#regions.fill(0, worker * MAX_REGIONS, (worker + 1) * MAX_REGIONS);
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
    let sum = 0;
    for (let worker = 0; worker < this.workers; worker++)
      sum += this.#regions[worker * MAX_REGIONS + region]!;
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
      this.#regions.subarray(worker * MAX_REGIONS, (worker + 1) * MAX_REGIONS),
      this.#groups.subarray(this.#groupBase(worker), this.#groupBase(worker + 1)),
    );
  }

  #groupBase(worker: number): number {
    return worker * SHARD_GROUPS * GROUP_STRIDE;
  }

  #serverBase(worker: number, slot: number): number {
    return (worker * MAX_SERVERS + slot) * SERVER_STRIDE;
  }
}

/** The columns of one worker; only that worker's thread may hold it. */
export class WorkerColumn {
  readonly cells: LiveCells;
  readonly #servers: Int32Array;
  readonly #worker: Int32Array;
  readonly #regions: Int32Array;
  readonly #groups: Int32Array;

  constructor(cells: LiveCells, ...columns: readonly [Int32Array, Int32Array, Int32Array, Int32Array]) {
    const [servers, worker, regions, groups] = columns;
    this.cells = cells;
    this.#groups = groups;
    this.#servers = servers;
    this.#worker = worker;
    this.#regions = regions;
  }

  addConnections(delta: 1 | -1): void {
    this.#worker[CONNECTIONS]! += delta;
  }

  /** A request of a shard group is over. */
  groupServed(group: number, isError: boolean): void {
    this.#groups[group * GROUP_STRIDE]! += 1;
    if (isError) this.#groups[group * GROUP_STRIDE + 1]! += 1;
  }

  addRequests(delta: 1 | -1): void {
    this.#worker[REQUESTS_IN_FLIGHT]! += delta;
  }

  attemptBegan(slot: number, region: number): void {
    const at = slot * SERVER_STRIDE;
    this.#servers[at + IN_FLIGHT]! += 1;
    this.#servers[at + ATTEMPTS]! += 1;
    this.#regions[region]! += 1;
  }

  /** The attempt holds its server no longer. */
  attemptEnded(slot: number, region: number): void {
    this.#servers[slot * SERVER_STRIDE + IN_FLIGHT]! -= 1;
    this.#regions[region]! -= 1;
  }

  /**
   * What the attempt says about its server; as soon as that is known, which for a long answer is long
   * before its end.
   * @param incarnation of the slot when the attempt began: a verdict on an earlier server is dropped.
   * @param latencyMs until the response head; counts for a success only.
   */
  attemptJudged(slot: number, incarnation: number, outcome: Outcome, latencyMs: number): void {
    if (this.cells.incarnation(slot) !== incarnation) return;
    const at = slot * SERVER_STRIDE;
    const cells = this.#servers;
    switch (outcome) {
      case 'success':
        cells[at + SUCCESSES]! += 1;
        cells[at + RUN_5XX] = 0;
        cells[at + RUN_CONNECT] = 0;
        cells[at + LATENCY_US] = nextAverage(cells[at + LATENCY_US]!, latencyMs * 1000);
        return;
      case 'error5xx':
        cells[at + ERRORS_5XX]! += 1;
        cells[at + RUN_5XX]! += 1;
        // The server answered: whatever it is, it can be reached.
        cells[at + RUN_CONNECT] = 0;
        return;
      case 'connect_failure':
        cells[at + CONNECT_FAILURES]! += 1;
        cells[at + RUN_CONNECT]! += 1;
        return;
      case 'other_failure':
        cells[at + OTHER_FAILURES]! += 1;
        cells[at + RUN_5XX]! += 1;
        return;
    }
  }

  /** Moving average of the time to a response head, microseconds; 0 before the first answer. */
  latencyUs(slot: number): number {
    return this.#servers[slot * SERVER_STRIDE + LATENCY_US]!;
  }

  /**
   * To be called once a second: what is known of the slowness of servers that were not asked since the last call
   * ages. Otherwise one that was slow once would never be asked again, however fast it has become.
   */
  fadeLatencies(): void {
    const cells = this.#servers;
    for (let at = 0; at < cells.length; at += SERVER_STRIDE) {
      const attempts = cells[at + ATTEMPTS]!;
      const isAsked = cells[at + IN_FLIGHT] !== 0 || attempts !== cells[at + ATTEMPTS_BEFORE]!;
      cells[at + ATTEMPTS_BEFORE] = attempts;
      // Rounded up: 0 would mean that there is no sample.
      if (!isAsked) cells[at + LATENCY_US] = Math.ceil(cells[at + LATENCY_US]! * LATENCY_FADE);
    }
  }

  /** Failures in a row of any kind, as this worker has seen them. */
  failuresInARow(slot: number): number {
    const at = slot * SERVER_STRIDE;
    return this.#servers[at + RUN_5XX]! + this.#servers[at + RUN_CONNECT]!;
  }
}

function nextAverage(average: number, sampleUs: number): number {
  // At least 1: 0 means that there is no sample yet.
  const sample = Math.max(1, sampleUs);
  return Math.round(average === 0 ? sample : average + LATENCY_GAIN * (sample - average));
}
