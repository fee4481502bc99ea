// Text of a configuration file -> a configuration, or everything that is wrong with it at once. The walk:
// bytes -> YAML tree (yaml-tree.ts) -> schema, keys not available yet and what keys must agree on
// (check-tree.ts). Pure: reads no file and no clock; whoever calls hands over the bytes and the
// environment. Never throws for what a file can hold.

import { createHash } from 'node:crypto';
import { checkTree } from './check-tree.ts';
import type { ConfigDocument } from './document.ts';
import type { Environment } from './environment.ts';
import { type DeepReadonly, deepFreeze } from './frozen.ts';
import { formatPath, type Path, type Problem } from './problem.ts';
import { type Finding, nearestTo, readYamlTree, type YamlReading } from './yaml-tree.ts';

export interface ConfigSource {
  /** Name of the file in problems. */
  readonly path: string;
  /** Content as read, or as text. */
  readonly text: string | Uint8Array;
  /** Variables that `${NAME}` may name. */
  readonly env: Environment;
}

export interface LoadedConfig<Parsed> {
  readonly ok: true;
  readonly config: DeepReadonly<Parsed>;
  /** SHA-256 of the file, hexadecimal. */
  readonly digest: string;
  readonly warnings: readonly Problem[];
  /** A problem at a key of the file (or the nearest one above it that is there), for later stages. */
  problemAt(path: Path, message: string): Problem;
}

export interface RefusedConfig {
  readonly ok: false;
  /** Errors and warnings in the order of the file; at least one error. */
  readonly problems: readonly Problem[];
}

/** Largest file that is read: 10,000 routes of 400 bytes. */
export const MAX_FILE_BYTES = 4 * 1024 * 1024;

/** Problems that are listed; a file with more is no configuration, and each costs memory. */
const MAX_PROBLEMS = 1000;

/** Loads a configuration whole, or says everything that is wrong with it. */
export function loadConfig<Parsed extends object>(
  source: ConfigSource,
  document: ConfigDocument<Parsed>,
): LoadedConfig<Parsed> | RefusedConfig {
  const text = decode(source.text);
  if (!text.ok) return { ok: false, problems: [wholeFile(source.path, text.message)] };
  const reading = readYamlTree(text.text, source.env);
  const { findings, config } =
    reading.root === null ? { findings: [], config: null } : checkTree(reading.root, document);
  const all = [...reading.findings, ...findings];
  if (reading.root === null && all.length === 0) {
    all.push({
      at: 0,
      path: [],
      severity: 'error',
      message: `the file is empty; ${document.required}`,
    });
  }
  const problems = listProblems(source.path, all, reading);
  if (config === null || all.some((finding) => finding.severity === 'error')) return { ok: false, problems };
  const { root } = reading;
  return {
    ok: true,
    config: deepFreeze(config),
    digest: digestOf(source.text),
    warnings: problems,
    problemAt: (path, message) => {
      const { tree } = nearestTo(root!, path);
      const finding: Finding = { at: tree.keyAt, path, message, severity: 'error' };
      return toProblem(source.path, finding, reading);
    },
  };
}

/** SHA-256 of a file's content, hexadecimal: tells whether there is anything new in it. */
export function digestOf(content: string | Uint8Array): string {
  return createHash('sha256').update(content).digest('hex');
}

function decode(content: string | Uint8Array): { ok: true; text: string } | { ok: false; message: string } {
  const bytes = typeof content === 'string' ? Buffer.byteLength(content) : content.byteLength;
  if (bytes > MAX_FILE_BYTES) return { ok: false, message: tooLarge(bytes) };
  if (typeof content === 'string') return { ok: true, text: content };
  try {
    return { ok: true, text: new TextDecoder('utf-8', { fatal: true }).decode(content) };
  } catch {
    return { ok: false, message: 'must be UTF-8 text; some bytes are not' };
  }
}

export function tooLarge(bytes: number): string {
  return `must be at most ${MAX_FILE_BYTES} bytes (4 MiB), given ${bytes}`;
}

/** A problem of the file as such, at its first character. */
export function wholeFile(file: string, message: string): Problem {
  return { file, line: 1, column: 1, severity: 'error', path: '', message };
}

/** In the order of the file, each once, the number bounded. */
function listProblems(file: string, findings: readonly Finding[], reading: YamlReading): Problem[] {
  const seen = new Set<string>();
  const problems: Problem[] = [];
  for (const finding of findings.toSorted((a, b) => a.at - b.at)) {
    const problem = toProblem(file, finding, reading);
    const identity = `${finding.at} ${problem.message}`;
    if (seen.has(identity)) continue;
    seen.add(identity);
    problems.push(problem);
  }
  if (problems.length <= MAX_PROBLEMS) return problems;
  const unlisted = problems.length - MAX_PROBLEMS;
  const last = { ...problems[MAX_PROBLEMS]!, path: '', message: `${unlisted} more problems are not listed` };
  return [...problems.slice(0, MAX_PROBLEMS), last];
}

function toProblem(file: string, finding: Finding, reading: YamlReading): Problem {
  const { at, path, message, severity } = finding;
  return { file, ...reading.position(at), severity, path: formatPath(path), message };
}
