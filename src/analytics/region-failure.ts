// A region fails when more than half of its servers do (outcome.ts). From each server's probability, that of
// so many at once: the Poisson binomial distribution, by its recursion. Servers are taken as independent; what
// fells all at once shows in the region's own metrics, which are judged beside this. Pure.

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
  return Math.min(
    1,
    counts.slice(least).reduce((sum, of) => sum + of, 0),
  );
}
