// The configuration reference as a Markdown table, made from the schema: what a key defaults to, may be
// and means is written once, beside the key.

import { boundsOf, type DescribedDocument, type SchemaNode } from './json-schema.ts';
import { type NotYet, notYetEntry } from './not-yet.ts';

interface Row {
  readonly key: string;
  readonly fallback: string;
  readonly allowed: string;
  readonly meaning: string;
}

/** One line a key, in the order of the schema; keys that are not available yet say so. */
export function referenceTable({ node, notYet }: DescribedDocument): string {
  const lines = ['| key | default | allowed | meaning |', '|---|---|---|---|'];
  for (const row of rowsOf(node(), { prefix: '', isRefused: false, group: '', notYet })) {
    const cells = [code(row.key), row.fallback, row.allowed, row.meaning].map(escapeCell);
    lines.push(`| ${cells.join(' | ')} |`);
  }
  return `${lines.join('\n')}\n`;
}

interface Scope {
  readonly prefix: string;
  readonly isRefused: boolean;
  /** The optional mapping that the keys belong to: what is required, is so only beside it. */
  readonly group: string;
  readonly notYet: readonly NotYet[];
}

function* rowsOf(node: SchemaNode, scope: Scope): Generator<Row> {
  for (const [name, child] of Object.entries(node.properties ?? {})) {
    const key = scope.prefix === '' ? name : `${scope.prefix}.${name}`;
    const isRequired = node.required?.includes(name) === true;
    const isRefused = scope.isRefused || notYetEntry(scope.notYet, key) !== undefined;
    const inner = {
      ...scope,
      prefix: key,
      isRefused,
      group: child.default === undefined && !isRequired ? name : '',
    };
    if (child.properties !== undefined) {
      yield* rowsOf(child, inner);
      continue;
    }
    yield rowOf(key, child, { ...scope, isRefused }, isRequired);
    if (child.items?.properties !== undefined) {
      yield* rowsOf(child.items, { ...inner, prefix: `${key}[]`, group: '' });
    }
  }
}

function rowOf(key: string, node: SchemaNode, { group, isRefused }: Scope, isRequired: boolean): Row {
  const fallback = node.default === undefined ? '' : code(flowStyle(node.default));
  const required = group === '' ? 'required' : `required in ${code(group)}`;
  const meaning = node.description ?? '';
  return {
    key,
    // A default that nobody can set does nothing: none is shown.
    fallback: isRequired ? required : isRefused ? '' : fallback,
    allowed: boundsOf(node),
    meaning: isRefused ? `${meaning} *Not available yet.*` : meaning,
  };
}

/** A value as YAML on one line. */
function flowStyle(value: unknown): string {
  if (Array.isArray(value)) return value.length === 0 ? '[]' : `[${value.map(flowStyle).join(', ')}]`;
  if (typeof value !== 'object' || value === null) return value === '' ? '""' : String(value);
  const entries = Object.entries(value);
  return entries.length === 0
    ? '{}'
    : `{ ${entries.map(([key, item]) => `${key}: ${flowStyle(item)}`).join(', ')} }`;
}

function code(text: string): string {
  return `\`${text}\``;
}

function escapeCell(text: string): string {
  return text.replaceAll('|', '\\|');
}
