// The main thread's end of the control database. A change is kept when its promise resolves; where nothing can be
// kept it rejects with a sentence, and the change is not made.

import { Worker } from 'node:worker_threads';
import type {
  AuditEntry,
  ControlAsk,
  ControlChange,
  ControlState,
  FromControlStore,
  PolicyRevision,
  ToControlStore,
} from './control-messages.ts';

// A thread that does not answer in this time hangs on its disk.
const ANSWER_MS = 10_000;

interface Waiting {
  resolve(answer: unknown): void;
  reject(error: Error): void;
}

export class ControlStore {
  readonly #worker: Worker;
  readonly #waiting = new Map<number, Waiting>();
  #ticket = 0;
  #failure: string | undefined;

  constructor(path: string) {
    this.#worker = new Worker(new URL('./control-thread.ts', import.meta.url), {
      workerData: { path },
      name: 'control',
    });
    this.#worker.on('message', ({ ticket, problem, answer }: FromControlStore) => {
      const waiting = this.#waiting.get(ticket);
      if (problem === undefined) waiting?.resolve(answer);
      else waiting?.reject(new Error(`cannot keep this on disk: ${problem}`));
    });
    this.#worker.on('error', (error: Error) => {
      this.#failure = error.message;
    });
    this.#worker.on('exit', () => {
      this.#failure ??= 'its thread has ended';
      for (const { reject } of this.#waiting.values()) reject(this.#gone());
    });
  }

  load(): Promise<ControlState> {
    return this.#ask({ kind: 'load' }) as Promise<ControlState>;
  }

  /** @returns the revision that was made, when policies were changed. */
  commit(change: ControlChange): Promise<number | undefined> {
    return this.#ask({ kind: 'commit', change }) as Promise<number | undefined>;
  }

  /** Newest first. */
  audit(limit: number): Promise<readonly AuditEntry[]> {
    return this.#ask({ kind: 'audit', limit }) as Promise<AuditEntry[]>;
  }

  /** Newest first. */
  revisions(limit: number): Promise<readonly PolicyRevision[]> {
    return this.#ask({ kind: 'revisions', limit }) as Promise<PolicyRevision[]>;
  }

  revision(revision: number): Promise<PolicyRevision | undefined> {
    return this.#ask({ kind: 'revision', revision }) as Promise<PolicyRevision | undefined>;
  }

  async close(): Promise<void> {
    await this.#ask({ kind: 'close' }).catch(() => undefined);
    await this.#worker.terminate();
  }

  #gone(): Error {
    return new Error(`the control database cannot be used: ${this.#failure}`);
  }

  #ask(ask: ControlAsk): Promise<unknown> {
    if (this.#failure !== undefined) return Promise.reject(this.#gone());
    const ticket = ++this.#ticket;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => done(() => reject(new Error('the control database does not answer'))),
        ANSWER_MS,
      );
      const done = (settle: () => void): void => {
        clearTimeout(timer);
        this.#waiting.delete(ticket);
        settle();
      };
      this.#waiting.set(ticket, {
        resolve: (answer) => done(() => resolve(answer)),
        reject: (error) => done(() => reject(error)),
      });
      this.#worker.postMessage({ ...ask, ticket } satisfies ToControlStore);
    });
  }
}
