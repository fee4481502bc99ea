// A request as the most obliging server would read it. Servers differ in what they undo: encoded and backward
// slashes, matrix parameters, empty and dot segments, repeated names. A lock that is judged by one reading alone
// could be slipped past by another.

import type { FieldList } from '../core/model.ts';
import type { KeyFacts, KeySourcePlan } from './shard-key.ts';

const SLASHES = /%2f|%5c|\\/gi;

/** @param path decoded for matching. The same text when there is nothing to undo. */
export function lenientPath(path: string): string {
  if (!mayDiffer(path)) return path;
  const segments: string[] = [];
  for (const segment of path.replace(SLASHES, '/').split('/')) {
    const name = segment.split(';', 1)[0]!;
    if (name === '..') segments.pop();
    else if (name !== '' && name !== '.') segments.push(name);
  }
  return `/${segments.join('/')}`;
}

function mayDiffer(path: string): boolean {
  return /%2f|%5c|[\\;]|\/\/|\/\./i.test(path);
}

/** The request gives the key more than once: which of them a server takes, nobody knows. */
export function isKeyRepeated(source: KeySourcePlan, { fields, query }: KeyFacts): boolean {
  if (source.kind === 'header') return valuesOf(fields, source.name).length > 1;
  if (source.kind === 'query') return new URLSearchParams(query).getAll(source.name).length > 1;
  if (source.kind !== 'cookie') return false;
  const pairs = valuesOf(fields, 'cookie').flatMap((line) => line.split(';'));
  return pairs.filter((pair) => pair.split('=', 1)[0]!.trim() === source.name).length > 1;
}

/** Values of every line of a field. @param name lower-case. */
export function valuesOf(fields: FieldList, name: string): string[] {
  const values: string[] = [];
  for (let i = 0; i < fields.length; i += 2) if (fields[i] === name) values.push(fields[i + 1]!);
  return values;
}
