// One disagreement between keys that are each right by themselves (cross-checks.ts, rem-cross-checks.ts).

import type { Path } from './problem.ts';

export interface Disagreement {
  /** The key that should change, as it stands in `config`. */
  readonly path: Path;
  /** Other keys it disagrees with: when one of these was wrong, this may be no mistake at all. */
  readonly about?: readonly Path[];
  /** What is allowed and what was given; a function where it names other places of the file. */
  readonly sentence: string | ((nameOf: (path: Path) => string) => string);
  readonly severity: 'error' | 'warning';
}
