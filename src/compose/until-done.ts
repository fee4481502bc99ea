// Tries something until it has succeeded once, with a pause between; the same failure is told once.

import type { Logger } from '../telemetry/logger.ts';

export interface UntilDone {
  readonly pauseMs: number;
  readonly log: Logger;
  /** Timers that end with the process. */
  readonly timers: Set<NodeJS.Timeout>;
  /** Nothing is tried any more. */
  isOver(): boolean;
  /** @returns whether it has succeeded. */
  attempt(): Promise<boolean>;
}

export function untilDone(options: UntilDone): void {
  const { pauseMs, log, timers, isOver, attempt } = options;
  let told = '';
  const next = (): void => {
    const timer = setTimeout(() => {
      timers.delete(timer);
      if (isOver()) return;
      attempt()
        .catch((error: Error) => {
          if (error.message !== told) log.error({ error: error.message }, 'taking over failed');
          told = error.message;
          return false;
        })
        .then((isDone) => {
          if (!isDone) next();
        });
    }, pauseMs);
    timers.add(timer);
  };
  next();
}
