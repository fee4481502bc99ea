// How the threads of a process share a core that is short: workers first, then the main thread, then the engine.

import { constants, getPriority, setPriority } from 'node:os';
import type { Logger } from '../telemetry/logger.ts';

// In nice values: a thread has a third of the time of one that is a step above it when both want a core, and is never
// starved. With none, who asks the control port for much delays requests.
const STEP = 5;

// Of the thread that loads this, so that to lower it twice is to lower it once.
const begunWith = getPriority(0);

/**
 * Puts the calling thread a step below the one that started it. Threads that it starts later begin where it is, and
 * only root may go back up: a worker that takes the place of a dead one runs at the main thread's priority.
 */
export function lowerPriority(log: Logger): void {
  // Of the calling thread, on Linux; elsewhere of the process, which must not be slowed.
  if (process.platform !== 'linux') return;
  try {
    setPriority(0, Math.min(constants.priority.PRIORITY_LOW, begunWith + STEP));
  } catch (error) {
    log.warn({ error: (error as Error).message }, 'the priority of a thread could not be lowered');
  }
}
