// A running process follows its file, and ends by signals: the same for every program that serves.

import type { ConfigDocument } from '../config/document.ts';
import type { Environment } from '../config/environment.ts';
import type { DeepReadonly } from '../config/frozen.ts';
import type { LoadedConfig } from '../config/load.ts';
import { formatProblem } from '../config/problem.ts';
import { ConfigWatcher } from '../config/reload.ts';
import type { Logger } from '../telemetry/logger.ts';
import { EXIT_FAILED, EXIT_FINE } from './command-io.ts';

export interface ConfigFile<Parsed extends object> {
  readonly path: string;
  /** What problems call it. */
  readonly name: string;
  readonly document: ConfigDocument<Parsed>;
  readonly env: Environment;
  /** What the process runs with. */
  readonly inForce: LoadedConfig<Parsed>;
}

export interface Reloadable<Parsed> {
  readonly log: Logger;
  /** A sentence when the configuration in force stays. */
  reload(config: DeepReadonly<Parsed>): string | undefined | Promise<string | undefined>;
  /** Once for each configuration that is refused. */
  configRejected(problems: readonly string[]): void;
}

/** Hands every new content of the file to the process; what is refused is told and counted. */
export function followFile<Parsed extends object>(
  file: ConfigFile<Parsed>,
  running: Reloadable<Parsed>,
): ConfigWatcher<Parsed> {
  const refuse = (problems: readonly string[]): void => {
    running.configRejected(problems);
    for (const problem of problems) {
      running.log.error({ problem }, 'configuration refused, the one in force stays');
    }
  };
  const watcher = new ConfigWatcher({
    ...file,
    onConfig: ({ config, warnings }) => {
      for (const problem of warnings) {
        running.log.warn({ problem: formatProblem(problem) }, 'configuration warning');
      }
      const told = (problem: string | undefined): void => {
        if (problem !== undefined) refuse([problem]);
      };
      const result = running.reload(config);
      // Told in the same turn where it is known in the same turn.
      if (result instanceof Promise) void result.then(told);
      else told(result);
    },
    onProblems: (problems) => refuse(problems.map(formatProblem)),
  });
  void watcher.start();
  return watcher;
}

/** The first signal drains, the second stops at once. Resolves with the exit code when the process has ended. */
export function untilStopped(
  running: { drain(): Promise<void>; stop(): Promise<void> },
  watcher: { close(): void },
): Promise<number> {
  return new Promise((done) => {
    let signals = 0;
    const onSignal = (): void => {
      signals += 1;
      watcher.close();
      // A drain that the second signal cuts short ends, too, and perhaps first: it did not end well.
      if (signals === 1) void running.drain().then(() => done(signals === 1 ? EXIT_FINE : EXIT_FAILED));
      else void running.stop().then(() => done(EXIT_FAILED));
    };
    process.on('SIGTERM', onSignal);
    process.on('SIGINT', onSignal);
  });
}
