// Keys of the contract whose capability is not built yet. Each is refused by name when it is set, so
// that nobody believes in a setting that does nothing; lifting one is deleting its line here. `harmless`
// are the values that ask for nothing and are taken.

import { isDeepStrictEqual } from 'node:util';
import { formatPath } from './problem.ts';
import { type Finding, plainOf, type Tree } from './yaml-tree.ts';

export interface NotYet {
  /** Path in the file; `[]` is every item of a list. */
  readonly key: string;
  readonly harmless?: readonly unknown[];
}

export const NOT_YET: readonly NotYet[] = [
  { key: 'listen[].tls' },
  { key: 'listen[].proxyProtocol', harmless: [false] },
  { key: 'routes[].shadow', harmless: [{}] },
  { key: 'routes[].whenNoRegion', harmless: ['reject'] },
  { key: 'routes[].parkFor' },
];

/** The same of a manager's file. */
export const REM_NOT_YET: readonly NotYet[] = [
  { key: 'listen[].tls' },
  { key: 'listen[].proxyProtocol', harmless: [false] },
];

/** Every key of the file that asks for a capability that is not there yet. */
export function findNotYet(root: Tree, table: readonly NotYet[]): Finding[] {
  return table.flatMap(({ key, harmless = [] }) =>
    [...everyMatch(root, stepsOf(key))]
      .filter((tree) => !harmless.some((value) => isDeepStrictEqual(plainOf(tree), value)))
      .map((tree) => {
        const until =
          harmless.length === 0 ? 'leave it out' : `leave it out or give ${harmless.map(show).join(' or ')}`;
        const message = `${formatPath(tree.path)}: not available yet; ${until} until it is`;
        return { at: tree.keyAt, path: tree.path, message, severity: 'error' as const };
      }),
  );
}

/** The entry for a key as it stands in the schema (`regions[].rem`), if it has one. */
export function notYetEntry(table: readonly NotYet[], key: string): NotYet | undefined {
  return table.find((entry) => entry.key === key);
}

function show(value: unknown): string {
  return typeof value === 'string' && value !== '' ? value : JSON.stringify(value);
}

const EVERY = Symbol('every item');

function stepsOf(key: string): (string | typeof EVERY)[] {
  return key.split('.').flatMap((part) => (part.endsWith('[]') ? [part.slice(0, -2), EVERY] : [part]));
}

function* everyMatch(tree: Tree, steps: readonly (string | typeof EVERY)[]): Generator<Tree> {
  const [step, ...rest] = steps;
  if (step === undefined) yield tree;
  else if (step === EVERY) {
    if (tree.kind === 'list') for (const child of tree.entries.values()) yield* everyMatch(child, rest);
  } else {
    const child = tree.entries.get(step);
    if (child !== undefined) yield* everyMatch(child, rest);
  }
}
