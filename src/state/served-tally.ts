// What a worker has served since it was last asked: requests per shard of every table, and how long each region
// took. The planner balances by the first and guards shifts by the second. One per worker; counting is a few
// array writes a request, everything else is done when the counts are taken.

/** Requests by shard, per table (`EligibleSet.key`), and answers by latency bucket, per region. */
export interface ServedReport {
  readonly shards: readonly (readonly [set: string, counts: Uint32Array])[];
  readonly latencies: readonly (readonly [region: string, counts: Uint32Array])[];
}

// Buckets grow by a tenth from half a millisecond to beyond two minutes: a quantile is known to five percent,
// which is finer than any guard.
const FIRST_MS = 0.5;
const GROWTH = 1.1;
const BUCKETS = 132;
const LOG_GROWTH = Math.log(GROWTH);

export class ServedTally {
  #shards = new Map<string, Uint32Array>();
  #latencies = new Map<string, Uint32Array>();

  /** @param shards number of shards of the set's table. */
  countShard(set: string, shards: number, shard: number): void {
    let counts = this.#shards.get(set);
    // A table of another size came under the same name: what was counted for the old one fits nothing.
    if (counts === undefined || counts.length !== shards) {
      counts = new Uint32Array(shards);
      this.#shards.set(set, counts);
    }
    counts[shard]! += 1;
  }

  /** @param ms from the start of the attempt to the head of its answer. */
  countLatency(region: string, ms: number): void {
    let counts = this.#latencies.get(region);
    if (counts === undefined) {
      counts = new Uint32Array(BUCKETS);
      this.#latencies.set(region, counts);
    }
    counts[bucketOf(ms)]! += 1;
  }

  /** Everything since the last call. */
  take(): ServedReport {
    const report = { shards: [...this.#shards], latencies: [...this.#latencies] };
    this.#shards = new Map();
    this.#latencies = new Map();
    return report;
  }
}

function bucketOf(ms: number): number {
  if (!(ms > FIRST_MS)) return 0;
  return Math.min(BUCKETS - 1, 1 + Math.floor(Math.log(ms / FIRST_MS) / LOG_GROWTH));
}

/** Adds the counts of `from` to `into`, or starts with a copy. */
export function addCounts(into: Uint32Array | undefined, from: Uint32Array): Uint32Array {
  if (into === undefined || into.length !== from.length) return from.slice();
  for (let i = 0; i < from.length; i++) into[i]! += from[i]!;
  return into;
}

/** Milliseconds below which the share `q` (0..1) of the answers lies; undefined when there were none. */
export function latencyQuantile(counts: Uint32Array, q: number): number | undefined {
  const total = counts.reduce((sum, count) => sum + count, 0);
  if (total === 0) return undefined;
  const rank = q * total;
  let passed = 0;
  for (let i = 0; i < counts.length; i++) {
    passed += counts[i]!;
    if (passed >= rank) return i === 0 ? FIRST_MS : FIRST_MS * GROWTH ** (i - 0.5);
  }
  return undefined;
}
