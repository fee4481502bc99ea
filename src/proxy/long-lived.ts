// Answers that do not end by themselves: websocket tunnels and event streams. Who takes a server out of service,
// or has moved their keys elsewhere, asks for them to be closed one after the other over a time, so that their
// clients do not all come back in one moment. One per worker.

import type { Random } from '../core/random.ts';
import type { Forward } from '../routing/decide.ts';
import { NOT_MOVING, progressOf } from '../routing/ownership.ts';
import type { EligibleSet, Snapshot } from '../routing/snapshot.ts';

interface LongLived {
  readonly serverSlot: number;
  /** Why it went there. */
  readonly decision: Forward;
  /** Ends the stream so that its client connects again. */
  release(): void;
}

export class LongLivedStreams {
  readonly #streams = new Set<LongLived>();
  readonly #leaving = new WeakSet<LongLived>();
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
      // Also one that is on its way already: there may be less time now than it was given.
      if (slots.includes(stream.serverSlot)) this.#releaseLater(stream, withinMs);
    }
  }

  /**
   * The same for streams whose keys belong elsewhere by now. Those whose shard is still on the move stay until
   * its shift has ended.
   * @param now monotonic milliseconds.
   */
  releaseMoved(snapshot: Snapshot, now: number, withinMs: number): void {
    if (this.#streams.size === 0) return;
    const sets = new Map(snapshot.sets.map((set) => [set.key, set]));
    const regionOfSlot = new Map(
      snapshot.regions.flatMap(({ index, servers }) =>
        servers.map(({ slot }) => [slot as number, index as number] as const),
      ),
    );
    for (const stream of this.#streams) {
      const set = sets.get(stream.decision.set.key);
      const region = regionOfSlot.get(stream.serverSlot);
      if (set === undefined || region === undefined || this.#leaving.has(stream)) continue;
      if (hasMoved(stream.decision, { set, region, now })) this.#releaseLater(stream, withinMs);
    }
  }

  #releaseLater(stream: LongLived, withinMs: number): void {
    this.#leaving.add(stream);
    const timer = setTimeout(() => {
      if (this.#streams.has(stream)) stream.release();
    }, this.#random.next() * withinMs);
    timer.unref();
  }
}

/** Only what its table placed is moved by a table: a stream that spilled or failed over would do so again. */
function hasMoved(
  { choice, isKeyed, shard, set: former, route }: Forward,
  { set, region, now }: { set: EligibleSet; region: number; now: number },
): boolean {
  const isPlaced = route.policy === 'consistent_hash' || route.policy === 'weighted_random';
  if (choice !== 'policy' || !isKeyed || !isPlaced) return false;
  if (former.owners.length !== set.owners.length) return false;
  const { shift, lends } = set.movement;
  if (lends.has(shard) || former.movement.lends.has(shard)) return false;
  if (shift !== null && shift.from[shard] !== NOT_MOVING && progressOf(shift, now) < 1) return false;
  return set.owners[shard] !== region;
}
