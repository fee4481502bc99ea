// Requests per shard as the proxies report them -> load of each shard of a table. Counts fade, so that the loads
// are of the last few evaluations whatever the traffic; a proxy that is heard no more fades out with its counts.

import { MAX_TABLES } from '../core/model.ts';
import type { ShardCounts } from '../plan/shard-counts.ts';
import { estimateShardLoads } from '../plan/shard-load.ts';

// Counts fade to 1/e in this many evaluations: long enough to know the shards apart, short enough to follow.
const MEMORY_EVALUATIONS = 10;
const MAX_PROXIES = 1000;

interface Faded {
  counts: Float64Array;
  /** Seconds that the counts stand for. */
  seconds: number;
  at: number;
}

export class ShardLoadBook {
  readonly #memoryMs: number;
  /** Table -> proxy -> counts. */
  readonly #tables = new Map<string, Map<string, Faded>>();

  constructor(evaluateEveryMs: number) {
    this.#memoryMs = MEMORY_EVALUATIONS * evaluateEveryMs;
  }

  /** @param now monotonic milliseconds. */
  take({ proxy, seconds, tables }: ShardCounts, now: number): void {
    for (const [set, counts] of tables) {
      const proxies = this.#tables.get(set) ?? new Map<string, Faded>();
      if (!this.#tables.has(set) && this.#tables.size >= MAX_TABLES) continue;
      this.#tables.set(set, proxies);
      let faded = proxies.get(proxy);
      if (faded === undefined && proxies.size >= MAX_PROXIES) continue;
      if (faded === undefined || faded.counts.length !== counts.length) {
        faded = { counts: new Float64Array(counts.length), seconds: 0, at: now };
        proxies.set(proxy, faded);
      }
      this.#fade(faded, now);
      for (let shard = 0; shard < counts.length; shard++) faded.counts[shard]! += counts[shard]!;
      faded.seconds += seconds;
    }
  }

  /** Requests/s per shard; undefined while too little was measured to go by. */
  loadsOf(set: string, shards: number, now: number): Float64Array | undefined {
    const sum = new Float64Array(shards);
    let seconds = 0;
    for (const [proxy, faded] of this.#tables.get(set) ?? []) {
      if (faded.counts.length !== shards || now - faded.at > 3 * this.#memoryMs) {
        this.#tables.get(set)!.delete(proxy);
        continue;
      }
      // Proxies see parts of one traffic over the same time.
      for (let shard = 0; shard < shards; shard++) sum[shard]! += faded.counts[shard]!;
      seconds = Math.max(seconds, faded.seconds);
    }
    return estimateShardLoads(sum, seconds);
  }

  #fade(faded: Faded, now: number): void {
    const kept = Math.exp(-(now - faded.at) / this.#memoryMs);
    faded.at = now;
    faded.seconds *= kept;
    for (let shard = 0; shard < faded.counts.length; shard++) faded.counts[shard]! *= kept;
  }
}
