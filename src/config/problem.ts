// What is wrong with a configuration, and where: the one shape in which every stage of loading reports,
// and that check, reload and the control API print. A message says what, what is allowed, and what was
// given; it never repeats a secret.

import { nearestName } from './nearest-name.ts';

/** Keys and list positions from the top of the file. */
export type Path = readonly (string | number)[];

export interface Problem {
  /** As the caller named the file. */
  readonly file: string;
  /** From 1. */
  readonly line: number;
  /** From 1, in UTF-16 code units, as editors count. */
  readonly column: number;
  /** An error refuses the file; a warning is said and the file taken. */
  readonly severity: 'error' | 'warning';
  /** `regions[0].weight`; empty when the file as a whole is meant. */
  readonly path: string;
  /** Whole sentence, the path in front: `workers: must be auto or 1 to 256, given 0`. */
  readonly message: string;
}

/** `file:line:column: message`, the form that editors and terminals turn into a link. */
export function formatProblem(problem: Problem): string {
  const kind = problem.severity === 'warning' ? 'warning: ' : '';
  return `${problem.file}:${problem.line}:${problem.column}: ${kind}${problem.message}`;
}

/** `regions[0].weight`; a key that is no plain word is quoted: `match.headers["x y"]`. */
export function formatPath(path: Path): string {
  let text = '';
  for (const step of path) {
    if (typeof step === 'number') text += `[${step}]`;
    else if (!/^[\w-]+$/.test(step)) text += `[${quote(step)}]`;
    else text += text === '' ? step : `.${step}`;
  }
  return text;
}

// Longer values are cut: the position says where to read the rest.
const MAX_SHOWN = 60;

/** A value of the file in a message: quoted, on one line, cut, a password in a URL left out. */
export function quote(text: string): string {
  const safe = text.replace(/\/\/[^/\s]*@/g, '//…@');
  const cut = safe.length > MAX_SHOWN ? `${safe.slice(0, MAX_SHOWN)}…` : safe;
  // JSON leaves DEL and C1 controls alone; a terminal would obey them.
  return JSON.stringify(cut).replace(
    /[\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** `must be one of us-east, eu-west, given "eu-wset"; did you mean "eu-west"?` */
export function notOneOf(known: readonly string[], given: string): string {
  const nearest = nearestName(given, known);
  const hint = nearest === null ? '' : `; did you mean ${quote(nearest)}?`;
  return `must be one of ${listNames(known)}, given ${quote(given)}${hint}`;
}

const MAX_LISTED = 16;

/** Names for a message: the first sixteen, and how many more there are. */
export function listNames(names: readonly string[]): string {
  const more = names.length - MAX_LISTED;
  return names.slice(0, MAX_LISTED).join(', ') + (more > 0 ? ` and ${more} more` : '');
}
