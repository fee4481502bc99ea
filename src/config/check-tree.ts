// A tree of values -> the configuration in it, and every mistake. A mistake must not hide the others: what
// is wrong is reported, taken out, and the rest is looked at again, until a whole configuration is left
// that the cross-checks can read. What merely follows from a mistake is not reported.

import type { z } from 'zod';
import type { ConfigDocument } from './document.ts';
import { explainIssue, type SchemaFinding, unknownKey } from './explain-issue.ts';
import type { DeepReadonly } from './frozen.ts';
import { keysOf, type SchemaNode, schemaAt } from './json-schema.ts';
import { findNotYet } from './not-yet.ts';
import { PathSet } from './path-set.ts';
import { formatPath, type Path } from './problem.ts';
import { type Finding, nearestTo, plainOf, prune, type Tree } from './yaml-tree.ts';

export interface TreeCheck<Parsed> {
  readonly findings: readonly Finding[];
  /** Null when what is left of the file after its mistakes is not even a configuration. */
  readonly config: Parsed | null;
}

/** Checks a whole file. The configuration is usable only when `findings` holds no error. */
export function checkTree<Parsed extends object>(
  root: Tree,
  document: ConfigDocument<Parsed>,
): TreeCheck<Parsed> {
  const notYet = findNotYet(root, document.notYet);
  const typed = typeVariables(root, document.node());
  const schema = checkSchema(typed, document);
  const disagreements = schema.config === null ? [] : checkAgreement(schema.config, schema, typed, document);
  // A key that is refused anyway gets one sentence, not a second one about its value.
  const refused = new PathSet(notYet.map(({ path }) => path));
  const others = [...schema.findings, ...disagreements].filter(({ path }) => !refused.covers(path));
  return {
    findings: [...notYet, ...others],
    config: schema.config === null ? null : document.settle(schema.config),
  };
}

/**
 * `token: ${TOKEN}` with a TOKEN of digits is text, `workers: ${WORKERS}` is a number: an unquoted
 * variable that looks like a number or boolean is one only where the schema takes one.
 */
function typeVariables(tree: Tree, schema: SchemaNode): Tree {
  if (tree.kind !== 'scalar') {
    const entries = new Map([...tree.entries].map(([key, child]) => [key, typeVariables(child, schema)]));
    return { ...tree, entries };
  }
  if (tree.variable === undefined || takes(schemaAt(schema, tree.path), typeof tree.value)) return tree;
  return { ...tree, value: tree.variable.text };
}

function takes(node: SchemaNode, type: string): boolean {
  if (node.anyOf !== undefined) return node.anyOf.some((branch) => takes(branch, type));
  const types = typeof node.type === 'string' ? [node.type] : (node.type ?? []);
  return types.includes(type) || (type === 'number' && types.includes('integer'));
}

interface SchemaCheck<Parsed> extends TreeCheck<Parsed> {
  /** What is left of the file: its mistakes taken out, so that the rest can be checked too. */
  readonly kept: Tree;
  /** Where something was taken out. */
  readonly dropped: PathSet;
}

// Every round takes out at least one level above a mistake; keys nest seven deep.
const MAX_ROUNDS = 12;

/**
 * Parses, takes out what is wrong, and parses again until the rest is right. A later round finds what
 * an earlier one hid (a rule about a whole mapping is looked at only once its keys are right); what
 * merely follows from taking out is not reported.
 */
function checkSchema<Parsed extends object>(
  root: Tree,
  document: ConfigDocument<Parsed>,
): SchemaCheck<Parsed> {
  const node = document.node();
  const broken = [...brokenTrees(root)];
  const dropped = new PathSet(broken.map((tree) => tree.path));
  const findings: Finding[] = broken.flatMap((tree) => misnamed(tree, root, node));
  let kept = prune(root, (tree) => tree.isBroken);
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const result = document.schema.safeParse(withStandIns(kept, dropped, document.standIns));
    if (result.success) return { findings, config: result.data, kept, dropped };
    const found = result.error.issues.flatMap((issue) => explainIssue(issue, kept, node));
    findings.push(...withoutEchoes(found).filter(({ path }) => !dropped.touches(path)));
    const wrong = new Set(result.error.issues.flatMap((issue) => wrongTrees(issue, kept)));
    for (const { path } of [...found, ...wrong]) dropped.add(path);
    if (wrong.has(kept)) break;
    kept = prune(kept, (tree) => wrong.has(tree));
  }
  return { findings, config: null, kept, dropped };
}

function* brokenTrees(tree: Tree): Generator<Tree> {
  if (tree.isBroken) yield tree;
  for (const child of tree.entries.values()) yield* brokenTrees(child);
}

/** A value that could not be read is not seen by the schema; its key may be wrong all the same. */
function misnamed({ path }: Tree, root: Tree, schema: SchemaNode): Finding[] {
  const key = path.at(-1);
  const above = path.slice(0, -1);
  const known = keysOf(schemaAt(schema, above));
  if (typeof key !== 'string' || known.length === 0 || known.includes(key)) return [];
  return [unknownKey(key, nearestTo(root, above).tree, above, schema)];
}

/** Without findings that repeat another one: a mapping fails by a key in it, or a key is only misspelt. */
function withoutEchoes(found: readonly SchemaFinding[]): Finding[] {
  const places = new PathSet(found.map(({ path }) => path));
  const meant = new PathSet(found.flatMap((one) => (one.meant === undefined ? [] : [one.meant])));
  return found.filter(({ path }) => !places.hasBelow(path) && !meant.has(path));
}

function withStandIns(kept: Tree, dropped: PathSet, standIns: Readonly<Record<string, unknown>>): unknown {
  const plain = plainOf(kept);
  if (kept.kind !== 'mapping') return plain;
  const missing = Object.entries(standIns).filter(
    ([key]) => !kept.entries.has(key) && dropped.touches([key]),
  );
  return { ...(plain as object), ...Object.fromEntries(missing) };
}

/** The values that must go for an issue to go; a missing root key is nobody's, it gets a stand-in. */
function wrongTrees(issue: z.core.$ZodIssue, kept: Tree): Tree[] {
  const { tree, isExact } = nearestTo(kept, issue.path as Path);
  if (issue.code === 'unrecognized_keys') return issue.keys.flatMap((key) => tree.entries.get(key) ?? []);
  if (!isExact && tree === kept && kept.kind === 'mapping') return [];
  return [tree];
}

function checkAgreement<Parsed extends object>(
  config: Parsed,
  { kept, dropped }: SchemaCheck<Parsed>,
  root: Tree,
  document: ConfigDocument<Parsed>,
): Finding[] {
  const findings: Finding[] = [];
  const nameOf = (path: Path): string => formatPath(originalPath(kept, path));
  for (const { path, about = [], sentence, severity } of document.disagreements(
    config as DeepReadonly<Parsed>,
    root,
  )) {
    const places = [path, ...about].map((place) => originalPath(kept, place));
    // What follows from a mistake that was reported is no mistake of its own.
    if (places.some((place) => dropped.touches(place))) continue;
    // A default that disagrees stands nowhere; the key that it disagrees with does.
    const written = [path, ...about].map((place) => nearestTo(kept, place));
    const { tree } = written.find(({ isExact }) => isExact) ?? written[0]!;
    const isKey = tree.kind !== 'scalar' || tree.value === null;
    const text = typeof sentence === 'string' ? sentence : sentence(nameOf);
    const message = `${nameOf(path)}: ${text}`;
    findings.push({ at: isKey ? tree.keyAt : tree.valueAt, path: places[0]!, message, severity });
  }
  return findings;
}

/** Where a place of the remaining configuration stands in the file: lists may have moved up. */
function originalPath(kept: Tree, path: Path): Path {
  const { tree } = nearestTo(kept, path);
  return [...tree.path, ...path.slice(tree.path.length)];
}
