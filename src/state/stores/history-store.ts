// The owner's end of the history: posts to the thread that holds the database and waits for nothing but its
// questions. Without a usable disk the engine runs on: appends go nowhere, answers are empty, and the log
// says so.

import { Worker } from 'node:worker_threads';
import { type Clock, systemClock } from '../../core/clock.ts';
import type { Logger } from '../../telemetry/logger.ts';
import { RarePhrase } from '../../telemetry/rare-phrase.ts';
import type {
  FromHistory,
  HistoryPoint,
  HistoryQuery,
  HistoryStart,
  HistoryValue,
  HourOfEntity,
  ToHistory,
} from './history-messages.ts';

// A thread that does not answer in this time has died or hangs on its disk.
const ANSWER_MS = 30_000;

type Ask = Extract<ToHistory, { ticket: number }>;
type AskOf<A> = A extends Ask ? Omit<A, 'ticket'> : never;

export class HistoryStore {
  readonly #worker: Worker;
  readonly #log: Logger;
  readonly #waiting = new Map<number, (answer: unknown) => void>();
  #ticket = 0;
  #isGone = false;
  readonly #complaints: RarePhrase;
  /** Values that could not be kept. */
  lost = 0;

  private constructor(worker: Worker, log: Logger, clock: Clock) {
    this.#worker = worker;
    this.#log = log;
    this.#complaints = new RarePhrase(clock);
    worker.on('message', (message: FromHistory) => this.#onMessage(message));
    worker.on('error', (error: Error) => {
      this.#log.error({ error: error.message }, 'the history thread failed; history is not kept');
    });
    worker.on('exit', () => {
      this.#isGone = true;
      for (const done of this.#waiting.values()) done(undefined);
      this.#waiting.clear();
    });
  }

  /** Resolves when the file is open, or when it is sure that none can be. */
  static open(start: HistoryStart, log: Logger, clock: Clock = systemClock): Promise<HistoryStore> {
    const worker = new Worker(new URL('./history-thread.ts', import.meta.url), {
      workerData: start,
      name: 'history',
    });
    const store = new HistoryStore(worker, log, clock);
    return new Promise((resolve) => {
      const done = (): void => resolve(store);
      worker.once('exit', done);
      worker.on('message', function onOpened(message: FromHistory) {
        if (message.kind !== 'opened') return;
        worker.off('message', onOpened);
        worker.off('exit', done);
        done();
      });
    });
  }

  append(values: readonly HistoryValue[]): void {
    if (values.length > 0) this.#say({ kind: 'append', values });
  }

  /** @param at wall milliseconds. */
  save(key: string, at: number, body: string): void {
    this.#say({ kind: 'save', key, at, body });
  }

  /** What was saved under this key is of no use; it is kept under `aside/` and its key. */
  setAside(key: string): void {
    this.#say({ kind: 'set_aside', key });
  }

  prune(now: number): void {
    this.#say({ kind: 'prune', now });
  }

  async query(query: HistoryQuery): Promise<readonly HistoryPoint[]> {
    return ((await this.#ask({ kind: 'query', query })) as HistoryPoint[] | undefined) ?? [];
  }

  async load(key: string): Promise<string | undefined> {
    return (await this.#ask({ kind: 'load', key })) as string | undefined;
  }

  async replay(from: number, most: number): Promise<readonly HistoryValue[]> {
    return ((await this.#ask({ kind: 'replay', from, most })) as HistoryValue[] | undefined) ?? [];
  }

  /** Hourly means of a metric, in ascending time, of entities whose key begins with one of `prefixes`. */
  async hours(metric: string, prefixes: readonly string[], from: number): Promise<readonly HourOfEntity[]> {
    return ((await this.#ask({ kind: 'hours', metric, prefixes, from })) as HourOfEntity[] | undefined) ?? [];
  }

  /** Commits what was appended and ends the thread. */
  async close(): Promise<void> {
    await this.#ask({ kind: 'close' });
    await this.#worker.terminate();
  }

  #ask(ask: AskOf<Ask>): Promise<unknown> {
    if (this.#isGone) return Promise.resolve(undefined);
    const ticket = ++this.#ticket;
    return new Promise((resolve) => {
      const done = (answer: unknown): void => {
        clearTimeout(timer);
        this.#waiting.delete(ticket);
        resolve(answer);
      };
      const timer = setTimeout(() => done(undefined), ANSWER_MS);
      this.#waiting.set(ticket, done);
      this.#worker.postMessage({ ...ask, ticket } as Ask);
    });
  }

  #onMessage(message: FromHistory): void {
    switch (message.kind) {
      case 'opened':
        if (message.note !== undefined)
          this.#log.error({ problem: message.note }, 'the history was unusable');
        return;
      case 'answer':
        return this.#waiting.get(message.ticket)?.(message.answer);
      case 'problem':
        this.lost += message.lost;
        return this.#complain(message.problem);
    }
  }

  /** A full disk refuses each commit, for hours perhaps: `lost` is what was lost so far. */
  #complain(problem: string): void {
    const times = this.#complaints.due(problem);
    if (times === 0) return;
    this.#log.error({ problem, times, lost: this.lost }, 'the history could not be kept');
  }

  #say(message: ToHistory): void {
    if (!this.#isGone) this.#worker.postMessage(message);
  }
}
