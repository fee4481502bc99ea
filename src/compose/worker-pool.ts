// Starts the data-plane workers and keeps them running: one that dies is replaced, its cells are cleared,
// the others do not notice. Connections that waited in its accept queue are reset by the kernel, unless
// net.ipv4.tcp_migrate_req is 1.

import { setFlagsFromString } from 'node:v8';
import { Worker } from 'node:worker_threads';
import type { Clock } from '../core/clock.ts';
import type { TraceQuery } from '../proxy/kept-traces.ts';
import type { LoadReport } from '../proxy/load-reports.ts';
import type { TraceRecord } from '../proxy/trace-record.ts';
import type { SnapshotInput } from '../routing/build-snapshot.ts';
import type { LiveCells } from '../state/live-cells.ts';
import type { ServedReport } from '../state/served-tally.ts';
import type { Delta } from '../telemetry/deltas.ts';
import type { Logger, LoggerOptions } from '../telemetry/logger.ts';
import type { FromWorker, ListenPlan, ToWorker, WorkerStart } from './messages.ts';

// V8 learns from early samples that objects of a request "survive" and then makes them in the old space,
// where only a full collection frees them: measured, a request cost 54 us of CPU with that and 40 us without.
setFlagsFromString('--no-allocation-site-pretenuring');

export interface WorkerPoolOptions {
  readonly cells: LiveCells;
  readonly pseudonym: string;
  readonly clock: Clock;
  readonly log: Logger;
  readonly logLevel: LoggerOptions['level'];
  readonly onDeltas: (deltas: readonly Delta[], reports: readonly LoadReport[], served: ServedReport) => void;
  readonly onRestart: () => void;
  /** Finished requests that are exported as spans. */
  readonly onSpans?: (records: readonly TraceRecord[]) => void;
}

interface Running {
  readonly worker: Worker;
  isReady: boolean;
  isStopping: boolean;
}

// A worker that dies at once, each time, must not become a busy loop.
const RESTART_DELAYS_MS = [0, 100, 500, 2000] as const;
// A worker that has run this long died of something else than its start.
const STABLE_MS = 10_000;
/** Put to all workers at once. */
interface Question {
  left: number;
  readonly onAnswer: ((answer: FromWorker) => void) | undefined;
  readonly done: () => void;
}

// Longest wait for a worker that is busy; what it has counted comes with the next scrape.
const ANSWER_WAIT_MS = 250;

export class WorkerPool {
  readonly #options: WorkerPoolOptions;
  readonly #running = new Map<number, Running>();
  readonly #questions = new Map<number, Question>();
  #listen: readonly ListenPlan[] = [];
  #input: SnapshotInput;
  #logLevel: LoggerOptions['level'];
  #ticket = 0;
  #isStopping = false;

  constructor(options: WorkerPoolOptions, input: SnapshotInput) {
    this.#options = options;
    this.#input = input;
    this.#logLevel = options.logLevel;
  }

  /**
   * Starts all workers; rejects with a sentence when an address cannot be bound.
   * @returns the bound addresses: the first worker resolves a port of 0, the others join it.
   */
  async start(listen: readonly ListenPlan[]): Promise<readonly ListenPlan[]> {
    this.#listen = listen;
    this.#listen = await this.#spawn(0);
    const others = Array.from({ length: this.#options.cells.workers - 1 }, (_, i) => this.#spawn(i + 1));
    await Promise.all(others);
    return this.#listen;
  }

  get readyCount(): number {
    return [...this.#running.values()].filter((running) => running.isReady).length;
  }

  publish(input: SnapshotInput): void {
    this.#input = input;
    this.#tell({ kind: 'snapshot', input });
  }

  setLogLevel(level: LoggerOptions['level']): void {
    this.#logLevel = level;
    this.#tell({ kind: 'log_level', level });
  }

  /** Closes long-lived streams of these servers, spread over the time. */
  releaseStreams(slots: readonly number[], withinMs: number): void {
    this.#tell({ kind: 'release_streams', slots, withinMs });
  }

  /** Brings in what the workers have counted; resolves when all have answered or the wait is over. */
  async flush(): Promise<void> {
    await this.#ask((ticket) => ({ kind: 'flush', ticket }));
  }

  /** Traces that the workers have kept, newest first; of those that answered in time. */
  async traces(query: TraceQuery): Promise<readonly TraceRecord[]> {
    const records: TraceRecord[] = [];
    await this.#ask(
      (ticket) => ({ kind: 'traces', ticket, query }),
      (answer) => {
        if (answer.kind === 'traces') for (const record of answer.records) records.push(record);
      },
    );
    return records.sort((a, b) => b.at - a.at).slice(0, query.limit);
  }

  /** Asks all that are ready; resolves when each has answered or the wait is over. */
  #ask(question: (ticket: number) => ToWorker, onAnswer?: (answer: FromWorker) => void): Promise<void> {
    const ready = [...this.#running.values()].filter((running) => running.isReady);
    if (ready.length === 0) return Promise.resolve();
    const ticket = ++this.#ticket;
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        this.#questions.delete(ticket);
        resolve();
      };
      const timer = setTimeout(done, ANSWER_WAIT_MS);
      this.#questions.set(ticket, { left: ready.length, onAnswer, done });
      for (const { worker } of ready) worker.postMessage(question(ticket));
    });
  }

  /** Resolves when every worker has ended; those that do not within the grace and a bit are ended. */
  async drain(graceMs: number): Promise<void> {
    this.#isStopping = true;
    const ended = [...this.#running.values()].map((running) => {
      running.isStopping = true;
      return new Promise((resolve) => running.worker.once('exit', resolve));
    });
    this.#tell({ kind: 'drain', graceMs });
    const timer = setTimeout(() => void this.terminate(), graceMs + STOP_ALLOWANCE_MS);
    await Promise.all(ended);
    clearTimeout(timer);
  }

  async terminate(): Promise<void> {
    this.#isStopping = true;
    await Promise.all([...this.#running.values()].map(({ worker }) => worker.terminate()));
  }

  #spawn(id: number, earlierDeaths = 0): Promise<readonly ListenPlan[]> {
    const { cells, pseudonym } = this.#options;
    const workerData: WorkerStart = {
      worker: id,
      workers: cells.workers,
      cells: cells.buffer,
      pseudonym,
      logLevel: this.#logLevel,
      input: this.#input,
      listen: this.#listen,
    };
    const worker = new Worker(new URL('./proxy-worker.ts', import.meta.url), {
      workerData,
      name: `worker-${id}`,
    });
    const running: Running = { worker, isReady: false, isStopping: false };
    this.#running.set(id, running);
    const startedAt = this.#options.clock.monotonicMs();
    return new Promise((resolve, reject) => {
      worker.on('message', (message: FromWorker) => {
        if (message.kind === 'listening') {
          running.isReady = true;
          resolve(message.listen);
        } else if (message.kind === 'cannot_listen') {
          running.isStopping = true;
          reject(new Error(message.problem));
        } else {
          this.#onMessage(message);
        }
      });
      worker.on('error', (error) => {
        this.#options.log.error({ worker: id, error: describe(error) }, 'worker failed');
      });
      worker.on('exit', (code) => {
        running.isReady = false;
        // Nobody may wait for its end again.
        if (this.#running.get(id) === running) this.#running.delete(id);
        cells.clearWorker(id);
        if (this.#isStopping || running.isStopping) return;
        const deaths = this.#options.clock.monotonicMs() - startedAt > STABLE_MS ? 0 : earlierDeaths + 1;
        this.#replace(id, code, deaths);
      });
    });
  }

  #replace(id: number, code: number, deaths: number): void {
    const delay = RESTART_DELAYS_MS[Math.min(deaths, RESTART_DELAYS_MS.length - 1)]!;
    this.#options.log.error({ worker: id, code, restartInMs: delay }, 'worker died, another takes its place');
    this.#options.onRestart();
    setTimeout(() => {
      if (this.#isStopping) return;
      this.#spawn(id, deaths).catch((error: Error) => {
        this.#options.log.error({ worker: id, error: error.message }, 'worker could not be replaced');
        this.#replace(id, 1, deaths + 1);
      });
    }, delay);
  }

  #onMessage(message: FromWorker): void {
    if (message.kind === 'spans') this.#options.onSpans?.(message.records);
    if (message.kind !== 'deltas' && message.kind !== 'traces') return;
    if (message.kind === 'deltas') this.#options.onDeltas(message.deltas, message.reports, message.served);
    const question = this.#questions.get(message.ticket);
    if (question === undefined) return;
    question.onAnswer?.(message);
    question.left -= 1;
    if (question.left === 0) question.done();
  }

  #tell(message: ToWorker): void {
    for (const { worker } of this.#running.values()) worker.postMessage(message);
  }
}

// Beyond the grace a worker gets this long to cut what is left and say so.
const STOP_ALLOWANCE_MS = 1000;

function describe(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
