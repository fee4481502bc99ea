// A region fails when more than half of its servers do (outcome.ts). From each server's probability, that of
// so many at once. What ails several servers of a region is as often as not one cause, a leak in what all of them run or
// a disk behind all of them: half of the time they are taken as independent (the Poisson binomial distribution, by its
// recursion), half of the time as felled by the same. Pure.

const COMMON_CAUSE = 0.5;

/** @param servers probabilities 0..1; none = 0. */
export function regionFailure(servers: readonly number[]): number {
  if (servers.length === 0) return 0;
  // counts[k] = probability that k of the servers so far fail.
  let counts = [1];
  for (const given of servers) {
    const p = given > 0 ? Math.min(1, given) : 0;
    const next = new Array<number>(counts.length + 1).fill(0);
    for (const [k, of] of counts.entries()) {
      next[k]! += of * (1 - p);
      next[k + 1]! += of * p;
    }
    counts = next;
  }
  const least = Math.floor(servers.length / 2) + 1;
  const apart = counts.slice(least).reduce((sum, of) => sum + of, 0);
  // The same cause fells the likeliest first.
  const together = servers.map((p) => (p > 0 ? Math.min(1, p) : 0)).sort((a, b) => b - a)[least - 1]!;
  return Math.min(1, COMMON_CAUSE * together + (1 - COMMON_CAUSE) * apart);
}
