// A schema as JSON Schema, twice. A document's `node` (document.ts) keeps what quantities.ts says about each
// value and is what messages and the reference are made from; `editorSchema` is what `foreshard schema`
// prints: the forms that an operator writes, and keys that are not available yet refused, as check does.

import { VARIABLE_FORMS } from './environment.ts';
import { type NotYet, notYetEntry } from './not-yet.ts';
import type { Path } from './problem.ts';

/** What we read of a JSON Schema (2020-12), and the facts of quantities.ts beside it. */
export interface SchemaNode {
  readonly type?: string | readonly string[];
  readonly description?: string;
  readonly default?: unknown;
  readonly properties?: Readonly<Record<string, SchemaNode>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: SchemaNode | boolean;
  readonly propertyNames?: SchemaNode;
  readonly items?: SchemaNode;
  readonly anyOf?: readonly SchemaNode[];
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly pattern?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
  /** End of the sentence "must be …". */
  readonly allowed?: string;
  readonly example?: string;
  /** Schema of the value as an operator writes it, in place of the one that zod makes. */
  readonly written?: SchemaNode;
  /** A second, shorter way to write the value. */
  readonly shorthand?: SchemaNode;
  /** Keywords that a refinement stands for. */
  readonly bounds?: SchemaNode;
  readonly secret?: true;
}

/** The schema of the value at `path`, or of the nearest one above it that is known. */
export function schemaAt(root: SchemaNode, path: Path): SchemaNode {
  let node = root;
  for (const step of path) {
    const child = childOf(node, step);
    if (child === undefined) break;
    node = child;
  }
  return node;
}

function childOf(node: SchemaNode, step: string | number): SchemaNode | undefined {
  if (typeof step === 'number' && node.items !== undefined) return node.items;
  const named = node.properties;
  if (named !== undefined && Object.hasOwn(named, step)) return named[step];
  if (typeof node.additionalProperties === 'object') return node.additionalProperties;
  for (const branch of node.anyOf ?? []) {
    const child = childOf(branch, step);
    if (child !== undefined) return child;
  }
  return undefined;
}

/** Keys that a mapping of this schema may have; empty where any may stand. */
export function keysOf(node: SchemaNode): readonly string[] {
  return [...Object.keys(node.properties ?? {}), ...(node.anyOf ?? []).flatMap(keysOf)];
}

/** End of the sentence "must be …" for a value of this schema. */
export function allowedBy(node: SchemaNode): string {
  return node.example === undefined ? boundsOf(node) : `${boundsOf(node)}, such as ${node.example}`;
}

/** The same without an example. */
export function boundsOf(node: SchemaNode): string {
  if (node.allowed !== undefined) return node.allowed;
  if (node.enum !== undefined) return `one of ${node.enum.join(', ')}`;
  if (node.const !== undefined) return node.const === '' ? 'empty' : String(node.const);
  if (node.anyOf !== undefined) return node.anyOf.map(boundsOf).join(' or ');
  switch (node.type) {
    case 'integer':
      return `a whole number from ${node.minimum} to ${node.maximum}`;
    case 'number':
      return `a number from ${node.minimum} to ${node.maximum}`;
    case 'boolean':
      return 'true or false';
    case 'string':
      return `text of ${node.minLength ?? 0} to ${node.maxLength} characters`;
    case 'array':
      return `a list of ${node.minItems ?? 0} to ${node.maxItems} entries`;
    default:
      return 'a mapping of keys to values';
  }
}

/** What `editorSchema` reads of a kind of document (document.ts). */
export interface DescribedDocument {
  readonly name: string;
  readonly command: string;
  node(): SchemaNode;
  readonly notYet: readonly NotYet[];
}

/** JSON Schema for editors. */
export function editorSchema({ name, command, node, notYet }: DescribedDocument): object {
  const { $schema, ...rest } = forEditor(node(), { key: '', notYet }) as Record<string, unknown>;
  return {
    $schema,
    title: `Foreshard ${name}`,
    description: `Configuration of \`${command}\`. \`foreshard check\` says more than a schema can.`,
    ...rest,
    $defs: {
      variable: { type: 'string', pattern: '\\$\\{', description: `Holds ${VARIABLE_FORMS}.` },
    },
  };
}

// Facts of quantities.ts, which are no JSON Schema, and what forEditor says apart.
const OWN_WORDS: ReadonlySet<string> = new Set([
  ...['allowed', 'example', 'written', 'shorthand', 'bounds', 'secret'],
  ...['description', 'default'],
]);
const RANGE_WORDS = ['type', 'anyOf', 'minimum', 'maximum', 'minLength', 'maxLength'];

interface Place {
  /** The node's place as not-yet.ts writes it. */
  readonly key: string;
  readonly notYet: readonly NotYet[];
}

function forEditor(node: SchemaNode, place: Place): Record<string, unknown> {
  const { allowed, description, default: fallback, secret } = node;
  const help = [description, allowed === undefined ? undefined : `Must be ${allowedBy(node)}.`];
  const about = {
    ...(help.some((part) => part !== undefined) && { description: help.filter(Boolean).join(' ') }),
    // An editor that completes `log:` with `{}` helps nobody.
    ...(fallback !== undefined && !isEmptyMapping(fallback) && { default: fallback }),
    ...(secret === true && { writeOnly: true }),
  };
  return { ...about, ...alternatives(bodyOf(node, place), node.shorthand) };
}

/** What the value may be, without what is said about it. */
function bodyOf(node: SchemaNode, place: Place): Record<string, unknown> {
  const body: Record<string, unknown> = {};
  for (const [word, value] of Object.entries(node)) {
    if (!OWN_WORDS.has(word)) body[word] = convert(word, value, place);
  }
  if (node.written !== undefined) for (const word of RANGE_WORDS) delete body[word];
  return Object.assign(body, node.written, node.bounds);
}

function convert(word: string, value: unknown, place: Place): unknown {
  const { key } = place;
  if (word === 'properties') {
    const entries = Object.entries(value as Record<string, SchemaNode>);
    return Object.fromEntries(
      entries.map(([name, child]) => [
        name,
        forKey(child, { ...place, key: key === '' ? name : `${key}.${name}` }),
      ]),
    );
  }
  if (word === 'items') return forKey(value as SchemaNode, { ...place, key: `${key}[]` });
  if (word === 'anyOf') return (value as SchemaNode[]).map((branch) => forEditor(branch, place));
  if (word === 'additionalProperties' && typeof value === 'object') {
    return forEditor(value as SchemaNode, { ...place, key: `${key}.*` });
  }
  // Keys are taken as written, without variables.
  if (word === 'propertyNames') return bodyOf(value as SchemaNode, place);
  return value;
}

const VARIABLE = { $ref: '#/$defs/variable' };

function isEmptyMapping(value: unknown): boolean {
  return (
    typeof value === 'object' && value !== null && !Array.isArray(value) && Object.keys(value).length === 0
  );
}

/** The short form beside the long one, and `${NAME}` beside every scalar that is not free text anyway. */
function alternatives(body: Record<string, unknown>, shorthand: SchemaNode | undefined): object {
  if (shorthand !== undefined) return { anyOf: [shorthand, body, VARIABLE] };
  if (body.type === 'object' || body.type === 'array') return body;
  const isFreeText = body.type === 'string' && ['pattern', 'enum', 'const'].every((word) => !(word in body));
  const forms = body.anyOf === undefined ? [body] : (body.anyOf as object[]);
  return isFreeText ? body : { anyOf: [...forms, VARIABLE] };
}

/** A key that is not available yet takes only what asks for nothing. */
function forKey(node: SchemaNode, place: Place): object {
  const entry = notYetEntry(place.notYet, place.key);
  const { default: fallback, ...body } = forEditor(node, place);
  if (entry === undefined) return fallback === undefined ? body : { default: fallback, ...body };
  const description = `Not available yet. ${body.description ?? ''}`.trim();
  return { ...body, description, ...(entry.harmless === undefined ? { not: {} } : { enum: entry.harmless }) };
}
