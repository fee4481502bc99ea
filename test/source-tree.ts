// Reads the source tree for the architecture test: what each file imports, how long its functions are.
// Types are stripped by Node itself (positions stay), so a plain JavaScript parser is enough; type
// imports are read from the text, because stripping removes them.

import { readdirSync, readFileSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import { join, relative } from 'node:path';
import { type AnyNode, parse } from 'acorn';

export interface ImportEdge {
  /** As written: a relative path or a package. */
  readonly specifier: string;
  readonly typeOnly: boolean;
}

export interface FunctionSize {
  readonly name: string;
  readonly line: number;
  readonly lines: number;
}

export interface SourceFile {
  /** From the project's root, with forward slashes. */
  readonly path: string;
  readonly text: string;
  readonly lines: number;
  readonly imports: readonly ImportEdge[];
  readonly functions: readonly FunctionSize[];
  /** Comment lines at the top of the file. */
  readonly headLines: number;
  /** Every statement is a re-export: a barrel. */
  readonly isBarrel: boolean;
}

export function readSourceTree(root: string, folder: string): SourceFile[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .sort()
    .map((name) => readSourceFile(root, join(folder, name)));
}

export function readSourceFile(root: string, path: string): SourceFile {
  const text = readFileSync(join(root, path), 'utf8');
  const code = stripTypeScriptTypes(text);
  const program = parse(code, { ecmaVersion: 'latest', sourceType: 'module', locations: true });
  const functions: FunctionSize[] = [];
  collectFunctions(program, '(anonymous)', functions);
  const statements = program.body as AnyNode[];
  return {
    path: relative(root, join(root, path)).replaceAll('\\', '/'),
    text,
    lines: text.trimEnd().split('\n').length,
    imports: readImports(text),
    functions,
    headLines: countHeadLines(text),
    isBarrel:
      statements.length > 0 &&
      statements.every(
        (node) =>
          node.type === 'ExportAllDeclaration' ||
          (node.type === 'ExportNamedDeclaration' && node.source != null),
      ),
  };
}

function readImports(text: string): ImportEdge[] {
  const edges: ImportEdge[] = [];
  const statement = /^\s*(import|export)\s+(type\s+)?([^'";]*?)\s*from\s*'([^']+)'/gm;
  for (const match of text.matchAll(statement)) {
    const names = (match[3] ?? '').replace(/[{}]/g, '').split(',');
    const everyNameIsType = names.every((name) => name.trim() === '' || name.trim().startsWith('type '));
    edges.push({ specifier: match[4]!, typeOnly: match[2] !== undefined || everyNameIsType });
  }
  for (const match of text.matchAll(/^\s*import\s+'([^']+)'/gm)) {
    edges.push({ specifier: match[1]!, typeOnly: false });
  }
  for (const match of text.matchAll(/\bimport\(\s*'([^']+)'\s*\)/g)) {
    edges.push({ specifier: match[1]!, typeOnly: false });
  }
  for (const match of text.matchAll(/new URL\('(\.[^']+\.ts)', import\.meta\.url\)/g)) {
    edges.push({ specifier: match[1]!, typeOnly: false });
  }
  return edges;
}

function collectFunctions(node: AnyNode, name: string, found: FunctionSize[]): void {
  if (
    node.type === 'FunctionDeclaration' ||
    node.type === 'FunctionExpression' ||
    node.type === 'ArrowFunctionExpression'
  ) {
    const own = 'id' in node && node.id !== null ? node.id.name : name;
    const { start, end } = node.loc!;
    found.push({ name: own, line: start.line, lines: end.line - start.line + 1 });
  }
  for (const [key, value] of Object.entries(node)) {
    if (key === 'loc') continue;
    for (const child of Array.isArray(value) ? value : [value]) {
      if (child === null || typeof child !== 'object' || typeof child.type !== 'string') continue;
      collectFunctions(child as AnyNode, nameOf(node) ?? name, found);
    }
  }
}

function nameOf(node: AnyNode): string | undefined {
  if (node.type === 'VariableDeclarator' && node.id.type === 'Identifier') return node.id.name;
  if ((node.type === 'MethodDefinition' || node.type === 'Property') && node.key.type === 'Identifier') {
    return node.key.name;
  }
  return undefined;
}

function countHeadLines(text: string): number {
  let count = 0;
  for (const line of text.split('\n')) {
    if (line.startsWith('#!')) continue;
    if (!line.startsWith('//')) break;
    count += 1;
  }
  return count;
}
