// Watches the configuration file for as long as a process runs, and hands over each new configuration
// whole or what is wrong with it. The *directory* is watched, not the file: an editor that renames a new
// file over the old one, and Kubernetes that swaps the `..data` link, leave a watch on the file with an
// inode that nobody writes to again. What counts is the content: events only say when to look.

import { type FSWatcher, watch } from 'node:fs';
import { dirname } from 'node:path';
import { identityOf, readConfigBytes, stampOf } from './config-file.ts';
import { describeChange } from './describe-change.ts';
import type { ConfigDocument } from './document.ts';
import type { Environment } from './environment.ts';
import type { DeepReadonly } from './frozen.ts';
import { digestOf, type LoadedConfig, loadConfig, type RefusedConfig, wholeFile } from './load.ts';
import { formatPath, type Problem } from './problem.ts';

/** Calls `run` once after `delayMs` and returns what cancels it. */
export type Schedule = (delayMs: number, run: () => void) => () => void;

/** Calls `onEvent` for every change in a directory; null when it cannot be watched. */
export type WatchDirectory = (path: string, onEvent: () => void, onEnd: () => void) => (() => void) | null;

export interface ConfigNews<Parsed> {
  readonly config: DeepReadonly<Parsed>;
  /** SHA-256 of the file, hexadecimal. */
  readonly digest: string;
  /** Top-level keys whose value differs from the configuration before. */
  readonly changed: readonly string[];
  readonly warnings: readonly Problem[];
}

export interface ConfigWatcherOptions<Parsed extends object> {
  readonly document: ConfigDocument<Parsed>;
  readonly path: string;
  /** What problems call the file. Default: its path. */
  readonly name?: string;
  readonly env: Environment;
  /** The configuration that the process runs with. */
  readonly inForce: LoadedConfig<Parsed>;
  /** A new configuration, complete and checked; it is in force from here on. */
  onConfig(news: ConfigNews<Parsed>): void;
  /** The file cannot be taken; the configuration in force stays. Once for each content. */
  onProblems(problems: readonly Problem[]): void;
  readonly schedule?: Schedule;
  readonly watchDirectory?: WatchDirectory;
}

/** `unchanged`: the content is the one that was looked at last, taken or refused. */
export type ReloadOutcome = 'applied' | 'refused' | 'unchanged' | 'closed';

// A save is several events (truncate, write, rename, chmod) within a few milliseconds; shorter would read
// half a file more often, longer would be felt by whoever waits for it.
const DEBOUNCE_MS = 100;
// A directory in which something is written all the time must not put off the look for ever.
const MAX_POSTPONED = 10;
// File systems without events (NFS, some mounts of containers), links into other directories, and a
// directory that is itself replaced are seen by asking. A stat every few seconds costs nothing.
const POLL_MS = 3000;

export class ConfigWatcher<Parsed extends object> {
  readonly #options: ConfigWatcherOptions<Parsed>;
  readonly #name: string;
  readonly #schedule: Schedule;
  #inForce: DeepReadonly<Parsed>;
  /** Digest of the content that was looked at last, or why it could not be read. */
  #seen: string;
  #stamp = '';
  #stopWatching: (() => void) | null = null;
  /** Of the watched directory: another one under its name needs a watch of its own. */
  #directory = '';
  #cancelLook: (() => void) | null = null;
  #cancelPoll: (() => void) | null = null;
  #postponed = 0;
  #tail: Promise<unknown> = Promise.resolve();
  #waiting: Promise<ReloadOutcome> | null = null;
  #closed = false;

  constructor(options: ConfigWatcherOptions<Parsed>) {
    this.#options = options;
    this.#name = options.name ?? options.path;
    this.#schedule = options.schedule ?? systemSchedule;
    this.#inForce = options.inForce.config;
    this.#seen = options.inForce.digest;
  }

  /** Starts to watch, and looks once: the file may have changed since it was loaded. */
  async start(): Promise<ReloadOutcome> {
    await this.#watch();
    this.#pollLater();
    return this.reload();
  }

  /** Looks at the file now (SIGHUP). Resolves when the outcome has been handed over; never rejects for what a file holds. */
  reload(): Promise<ReloadOutcome> {
    if (this.#waiting !== null) return this.#waiting;
    const turn = this.#tail.then(() => {
      this.#waiting = null;
      return this.#look();
    });
    this.#waiting = turn;
    // The next one waits for this one, however it ends; who asked for this one hears of a failure.
    this.#tail = turn.catch(() => undefined);
    return turn;
  }

  /** Nothing is called after this returns. */
  close(): void {
    this.#closed = true;
    this.#stopWatching?.();
    this.#stopWatching = null;
    this.#cancelLook?.();
    this.#cancelPoll?.();
  }

  async #look(): Promise<ReloadOutcome> {
    const reading = await readConfigBytes(this.#options.path);
    if (this.#closed) return 'closed';
    this.#stamp = reading.stamp;
    const seen = reading.ok ? digestOf(reading.bytes) : reading.message;
    if (seen === this.#seen) return 'unchanged';
    this.#seen = seen;
    if (!reading.ok) {
      this.#options.onProblems([wholeFile(this.#name, reading.message)]);
      return 'refused';
    }
    return this.#take(this.#load(reading.bytes));
  }

  /** A bug of ours in checking a file must not end a proxy that serves: the file is refused. */
  #load(bytes: Uint8Array): LoadedConfig<Parsed> | RefusedConfig {
    try {
      return loadConfig({ path: this.#name, text: bytes, env: this.#options.env }, this.#options.document);
    } catch (error) {
      const message = `cannot be checked, which is a bug of Foreshard: ${String(error)}`;
      return { ok: false, problems: [wholeFile(this.#name, message)] };
    }
  }

  #take(loaded: LoadedConfig<Parsed> | RefusedConfig): ReloadOutcome {
    if (!loaded.ok) {
      this.#options.onProblems(loaded.problems);
      return 'refused';
    }
    const { config, digest, warnings } = loaded;
    const { changed, needsRestart } = describeChange<Parsed>(
      this.#inForce,
      config,
      this.#options.document.fixed,
    );
    if (needsRestart.length > 0) {
      this.#options.onProblems(
        needsRestart.map(({ path, sentence }) =>
          loaded.problemAt(path, `${formatPath(path)}: ${sentence}; nothing of the file was taken`),
        ),
      );
      return 'refused';
    }
    this.#inForce = config;
    this.#options.onConfig({ config, digest, changed, warnings });
    return 'applied';
  }

  #lookLater(): void {
    if (this.#closed || this.#postponed > MAX_POSTPONED) return;
    this.#postponed += 1;
    this.#cancelLook?.();
    this.#cancelLook = this.#schedule(DEBOUNCE_MS, () => {
      this.#postponed = 0;
      this.#cancelLook = null;
      void this.reload();
    });
  }

  #pollLater(): void {
    if (this.#closed) return;
    this.#cancelPoll = this.#schedule(POLL_MS, () => void this.#poll());
  }

  async #poll(): Promise<void> {
    await this.#watch();
    const stamp = await stampOf(this.#options.path);
    if (!this.#closed && stamp !== this.#stamp) await this.reload();
    this.#pollLater();
  }

  /** Watches the directory, or the one that has taken its place since. */
  async #watch(): Promise<void> {
    const directory = dirname(this.#options.path);
    const identity = await identityOf(directory);
    if (this.#closed || (this.#stopWatching !== null && identity === this.#directory)) return;
    this.#stopWatching?.();
    this.#directory = identity;
    const watchDirectory = this.#options.watchDirectory ?? watchByEvents;
    this.#stopWatching = watchDirectory(
      directory,
      () => this.#lookLater(),
      () => {
        this.#stopWatching = null;
      },
    );
  }
}

const systemSchedule: Schedule = (delayMs, run) => {
  const timer = setTimeout(run, delayMs);
  timer.unref();
  return () => clearTimeout(timer);
};

const watchByEvents: WatchDirectory = (path, onEvent, onEnd) => {
  let watcher: FSWatcher;
  try {
    watcher = watch(path, { persistent: false }, onEvent);
  } catch {
    // No such directory, or no watch left for this user (fs.inotify.max_user_watches): polling goes on.
    return null;
  }
  watcher.on('error', () => {
    watcher.close();
    onEnd();
  });
  return () => watcher.close();
};
