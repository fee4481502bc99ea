// Mistakes of YAML itself, in our words: the parser's own quote the text around a mistake, and that text
// may be a token.

import type { Document, YAMLError } from 'yaml';
import type { Position } from './line-index.ts';
import type { Finding } from './yaml-tree.ts';

const SENTENCES: Readonly<Partial<Record<YAMLError['code'], string>>> = {
  ALIAS_PROPS: 'an alias (*name) takes no anchor and no tag',
  BAD_ALIAS: 'an alias must be *name with nothing directly behind it',
  BAD_COLLECTION_TYPE: 'the tag does not fit what it stands before',
  BAD_DIRECTIVE: 'only the directives %YAML 1.2 and %TAG are known',
  BAD_DQ_ESCAPE: 'no such escape in a double-quoted text; use single quotes for a literal backslash',
  BAD_INDENT: 'the indentation fits nothing above it, or a bracket or quote above is not closed',
  BAD_PROP_ORDER: 'an anchor or tag must stand directly before its value',
  BAD_SCALAR_START: 'an unquoted text cannot begin with this character; put quotes around it',
  BLOCK_AS_IMPLICIT_KEY: 'a mapping cannot stand on the same line as another key; start a new line',
  BLOCK_IN_FLOW: 'an indented mapping or list cannot stand inside { } or [ ]',
  KEY_OVER_1024_CHARS: 'a key is longer than 1024 characters',
  MISSING_CHAR: 'a character is missing here: a comma, a colon, a bracket or a quote',
  MULTILINE_IMPLICIT_KEY: 'a key goes over more than one line; a colon or a quote is missing',
  MULTIPLE_ANCHORS: 'a value has more than one anchor',
  MULTIPLE_DOCS: 'a second document (---) begins here; the file must hold one',
  MULTIPLE_TAGS: 'a value has more than one tag',
  RESOURCE_EXHAUSTION: 'nested too deeply',
  TAB_AS_INDENT: 'a tab indents this line; only spaces may',
  TAG_RESOLVE_FAILED:
    'tags other than !!str, !!int, !!float, !!bool, !!null, !!map and !!seq are not allowed',
  UNEXPECTED_TOKEN:
    'nothing of YAML can stand here; a quote, a comma or a line break may be missing before it',
};

// One mistake can upset the parser on every line behind it.
const MAX_PROBLEMS = 20;

/** At most one problem a line, at most twenty: what follows a mistake on its line is its echo. */
export function syntaxProblems(
  document: Document.Parsed,
  text: string,
  position: (offset: number) => Position,
): Finding[] {
  const findings: Finding[] = [];
  const lines = new Set<number>();
  const errors = [...document.errors, ...document.warnings].sort((a, b) => a.pos[0] - b.pos[0]);
  for (const error of errors) {
    const at = Math.min(error.pos[0], text.length);
    const { line } = position(at);
    if (lines.has(line)) continue;
    if (lines.size === MAX_PROBLEMS) break;
    lines.add(line);
    const sentence = SENTENCES[error.code] ?? 'this is no YAML';
    const message = `${sentence}${variableHint(text, at)}`;
    findings.push({ at, path: [], message, severity: 'error' });
  }
  return findings;
}

/** `{ token: ${TOKEN} }` is the mistake that every second operator makes once. */
function variableHint(text: string, at: number): string {
  const start = text.lastIndexOf('\n', at - 1) + 1;
  return text.slice(start, at + 2).includes('${')
    ? `; inside { } or [ ], a value with \${NAME} needs quotes around it`
    : '';
}
