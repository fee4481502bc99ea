// Two byte streams become one tunnel: what either says the other hears, with backpressure, and they end
// together: an end is passed on, an error or a cut on one side cuts the other.

import type { Duplex } from 'node:stream';

export interface TunnelEvents {
  /** Something moved, in whichever direction. */
  onBytes(): void;
  /** Both sides are closed; called once. */
  onClosed(): void;
}

export function joinStreams(a: Duplex, b: Duplex, events: TunnelEvents): void {
  let open = 2;
  const closed = (other: Duplex) => (): void => {
    other.destroy();
    open -= 1;
    if (open === 0) events.onClosed();
  };
  a.on('error', ignore);
  b.on('error', ignore);
  a.once('close', closed(b));
  b.once('close', closed(a));
  a.on('data', events.onBytes);
  b.on('data', events.onBytes);
  a.pipe(b);
  b.pipe(a);
}

function ignore(): void {}
