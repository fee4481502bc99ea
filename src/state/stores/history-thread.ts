// Entry of the history's own thread: every sync of the disk happens here and delays nobody. Appends are
// gathered and committed together; a question is answered after what was appended before it.

import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { HistoryDatabase, isCorruption } from './history-database.ts';
import type { FromHistory, HistoryStart, HistoryValue, ToHistory } from './history-messages.ts';

// What a crash may lose, and how often the disk is asked to sync.
const COMMIT_MS = 1000;
// Beyond this the disk does not keep up, and values are dropped and counted instead of filling the memory.
const MAX_WAITING = 200_000;

class HistoryThread {
  readonly #port: MessagePort;
  readonly #start: HistoryStart;
  #history: HistoryDatabase;
  #waiting: HistoryValue[] = [];
  #timer: NodeJS.Timeout | undefined;

  constructor(port: MessagePort, start: HistoryStart) {
    this.#port = port;
    this.#start = start;
    const { history, note } = HistoryDatabase.open(start.path, start.now);
    this.#history = history;
    this.#say({ kind: 'opened', note });
    port.on('message', (message: ToHistory) => this.#guarded(message));
  }

  #guarded(message: ToHistory): void {
    try {
      this.#handle(message);
    } catch (error) {
      this.#failed(error, 0);
      if ('ticket' in message) this.#say({ kind: 'answer', ticket: message.ticket, answer: undefined });
    }
  }

  #handle(message: ToHistory): void {
    switch (message.kind) {
      case 'append':
        return this.#append(message.values);
      case 'save':
        return this.#history.save(message.key, message.at, message.body);
      case 'set_aside':
        return this.#history.setAside(message.key);
      case 'prune':
        this.#commit();
        return this.#history.prune(message.now, this.#start.retentionMs);
      case 'query':
        this.#commit();
        return this.#answer(message.ticket, this.#history.query(message.query));
      case 'replay':
        return this.#answer(message.ticket, this.#history.replay(message.from, message.most));
      case 'hours':
        this.#commit();
        return this.#answer(
          message.ticket,
          this.#history.hours(message.metric, message.prefixes, message.from),
        );
      case 'load':
        return this.#answer(message.ticket, this.#history.load(message.key));
      case 'close':
        this.#commit();
        this.#history.close();
        this.#answer(message.ticket, undefined);
        this.#port.close();
    }
  }

  #append(values: readonly HistoryValue[]): void {
    const room = MAX_WAITING - this.#waiting.length;
    for (const value of values.slice(0, room)) this.#waiting.push(value);
    if (values.length > room) {
      this.#say({ kind: 'problem', problem: 'the disk does not keep up', lost: values.length - room });
    }
    this.#timer ??= setTimeout(() => this.#commit(), COMMIT_MS);
  }

  #commit(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#waiting.length === 0) return;
    const values = this.#waiting;
    this.#waiting = [];
    try {
      this.#history.append(values);
    } catch (error) {
      this.#failed(error, values.length);
    }
  }

  #failed(error: unknown, lost: number): void {
    const why = error instanceof Error ? error.message : String(error);
    this.#say({ kind: 'problem', problem: `history: ${why}`, lost });
    if (!isCorruption(error)) return;
    this.#history.close();
    const { history, note } = HistoryDatabase.open(this.#start.path, this.#start.now);
    this.#history = history;
    if (note !== undefined) this.#say({ kind: 'problem', problem: note, lost: 0 });
  }

  #answer(ticket: number, answer: unknown): void {
    this.#say({ kind: 'answer', ticket, answer });
  }

  #say(message: FromHistory): void {
    this.#port.postMessage(message);
  }
}

if (parentPort === null) throw new Error('history-thread.ts runs as a worker thread only');
new HistoryThread(parentPort, workerData as HistoryStart);
