// A set of places in the file that answers at once whether something in it stands at, above or below a
// place: a file of ten thousand mistakes must not be compared with itself.

import type { Path } from './problem.ts';

export class PathSet {
  readonly #places = new Set<string>();
  readonly #above = new Set<string>();

  constructor(paths: Iterable<Path> = []) {
    for (const path of paths) this.add(path);
  }

  add(path: Path): void {
    this.#places.add(JSON.stringify(path));
    for (let depth = 0; depth < path.length; depth++) this.#above.add(JSON.stringify(path.slice(0, depth)));
  }

  has(path: Path): boolean {
    return this.#places.has(JSON.stringify(path));
  }

  /** Whether a member stands below `path`. */
  hasBelow(path: Path): boolean {
    return this.#above.has(JSON.stringify(path));
  }

  /** Whether a member stands at `path` or above it. */
  covers(path: Path): boolean {
    if (this.has(path)) return true;
    return path.some((_, depth) => this.#places.has(JSON.stringify(path.slice(0, depth))));
  }

  /** Whether a member stands at, above or below `path`. */
  touches(path: Path): boolean {
    return this.hasBelow(path) || this.covers(path);
  }
}
