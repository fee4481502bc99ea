// The main thread's end of the analytics thread: starts it, starts it again when it dies, posts measurements and
// asks questions. While no thread runs, measurements are dropped and questions answered 503: requests are
// served without an engine.

import { Worker } from 'node:worker_threads';
import type { Sample } from '../analytics/ingest/sample.ts';
import type { Config } from '../config/schema.ts';
import type { EngineAnswer, EngineAsk, EnginePort } from '../control/engine-port.ts';
import type { Plan } from '../plan/plan.ts';
import type { ShardCounts } from '../plan/shard-counts.ts';
import type { Delta } from '../telemetry/deltas.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { EngineStart, FromEngine, ToEngine } from './engine-messages.ts';

export interface EmbeddedOptions {
  start(): EngineStart;
  readonly log: Logger;
  onDeltas(deltas: readonly Delta[]): void;
  onPlan(plan: Plan): void;
  /** The engine has evaluated, and its plan stays. */
  onEvaluated(): void;
  /** The thread died and another one takes its place. */
  onRestart(): void;
}

const ANSWER_MS = 10_000;
// A thread that dies at once each time must not become a busy loop.
const RESTART_MS = 2000;
const STOP_MS = 3000;
// Models of 500 regions and their servers; what grows beyond is a leak, and ends the thread instead of the proxy.
const MEMORY_MB = 1024;

const NOT_THERE: EngineAnswer = { status: 503, body: 'the engine is starting; try again in a moment' };

export class EmbeddedEngine implements EnginePort {
  readonly #options: EmbeddedOptions;
  readonly #waiting = new Map<number, (answer: EngineAnswer) => void>();
  #worker: Worker;
  #isReady = false;
  #isStopping = false;
  #ticket = 0;
  #restart: NodeJS.Timeout | undefined;

  constructor(options: EmbeddedOptions) {
    this.#options = options;
    this.#worker = this.#spawn();
  }

  take(samples: readonly Sample[]): void {
    if (this.#isReady && samples.length > 0) this.#say({ kind: 'samples', samples });
  }

  takeCounts(counts: ShardCounts): void {
    if (this.#isReady) this.#say({ kind: 'shard_counts', counts });
  }

  /** What plans are made of has changed; what models belong to has not. */
  reload(config: Config): void {
    // Also to a thread that is starting: it has begun with the one before, and reads this when it is ready.
    this.#say({ kind: 'config', config });
  }

  ask(ask: EngineAsk): Promise<EngineAnswer> {
    if (!this.#isReady) return Promise.resolve(NOT_THERE);
    const ticket = ++this.#ticket;
    return new Promise((resolve) => {
      const done = (answer: EngineAnswer): void => {
        clearTimeout(timer);
        this.#waiting.delete(ticket);
        resolve(answer);
      };
      const timer = setTimeout(
        () => done({ status: 504, body: 'the engine did not answer in time' }),
        ANSWER_MS,
      );
      this.#waiting.set(ticket, done);
      this.#say({ kind: 'ask', ticket, ask });
    });
  }

  /** Lets the engine write what it must; ends it after a few seconds in any case. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    clearTimeout(this.#restart);
    if (this.#isReady) {
      const ended = new Promise<void>((resolve) => {
        this.#worker.once('exit', () => resolve());
        setTimeout(resolve, STOP_MS).unref();
      });
      this.#say({ kind: 'stop' });
      await ended;
    }
    await this.#worker.terminate();
  }

  #spawn(): Worker {
    const worker = new Worker(new URL('./pae-thread.ts', import.meta.url), {
      workerData: this.#options.start(),
      name: 'analytics',
      resourceLimits: { maxOldGenerationSizeMb: MEMORY_MB },
    });
    worker.on('message', (message: FromEngine) => this.#onMessage(message));
    worker.on('error', (error: Error) => {
      this.#options.log.error({ error: error.stack ?? error.message }, 'the analytics thread failed');
    });
    worker.on('exit', () => this.#onExit());
    return worker;
  }

  #onExit(): void {
    this.#isReady = false;
    for (const done of this.#waiting.values()) done(NOT_THERE);
    if (this.#isStopping) return;
    this.#options.log.error(
      { restartInMs: RESTART_MS },
      'the analytics thread died, another takes its place',
    );
    this.#options.onRestart();
    this.#restart = setTimeout(() => {
      this.#worker = this.#spawn();
    }, RESTART_MS);
  }

  #onMessage(message: FromEngine): void {
    switch (message.kind) {
      case 'ready':
        this.#isReady = true;
        return;
      case 'plan':
        return this.#options.onPlan(message.plan);
      case 'evaluated':
        return this.#options.onEvaluated();
      case 'deltas':
        return this.#options.onDeltas(message.deltas);
      case 'answer':
        return this.#waiting.get(message.ticket)?.(message.answer);
      case 'stopped':
        return;
    }
  }

  #say(message: ToEngine): void {
    this.#worker.postMessage(message);
  }
}
