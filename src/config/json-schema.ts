// The schema as JSON Schema, twice. `schemaRoot` keeps what quantities.ts says about each value and is
// what messages and the reference are made from; `editorSchema` is what `foreshard schema` prints: the
// forms that an operator writes, and keys that are not available yet refused, as check does.

import { z } from 'zod';
import { VARIABLE_FORMS } from './environment.ts';
import { notYetEntry } from './not-yet.ts';
import type { Path } from './problem.ts';
import { configSchema } from './schema.ts';

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

let root: SchemaNode | undefined;

/** The whole schema with its facts. Made once: it costs some ten milliseconds. */
export function schemaRoot(): SchemaNode {
  root ??= z.toJSONSchema(configSchema, { io: 'input', reused: 'inline' }) as SchemaNode;
  return root;
}

/** The schema of the value at `path`, or of the nearest one above it that is known. */
export function schemaAt(path: Path): SchemaNode {
  let node = schemaRoot();
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

/** JSON Schema for editors. */
export function editorSchema(): object {
  const { $schema, ...rest } = forEditor(schemaRoot(), '') as Record<string, unknown>;
  return {
    $schema,
    title: 'Foreshard proxy.yaml',
    description: 'Configuration of `foreshard proxy`. `foreshard check` says more than a schema can.',
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

/** `key` is the node's place as not-yet.ts writes it. */
function forEditor(node: SchemaNode, key: string): Record<string, unknown> {
  const { allowed, description, default: fallback, secret } = node;
  const help = [description, allowed === undefined ? undefined : `Must be ${allowedBy(node)}.`];
  const about = {
    ...(help.some((part) => part !== undefined) && { description: help.filter(Boolean).join(' ') }),
    // An editor that completes `log:` with `{}` helps nobody.
    ...(fallback !== undefined && !isEmptyMapping(fallback) && { default: fallback }),
    ...(secret === true && { writeOnly: true }),
  };
  return { ...about, ...alternatives(bodyOf(node, key), node.shorthand) };
}

/** What the value may be, without what is said about it. */
function bodyOf(node: SchemaNode, key: string): Record<string, unknown> {
  const body: Record<string, unknown> = {};
  for (const [word, value] of Object.entries(node)) {
    if (!OWN_WORDS.has(word)) body[word] = convert(word, value, key);
  }
  if (node.written !== undefined) for (const word of RANGE_WORDS) delete body[word];
  return Object.assign(body, node.written, node.bounds);
}

function convert(word: string, value: unknown, key: string): unknown {
  if (word === 'properties') {
    const entries = Object.entries(value as Record<string, SchemaNode>);
    return Object.fromEntries(
      entries.map(([name, child]) => [name, forKey(child, key === '' ? name : `${key}.${name}`)]),
    );
  }
  if (word === 'items') return forKey(value as SchemaNode, `${key}[]`);
  if (word === 'anyOf') return (value as SchemaNode[]).map((branch) => forEditor(branch, key));
  if (word === 'additionalProperties' && typeof value === 'object') {
    return forEditor(value as SchemaNode, `${key}.*`);
  }
  // Keys are taken as written, without variables.
  if (word === 'propertyNames') return bodyOf(value as SchemaNode, key);
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
function forKey(node: SchemaNode, key: string): object {
  const entry = notYetEntry(key);
  const { default: fallback, ...body } = forEditor(node, key);
  if (entry === undefined) return fallback === undefined ? body : { default: fallback, ...body };
  const description = `Not available yet. ${body.description ?? ''}`.trim();
  return { ...body, description, ...(entry.harmless === undefined ? { not: {} } : { enum: entry.harmless }) };
}
