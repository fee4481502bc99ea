// Loads configuration text as a test writes it.

import { PROXY_DOCUMENT } from '../../src/config/document.ts';
import { loadConfig } from '../../src/config/load.ts';
import { formatProblem } from '../../src/config/problem.ts';
import type { Config } from '../../src/config/schema.ts';

/** What a configuration cannot do without; tests add to it below. */
export const LEAST = `listen: [ { address: "127.0.0.1:8080" } ]
regions:
  - { id: east, servers: [ "http://127.0.0.1:9000" ] }
  - { id: west, servers: [ "http://127.0.0.1:9001" ] }
`;

export type Variables = Readonly<Record<string, string>>;

/** Problems of a text, one line each, as `foreshard check` prints them for a file named `f`. */
export function problemsOf(text: string | Uint8Array, env: Variables = {}): string[] {
  const loaded = loadConfig({ path: 'f', text, env }, PROXY_DOCUMENT);
  return (loaded.ok ? loaded.warnings : loaded.problems).map(formatProblem);
}

/** The configuration of a text that must be good. */
export function configOf(text: string, env: Variables = {}): Config {
  const loaded = loadConfig({ path: 'f', text, env }, PROXY_DOCUMENT);
  if (!loaded.ok) throw new Error(loaded.problems.map(formatProblem).join('\n'));
  return loaded.config;
}

/** `${name}` as it stands in a file. */
export const variable = (name: string): string => `$\{${name}}`;
