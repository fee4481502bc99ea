// A worker's own columns of live-cells.ts: it alone writes them.

import {
  ATTEMPTS,
  ATTEMPTS_BEFORE,
  CONNECT_FAILURES,
  CONNECTIONS,
  CROWD_MILLI,
  ERRORS_5XX,
  GROUP_STRIDE,
  IN_FLIGHT,
  LATENCY_US,
  OTHER_FAILURES,
  REGION_IN_FLIGHT,
  REGION_STRIDE,
  REGION_WAITING,
  REQUESTS_IN_FLIGHT,
  RUN_5XX,
  RUN_CONNECT,
  SERVER_STRIDE,
  SUCCESSES,
} from './cell-layout.ts';
import type { LiveCells } from './live-cells.ts';

export type Outcome = 'success' | 'error5xx' | 'connect_failure' | 'other_failure';

/** Share of a new sample in a moving average: about the last ten requests count. */
const GAIN = 0.2;
/** Per second without a request: a server that was 400 times slower than others is tried again after nine. */
const LATENCY_FADE = 0.5;

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
    const cells = this.#servers;
    const crowd = cells[at + CROWD_MILLI]!;
    cells[at + CROWD_MILLI] = Math.round(crowd + GAIN * (1000 * cells[at + IN_FLIGHT]! - crowd));
    cells[at + IN_FLIGHT]! += 1;
    cells[at + ATTEMPTS]! += 1;
    const of = region * REGION_STRIDE;
    this.#regions[of + REGION_IN_FLIGHT]! += 1;
    this.#regions[of + REGION_WAITING]! += 1;
  }

  /** The attempt holds its server no longer. */
  attemptEnded(slot: number, region: number): void {
    this.#servers[slot * SERVER_STRIDE + IN_FLIGHT]! -= 1;
    this.#regions[region * REGION_STRIDE + REGION_IN_FLIGHT]! -= 1;
  }

  /** Its response head has come, or will not come any more: once for each attempt that began. */
  waitEnded(region: number): void {
    this.#regions[region * REGION_STRIDE + REGION_WAITING]! -= 1;
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

  /**
   * Another attempt has answered first. It says nothing of the server but that it takes at least so long; where that is
   * left out only the quick answers of a slow server count. Of one that is not known yet it says too little.
   */
  attemptOvertaken(slot: number, incarnation: number, waitedMs: number): void {
    if (this.cells.incarnation(slot) !== incarnation) return;
    const at = slot * SERVER_STRIDE + LATENCY_US;
    const average = this.#servers[at]!;
    if (average > 0) this.#servers[at] = Math.max(average, nextAverage(average, waitedMs * 1000));
  }

  /** Moving average of the time to a response head, microseconds; 0 before the first answer. */
  latencyUs(slot: number): number {
    return this.#servers[slot * SERVER_STRIDE + LATENCY_US]!;
  }

  /**
   * Time to the response head that one more request would take, microseconds; 0 before the first answer. By Little's
   * law what is in flight is rate x time: a server with twice as much before it as those had that it answered lately
   * takes about twice as long, whatever it is that holds it up, and before any answer shows it.
   */
  expectedUs(slot: number): number {
    const at = slot * SERVER_STRIDE;
    const cells = this.#servers;
    return (cells[at + LATENCY_US]! * (cells[at + IN_FLIGHT]! + 1)) / (cells[at + CROWD_MILLI]! / 1000 + 1);
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
  return Math.round(average === 0 ? sample : average + GAIN * (sample - average));
}
