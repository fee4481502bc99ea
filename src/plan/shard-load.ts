// Counted requests -> load of each shard. A shard of four thousand sees a handful of requests in a minute, and a
// handful says little: balancing on it would move keys after noise for ever. So a shard is believed to differ
// from the others as far as its count stands out of what chance alone makes of equal shards (counts of
// independent requests are Poisson: variance = mean), and no further. Pure.

// Standard deviations of chance above which a shard is hot beyond doubt, whatever the others do; of 4,096 equal
// shards one in ten thousand rounds gets there.
const BEYOND_DOUBT = 6;
// Requests below which nothing is said at all.
const LEAST_REQUESTS = 1000;

/**
 * @param counts requests per shard over `seconds`; both may be faded sums.
 * @returns requests/s per shard; undefined while there is nothing to tell the shards apart by.
 */
export function estimateShardLoads(counts: Float64Array, seconds: number): Float64Array | undefined {
  const total = counts.reduce((sum, count) => sum + count, 0);
  if (total < LEAST_REQUESTS || !(seconds > 0)) return undefined;
  const { mean, isHot } = ordinary(counts);
  const kept = keptShare(counts, mean, isHot);
  let isAnyHot = false;
  const loads = counts.map((count) => {
    if (isHot(count)) {
      isAnyHot = true;
      return count / seconds;
    }
    return (mean + kept * (count - mean)) / seconds;
  });
  return kept === 0 && !isAnyHot ? undefined : loads;
}

/** Mean of the shards that are not hot, found by leaving the hot ones out until none is left. */
function ordinary(counts: Float64Array): { readonly mean: number; isHot(count: number): boolean } {
  let limit = Number.POSITIVE_INFINITY;
  for (;;) {
    let sum = 0;
    let n = 0;
    for (const count of counts) {
      if (count > limit) continue;
      sum += count;
      n += 1;
    }
    const mean = n === 0 ? 0 : sum / n;
    const next = mean + BEYOND_DOUBT * (Math.sqrt(mean) + 1);
    if (!(next < limit)) return { mean, isHot: (count) => count > limit };
    limit = next;
  }
}

/** How much of a deviation is real: (variance - mean) / variance, after James and Stein, 0..1. */
function keptShare(counts: Float64Array, mean: number, isHot: (count: number) => boolean): number {
  let squares = 0;
  let n = 0;
  for (const count of counts) {
    if (isHot(count)) continue;
    squares += (count - mean) ** 2;
    n += 1;
  }
  if (n < 2) return 0;
  const variance = squares / (n - 1);
  // The variance is an estimate itself: what lies within three of its own deviations of chance is chance.
  const chance = mean * (1 + 3 * Math.sqrt(2 / n));
  return variance > chance ? (variance - mean) / variance : 0;
}
