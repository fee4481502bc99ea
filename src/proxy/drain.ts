// The end of a listener that loses nothing: every answer from now on closes its connection, idle
// connections live until their next request, and the listening socket closes last. Another process on the
// same port takes over new connections meanwhile.

import type { Clock } from '../core/clock.ts';
import type { Listener } from './listener.ts';

// How often the end is looked for; a drain is not in a hurry.
const CHECK_MS = 50;

/** Resolves when no connection is left or the grace is over; connections still open then are the caller's. */
export async function drainListeners(
  listeners: readonly Listener[],
  graceMs: number,
  clock: Clock,
): Promise<void> {
  const deadline = clock.monotonicMs() + graceMs;
  const left = (): number => deadline - clock.monotonicMs();
  for (const listener of listeners) listener.beginDrain();
  // While there are connections from before the drain the listener stays open: closing it would reset what
  // waits in its accept queue.
  while (listeners.some((listener) => listener.hasOldConnections) && left() > 0)
    await pause(Math.min(CHECK_MS, left()));
  await Promise.all(listeners.map(closeInQuiet));
  while (listeners.some((listener) => listener.connections > 0) && left() > 0)
    await pause(Math.min(CHECK_MS, left()));
}

/**
 * Closes the listening socket right after a turn of the event loop that accepted nothing: the accept queue
 * was then empty a moment ago. (With net.ipv4.tcp_migrate_req=1 the kernel hands it over in any case.)
 */
async function closeInQuiet(listener: Listener): Promise<void> {
  for (let turn = 0; turn < MAX_TURNS; turn++) {
    const before = listener.accepted;
    await new Promise((resolve) => setImmediate(resolve));
    if (listener.accepted === before) break;
  }
  listener.stopAccepting();
}

// A flood of connections that never pauses must not keep a drain from ending.
const MAX_TURNS = 1000;

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
