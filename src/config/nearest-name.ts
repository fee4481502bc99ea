// "Did you mean …?" for misspelt keys and names: the nearest known word, if it is near enough to be a
// slip of the fingers.

// Longer words are no slip, and the table below would grow with their square.
const MAX_LENGTH = 64;

/** The known name that differs least from `given` (case aside), or null when none is near. */
export function nearestName(given: string, known: readonly string[]): string | null {
  if (given.length > MAX_LENGTH) return null;
  // One slip for short words, a third of the letters for long ones: `wieght` finds `weight`, while
  // `host` must not become `path`.
  let best = Math.max(1, Math.floor(given.length / 3)) + 1;
  let nearest: string | null = null;
  for (const name of known) {
    if (Math.abs(name.length - given.length) >= best) continue;
    const distance = editDistance(given.toLowerCase(), name.toLowerCase());
    if (distance < best) {
      best = distance;
      nearest = name;
    }
  }
  return nearest;
}

/**
 * Optimal string alignment distance (Damerau 1964, as restricted by Wagner and Lowrance 1975):
 * insertions, deletions, substitutions and swaps of neighbours, each counted once.
 */
function editDistance(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const differs = a[i - 1] === b[j - 1] ? 0 : 1;
      let cost = Math.min(last[j]! + 1, row[j - 1]! + 1, last[j - 1]! + differs);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        cost = Math.min(cost, beforeLast[j - 2]! + 1);
      }
      row.push(cost);
    }
    beforeLast = last;
    last = row;
  }
  return last[b.length]!;
}
