// Answers that do not end by themselves: websocket tunnels and event streams. Who takes a server out of service
// asks for them to be closed one after the other over a time, so that their clients do not all come back in
// one moment. One per worker.

import type { Random } from '../core/random.ts';

interface LongLived {
  readonly serverSlot: number;
  /** Ends the stream so that its client connects again. */
  release(): void;
}

export class LongLivedStreams {
  readonly #streams = new Set<LongLived>();
  readonly #random: Random;

  constructor(random: Random) {
    this.#random = random;
  }

  add(stream: LongLived): void {
    this.#streams.add(stream);
  }

  delete(stream: LongLived): void {
    this.#streams.delete(stream);
  }

  /** Closes the streams of these servers at moments drawn from the next `withinMs`. */
  release(slots: readonly number[], withinMs: number): void {
    for (const stream of this.#streams) {
      if (!slots.includes(stream.serverSlot)) continue;
      const timer = setTimeout(() => {
        if (this.#streams.has(stream)) stream.release();
      }, this.#random.next() * withinMs);
      timer.unref();
    }
  }
}
