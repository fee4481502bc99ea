// Holds the snapshot that requests read. A new one is compiled in slices between requests and swapped in
// one assignment; requests under way keep theirs. One per worker, written only by that worker.

import { buildSnapshot, type SnapshotInput } from '../routing/build-snapshot.ts';
import type { LiveView } from '../routing/eligibility.ts';
import type { Snapshot } from '../routing/snapshot.ts';
import type { LiveCells } from './live-cells.ts';
import { buildLiveView } from './live-view.ts';

/** What one request takes and keeps. */
export interface Routing {
  readonly snapshot: Snapshot;
  readonly live: LiveView;
}

export class SnapshotStore {
  readonly #cells: LiveCells;
  readonly #onSwap: (snapshot: Snapshot) => void;
  #current: Routing | undefined;
  // Latest input given; an older compilation that is still under way stops when it sees a newer one.
  #latest: SnapshotInput | undefined;

  /** @param onSwap called with each snapshot right after requests began to see it. */
  constructor(cells: LiveCells, onSwap: (snapshot: Snapshot) => void) {
    this.#cells = cells;
    this.#onSwap = onSwap;
  }

  get isReady(): boolean {
    return this.#current !== undefined;
  }

  /** Snapshot and health as of now. Throws before the first snapshot was compiled. */
  current(): Routing {
    const current = this.#current;
    if (current === undefined) throw new Error('no snapshot yet: the listener must open after the first');
    const version = this.#cells.version;
    if (current.live.version === version) return current;
    this.#current = {
      snapshot: current.snapshot,
      live: buildLiveView(current.snapshot, this.#cells, version),
    };
    return this.#current;
  }

  /**
   * Compiles and swaps.
   * @returns whether it was swapped: false when a newer input overtook it.
   */
  async load(input: SnapshotInput, pause: () => Promise<void> = yieldToRequests): Promise<boolean> {
    this.#latest = input;
    const slices = buildSnapshot(input);
    for (;;) {
      const slice = slices.next();
      if (slice.done) {
        this.#swap(slice.value);
        return true;
      }
      await pause();
      if (this.#latest !== input) return false;
    }
  }

  #swap(snapshot: Snapshot): void {
    this.#current = { snapshot, live: buildLiveView(snapshot, this.#cells, this.#cells.version) };
    this.#onSwap(snapshot);
  }
}

function yieldToRequests(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
