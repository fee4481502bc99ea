// How a scripted server behaves: slots, a queue before them, service times, pauses, errors, and a death by overload that a
// restart ends. It sleeps instead of working: a machine with two cores holds two dozen of them. Time and randomness are
// arguments.

import type { Random } from '../../src/core/random.ts';
import {
  PAUSE_EVERY_SECONDS,
  SERVICE_MS,
  type ServerTracks,
  SLOTS,
  serverCapacity,
  stepAt,
  valueAt,
} from './script.ts';

export interface Scheduler {
  nowMs(): number;
  afterMs(ms: number, work: () => void): void;
}

/** `full` and `ok` and `error` are answers; `gone` is a crash: nobody answers. */
export type Outcome = 'ok' | 'error' | 'full' | 'gone';

export interface ServerMetrics {
  readonly cpu: number;
  readonly memory: number;
  readonly diskIo: number;
  readonly queueDepth: number;
  readonly inFlight: number;
  readonly rps: number;
  readonly errorRate: number;
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
}

/** A full queue is a wait of about a second; whoever comes then is told 503. */
const QUEUE_LIMIT = 64;
/** Service times grow with the queue by up to this share: threads and caches fight. */
const CROWDING = 0.5;
/** Spread of a service time: sigma of its logarithm. */
const SIGMA = 0.3;
/** A queue that stays this full for this long kills the server, as memory does; it then needs a restart. */
const DROWNING_SHARE = 0.9;
const DROWNING_MS = 5000;
const RESTART_MS = 8000;
const WINDOW_MS = 1000;
/** A rest of a pause that a sum of times no longer tells from none: waiting for it would wait for ever. */
const MOMENT_MS = 1e-3;

interface Waiting {
  readonly arrivedMs: number;
  readonly done: (outcome: Outcome) => void;
}

interface Finished {
  readonly atMs: number;
  readonly latencyMs: number;
  readonly isError: boolean;
}

export class ServerModel {
  readonly #tracks: ServerTracks;
  readonly #random: Random;
  readonly #scheduler: Scheduler;
  readonly #queue: Waiting[] = [];
  readonly #working = new Set<Waiting>();
  #finished: Finished[] = [];
  #arrivals: number[] = [];
  #startMs = Number.POSITIVE_INFINITY;
  #drowningSince: number | undefined;
  #downUntil = 0;
  /** Deaths by overload. */
  deaths = 0;

  constructor(tracks: ServerTracks, random: Random, scheduler: Scheduler) {
    this.#tracks = tracks;
    this.#random = random;
    this.#scheduler = scheduler;
  }

  /** The script begins; until then the server is as at second 0. */
  begin(atMs: number): void {
    this.#startMs = atMs;
  }

  /** Seconds of the script. */
  get second(): number {
    return Math.max(0, (this.#scheduler.nowMs() - this.#startMs) / 1000);
  }

  /** To be asked every few milliseconds: a server that is not up has its port closed. */
  isUp(): boolean {
    const now = this.#scheduler.nowMs();
    this.#noteDrowning(now);
    const isUp = now >= this.#downUntil && stepAt(this.#tracks.up, this.second) > 0;
    if (!isUp) this.#dropAll();
    return isUp;
  }

  offer(done: (outcome: Outcome) => void): void {
    const arrivedMs = this.#scheduler.nowMs();
    this.#arrivals.push(arrivedMs);
    if (this.#queue.length >= QUEUE_LIMIT) {
      this.#note(arrivedMs, true);
      done('full');
      return;
    }
    this.#queue.push({ arrivedMs, done });
    this.#dispatch();
  }

  /** Runs once the server moves: at once, or after its pause. */
  whenMoving(work: () => void): void {
    const left = this.#pauseLeftMs();
    if (left > MOMENT_MS) this.#scheduler.afterMs(left, () => this.whenMoving(work));
    else work();
  }

  metrics(): ServerMetrics {
    const now = this.#scheduler.nowMs();
    this.#finished = this.#finished.filter(({ atMs }) => atMs > now - WINDOW_MS);
    this.#arrivals = this.#arrivals.filter((atMs) => atMs > now - WINDOW_MS);
    const latencies = this.#finished.map(({ latencyMs }) => latencyMs).sort((a, b) => a - b);
    const at = (share: number): number => latencies[Math.floor(share * (latencies.length - 1))] ?? 0;
    const { memory, diskIo } = this.#tracks;
    return {
      cpu: Math.min(1, 0.08 + (0.8 * this.#working.size) / SLOTS),
      memory: valueAt(memory, this.second),
      diskIo: valueAt(diskIo, this.second),
      queueDepth: this.#queue.length,
      inFlight: this.#working.size + this.#queue.length,
      rps: this.#arrivals.length / (WINDOW_MS / 1000),
      errorRate: this.#finished.filter(({ isError }) => isError).length / Math.max(1, this.#finished.length),
      p50: at(0.5),
      p90: at(0.9),
      p99: at(0.99),
    };
  }

  /** Requests/s that it can take now by its script. */
  capacity(): number {
    return serverCapacity(this.#tracks, this.second);
  }

  #dispatch(): void {
    if (this.#pauseLeftMs() > MOMENT_MS) {
      this.whenMoving(() => this.#dispatch());
      return;
    }
    const slots = Math.round(SLOTS * valueAt(this.#tracks.slots, this.second));
    while (this.#working.size < slots && this.#queue.length > 0) this.#work(this.#queue.shift()!);
  }

  #work(request: Waiting): void {
    this.#working.add(request);
    this.#scheduler.afterMs(this.#serviceMs(), () => this.whenMoving(() => this.#finish(request)));
  }

  #finish(request: Waiting): void {
    // A crash has answered it already.
    if (!this.#working.delete(request)) return;
    const isError = this.#random.next() < valueAt(this.#tracks.errors, this.second);
    this.#note(request.arrivedMs, isError);
    request.done(isError ? 'error' : 'ok');
    this.#dispatch();
  }

  #note(arrivedMs: number, isError: boolean): void {
    const atMs = this.#scheduler.nowMs();
    this.#finished.push({ atMs, latencyMs: atMs - arrivedMs, isError });
  }

  /** Log-normal with mean SERVICE_MS x latency (Box and Muller for the normal part). */
  #serviceMs(): number {
    const radius = Math.sqrt(-2 * Math.log(1 - this.#random.next()));
    const normal = radius * Math.cos(2 * Math.PI * this.#random.next());
    const mean = SERVICE_MS * valueAt(this.#tracks.latency, this.second);
    const crowded = 1 + (CROWDING * this.#queue.length) / QUEUE_LIMIT;
    return mean * crowded * Math.exp(SIGMA * normal - SIGMA ** 2 / 2);
  }

  #pauseLeftMs(): number {
    const { second } = this;
    const into = (second % PAUSE_EVERY_SECONDS) * 1000;
    return Math.max(0, valueAt(this.#tracks.pauseMs, second) - into);
  }

  #noteDrowning(now: number): void {
    if (this.#queue.length < DROWNING_SHARE * QUEUE_LIMIT) {
      this.#drowningSince = undefined;
      return;
    }
    this.#drowningSince ??= now;
    if (now - this.#drowningSince < DROWNING_MS) return;
    this.#drowningSince = undefined;
    this.#downUntil = now + RESTART_MS;
    this.deaths += 1;
  }

  #dropAll(): void {
    const lost = [...this.#working, ...this.#queue];
    this.#working.clear();
    this.#queue.length = 0;
    for (const { done } of lost) done('gone');
  }
}
