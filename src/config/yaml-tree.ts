// YAML text -> a tree of values that remember where they stand. Everything that could make one value
// mean two things is refused here (a key given twice, more than one document, unknown tags), and
// everything that could make a small file large is bounded (aliases, depth, variables).

import {
  type Alias,
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  type Node,
  type Pair,
  parseDocument,
  Scalar,
  visit,
  type YAMLMap,
} from 'yaml';
import { type Environment, substitute, typedScalar } from './environment.ts';
import { LineIndex, type Position } from './line-index.ts';
import type { Path } from './problem.ts';
import { formatPath, quote } from './problem.ts';
import { syntaxProblems } from './yaml-syntax.ts';

export interface Tree {
  readonly kind: 'mapping' | 'list' | 'scalar';
  /** Where the value stands in the file as written. */
  readonly path: Path;
  /** Offsets of its key (of itself in a list) and of itself. */
  readonly keyAt: number;
  readonly valueAt: number;
  /** Children by key or position; none in a scalar. */
  readonly entries: ReadonlyMap<string | number, Tree>;
  /** Of a scalar, variables replaced; null in mappings and lists. */
  readonly value: string | number | boolean | null;
  /** Of a scalar in which variables were replaced: what the file says, and the text that came of it. */
  readonly variable?: { readonly written: string; readonly text: string };
  /** Something about it was reported already; it is left out of further checks. */
  readonly isBroken: boolean;
}

/** A problem before its offset is turned into line and column. */
export interface Finding {
  readonly at: number;
  readonly path: Path;
  readonly message: string;
  readonly severity: 'error' | 'warning';
}

export interface YamlReading {
  /** Null when the text is no YAML, or empty. */
  readonly root: Tree | null;
  readonly findings: readonly Finding[];
  /** Line and column, from 1, of an offset. */
  position(offset: number): Position;
}

// Deeper than any key of the schema (regions, servers, metrics: 7), shallow enough for any stack.
const MAX_DEPTH = 32;
// 512 regions x 1,000 servers x a mapping of 4 would be 2.5 million; a file of 4 MiB has less room.
// Beyond it only aliases of aliases come, which is how a file of one page becomes gigabytes.
const MAX_VALUES = 500_000;

/** Reads one YAML 1.2 document. Never throws; whatever is wrong is in `findings`. */
export function readYamlTree(text: string, env: Environment): YamlReading {
  const lines = new LineIndex(text);
  const document = parseDocument(text, {
    prettyErrors: false,
    schema: 'core',
    merge: true,
    // Tags beyond those of the core schema make values that are no plain data.
    resolveKnownTags: false,
    // Found by the walk below, which can say where the first one is.
    uniqueKeys: false,
    // 'silent' would also keep quiet about a second document.
    logLevel: 'error',
  });
  const position = (offset: number) => lines.position(offset);
  const syntax = syntaxProblems(document, text, position);
  if (syntax.length > 0) return { root: null, findings: syntax, position };
  const walk: Walk = {
    env,
    targets: resolveAliases(document),
    open: new Set(),
    findings: [],
    valuesLeft: MAX_VALUES,
    position,
  };
  const empty =
    document.contents === null || (isScalar(document.contents) && document.contents.value === null);
  const root = empty ? null : readNode(walk, document.contents as Node, { path: [], keyAt: 0 });
  return { root, findings: walk.findings, position };
}

interface Walk {
  readonly env: Environment;
  readonly targets: ReadonlyMap<Alias, Node>;
  /** Nodes on the way from the root: an alias to one of them would have no end. */
  readonly open: Set<Node>;
  readonly findings: Finding[];
  valuesLeft: number;
  position(offset: number): Position;
}

interface Place {
  readonly path: Path;
  readonly keyAt: number;
  /** Set below an alias: its own offset. What it points to stands elsewhere. */
  readonly aliasAt?: number;
}

/** The node that each alias means: the last one before it that carries the anchor. */
function resolveAliases(document: Document.Parsed): Map<Alias, Node> {
  const anchored = new Map<string, Node>();
  const targets = new Map<Alias, Node>();
  visit(document, {
    Alias: (_, alias) => {
      const target = anchored.get(alias.source);
      if (target !== undefined) targets.set(alias, target);
    },
    Value: (_, node) => {
      if (node.anchor !== undefined) anchored.set(node.anchor, node);
    },
  });
  return targets;
}

function report(walk: Walk, place: { path: Path }, at: number, message: string): void {
  const name = formatPath(place.path);
  walk.findings.push({
    at,
    path: place.path,
    message: name === '' ? message : `${name}: ${message}`,
    severity: 'error',
  });
}

function readNode(walk: Walk, node: Node | null, place: Place): Tree {
  const at = place.aliasAt ?? startOf(node) ?? place.keyAt;
  const broken = (message: string): Tree => {
    report(walk, place, at, message);
    return leaf(place, at, null, true);
  };
  if (node === null) return leaf(place, at, null);
  walk.valuesLeft -= 1;
  // Said once; the walk then unwinds without looking further.
  if (walk.valuesLeft === -1) return broken(`the file has more than ${MAX_VALUES} values, aliases followed`);
  if (walk.valuesLeft < 0) return leaf(place, at, null, true);
  if (isAlias(node)) {
    const target = walk.targets.get(node);
    if (target === undefined) return broken(`there is no anchor &${node.source} before this alias`);
    if (walk.open.has(target)) return broken(`the alias *${node.source} stands inside its own anchor`);
    return readNode(walk, target, { ...place, aliasAt: at });
  }
  if (isScalar(node)) return readScalar(walk, node, place, at);
  if (place.path.length >= MAX_DEPTH) return broken(`nested deeper than ${MAX_DEPTH} levels`);
  walk.open.add(node);
  const entries = isMap(node) ? readMapping(walk, node, place) : readList(walk, node, place);
  walk.open.delete(node);
  const kind = isMap(node) ? 'mapping' : 'list';
  return { kind, path: place.path, keyAt: place.keyAt, valueAt: at, entries, value: null, isBroken: false };
}

function leaf(place: Place, valueAt: number, value: Tree['value'], isBroken = false): Tree {
  return { kind: 'scalar', path: place.path, keyAt: place.keyAt, valueAt, entries: NONE, value, isBroken };
}
const NONE: ReadonlyMap<string | number, Tree> = new Map();

function startOf(node: Node | null): number | undefined {
  return node?.range?.[0];
}

function readScalar(walk: Walk, node: Scalar, place: Place, at: number): Tree {
  const { value } = node;
  if (typeof value === 'number' || typeof value === 'boolean' || value === null)
    return leaf(place, at, value);
  if (typeof value !== 'string') {
    report(walk, place, at, 'must be text, a number, true or false');
    return leaf(place, at, null, true);
  }
  const { text, replaced, problems } = substitute(value, walk.env);
  for (const problem of problems) report(walk, place, at, problem);
  if (problems.length > 0) return leaf(place, at, null, true);
  if (!replaced) return leaf(place, at, value);
  const typed = node.type === Scalar.PLAIN ? typedScalar(text) : text;
  return { ...leaf(place, at, typed), variable: { written: value, text } };
}

function readList(walk: Walk, node: Node, place: Place): Map<number, Tree> {
  const entries = new Map<number, Tree>();
  if (!isSeq(node)) return entries;
  for (const [i, item] of node.items.entries()) {
    const child = item as Node | null;
    const keyAt = startOf(child) ?? place.keyAt;
    entries.set(i, readNode(walk, child, { path: [...place.path, i], keyAt }));
  }
  return entries;
}

function readMapping(walk: Walk, node: YAMLMap, place: Place): Map<string, Tree> {
  const entries = new Map<string, Tree>();
  const merged: Pair[] = [];
  for (const pair of node.items as Pair<Node | null, Node | null>[]) {
    if (isMergeKey(pair.key)) merged.push(pair);
    else readPair(walk, pair, place, entries);
  }
  // A key of the mapping itself wins over a merged one, wherever the merge stands.
  for (const pair of merged) readMerge(walk, pair, place, entries);
  return entries;
}

function isMergeKey(key: Node | null): boolean {
  return isScalar(key) && typeof key.value === 'symbol';
}

function readPair(
  walk: Walk,
  pair: Pair<Node | null, Node | null>,
  place: Place,
  entries: Map<string, Tree>,
): void {
  const keyAt = startOf(pair.key) ?? startOf(pair.value) ?? place.keyAt;
  const key = readKey(pair.key);
  if (key === null) {
    report(walk, place, keyAt, 'a key must be plain text');
    return;
  }
  // An object would take it for its prototype, and the schema would not see it.
  if (key === '__proto__') {
    report(walk, place, keyAt, 'the key __proto__ is not allowed');
    return;
  }
  const path = [...place.path, key];
  const first = entries.get(key);
  if (first !== undefined) {
    report(walk, { path }, keyAt, `given twice; the first one is in line ${walk.position(first.keyAt).line}`);
    return;
  }
  entries.set(key, readNode(walk, pair.value, { path, keyAt }));
}

/** Keys are taken as written: no variables, and `502:` is the key "502". */
function readKey(key: Node | null): string | null {
  if (!isScalar(key)) return null;
  if (typeof key.value === 'string') return key.value;
  return key.value === null ? null : (key.source ?? String(key.value));
}

/** `<<: *base` or `<<: [*a, *b]`, the earlier one winning. */
function readMerge(walk: Walk, pair: Pair, place: Place, entries: Map<string, Tree>): void {
  const at = startOf(pair.key as Node) ?? place.keyAt;
  const source = pair.value as Node | null;
  const sources = isSeq(source) ? (source.items as Node[]) : [source];
  for (const item of sources) {
    if (walk.valuesLeft < 0) return;
    const target = isAlias(item) ? walk.targets.get(item) : item;
    if (!isMap(target) || walk.open.has(target)) {
      report(
        walk,
        place,
        at,
        `<< must be followed by mappings or aliases of some, given ${describe(target)}`,
      );
      continue;
    }
    walk.open.add(target);
    for (const [key, tree] of readMapping(walk, target, place)) {
      if (!entries.has(key)) entries.set(key, tree);
    }
    walk.open.delete(target);
  }
}

function describe(node: unknown): string {
  if (isScalar(node)) return quote(String(node.value));
  if (isMap(node)) return 'a mapping that stands inside itself';
  return isSeq(node) ? 'a list' : 'an alias without an anchor';
}

/** The tree as plain data. */
export function plainOf(tree: Tree): unknown {
  if (tree.kind === 'scalar') return tree.value;
  if (tree.kind === 'list') return Array.from(tree.entries.values(), plainOf);
  return Object.fromEntries(Array.from(tree.entries, ([key, child]) => [key, plainOf(child)]));
}

/**
 * The tree without the values for which `isDropped` holds. Items of a list move up; their `path` still
 * says where they stand in the file.
 */
export function prune(tree: Tree, isDropped: (tree: Tree) => boolean): Tree {
  if (tree.kind === 'scalar') return tree;
  const kept = [...tree.entries].filter(([, child]) => !isDropped(child));
  const entries = new Map<string | number, Tree>();
  for (const [i, [key, child]] of kept.entries()) {
    entries.set(tree.kind === 'list' ? i : key, prune(child, isDropped));
  }
  return { ...tree, entries };
}

/** The value at `path`, or the nearest one above it that exists. `path` counts as `entries` do. */
export function nearestTo(root: Tree, path: Path): { readonly tree: Tree; readonly isExact: boolean } {
  let tree = root;
  for (const step of path) {
    const child = tree.entries.get(step);
    if (child === undefined) return { tree, isExact: false };
    tree = child;
  }
  return { tree, isExact: true };
}
