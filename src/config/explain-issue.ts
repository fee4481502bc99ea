// What zod found -> what an operator needs: where it stands, what is allowed, what was given. The
// allowed part comes from the schema itself (json-schema.ts), so a bound is written once.

import type { z } from 'zod';
import { allowedBy, keysOf, type SchemaNode, schemaAt } from './json-schema.ts';
import { nearestName } from './nearest-name.ts';
import { formatPath, listNames, type Path, quote } from './problem.ts';
import { type Finding, nearestTo, type Tree } from './yaml-tree.ts';

/** The problems of one issue, with paths and offsets of the file as written. */
export function explainIssue(issue: z.core.$ZodIssue, root: Tree, schema: SchemaNode): SchemaFinding[] {
  const path = issue.path as Path;
  const { tree, isExact } = nearestTo(root, path);
  if (issue.code === 'unrecognized_keys') return issue.keys.map((key) => unknownKey(key, tree, path, schema));
  if (issue.code === 'invalid_key') return [wrongKey(tree, path, schema)];
  // Below a short form (`- http://…` for `- { url: … }`) there is a value but no key: it is the scalar.
  if (isExact || tree.kind === 'scalar') return [wrongValue(tree, path, schema)];
  return [missingKey(tree, path, schema)];
}

export interface SchemaFinding extends Finding {
  /** Of an unknown key: the key that was probably meant, which is then not missing as well. */
  readonly meant?: Path;
}

function finding(at: number, path: Path, sentence: string): Finding {
  const name = formatPath(path);
  return { at, path, message: name === '' ? sentence : `${name}: ${sentence}`, severity: 'error' };
}

function wrongValue(tree: Tree, schemaPath: Path, schema: SchemaNode): Finding {
  const node = schemaAt(schema, schemaPath);
  // An empty value stands nowhere; its key does.
  const at = tree.value === null && tree.kind === 'scalar' ? tree.keyAt : tree.valueAt;
  return finding(at, tree.path, `must be ${allowedBy(node)}, given ${showValue(tree, node)}`);
}

function missingKey(parent: Tree, path: Path, schema: SchemaNode): Finding {
  const depth = parent.path.length;
  const at = typeof parent.path.at(-1) === 'string' ? parent.keyAt : parent.valueAt;
  const sentence = `is missing; it must be ${allowedBy(schemaAt(schema, path.slice(0, depth + 1)))}`;
  return finding(at, [...parent.path, path[depth]!], sentence);
}

/** A key that the schema does not have; `schemaPath` is where its mapping stands in the schema. */
export function unknownKey(key: string, parent: Tree, schemaPath: Path, schema: SchemaNode): SchemaFinding {
  const child = parent.entries.get(key);
  const known = keysOf(schemaAt(schema, schemaPath));
  const nearest = nearestName(key, known);
  const hint = nearest === null ? placeHint(key, known, schema) : `did you mean ${quote(nearest)}?`;
  const at = child?.keyAt ?? parent.valueAt;
  const found = finding(at, [...parent.path, key], `unknown key; ${hint}`);
  return nearest === null ? found : { ...found, meant: [...parent.path, nearest] };
}

function placeHint(key: string, known: readonly string[], schema: SchemaNode): string {
  const homes = homesOf(key, schema, '');
  return homes.length > 0 ? `it belongs to ${listNames(homes)}` : `allowed are ${listNames(known)}`;
}

/** Where the schema has a key of exactly this name: `timeout` at the top belongs to health. */
function homesOf(key: string, node: SchemaNode, prefix: string): string[] {
  const homes: string[] = [];
  for (const [name, child] of Object.entries(node.properties ?? {})) {
    const place = prefix === '' ? name : `${prefix}.${name}`;
    if (name === key) homes.push(prefix === '' ? 'the top level' : prefix);
    homes.push(...homesOf(key, child, place));
  }
  if (node.items !== undefined) homes.push(...homesOf(key, node.items, `${prefix}[]`));
  return homes;
}

function wrongKey(tree: Tree, schemaPath: Path, schema: SchemaNode): Finding {
  const node = schemaAt(schema, schemaPath.slice(0, -1)).propertyNames ?? {};
  const key = String(schemaPath.at(-1));
  return finding(tree.keyAt, tree.path, `the key must be ${allowedBy(node)}, given ${quote(key)}`);
}

function showValue(tree: Tree, node: SchemaNode): string {
  if (tree.kind === 'list') return `a list of ${tree.entries.size}`;
  if (tree.kind === 'mapping') return showKeys([...tree.entries.keys()].map(String));
  const { value, variable } = tree;
  if (value === null) return 'nothing';
  if (node.secret === true) return `${String(value).length} characters`;
  const source = variable === undefined ? '' : ` (from ${quote(variable.written)})`;
  // Text of a variable may be a secret in the wrong place; its name is enough to find it.
  if (typeof value === 'string') return source === '' ? quote(value) : `${value.length} characters${source}`;
  const hint = node.type === 'string' && variable === undefined ? '; put quotes around it' : '';
  return `${value}${source}${hint}`;
}

function showKeys(keys: readonly string[]): string {
  if (keys.length === 0) return 'an empty mapping';
  return `a mapping with ${listNames(keys.map((key) => (/^[\w-]+$/.test(key) ? key : quote(key))))}`;
}
