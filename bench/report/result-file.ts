// Writes what a bench found: JSON for programs, a page for people, under the same name, with commit and
// machine in both. Names carry the time, so that no run overwrites another.

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Clock, wallTimestamp } from '../../src/core/clock.ts';
import { type Commit, describeCommit, describeMachine, type Machine } from './machine.ts';
import { type PageSection, renderPage } from './page.ts';

/** What every result file opens with. */
export interface ResultHead {
  /** The bench, e.g. `load-compare`. */
  readonly bench: string;
  /** RFC 3339, when the run began. */
  readonly at: string;
  readonly commit: Commit;
  readonly machine: Machine;
  /** Arguments as given. */
  readonly args: readonly string[];
}

export interface ResultInput {
  readonly head: ResultHead;
  readonly title: string;
  /** Made if it is missing. */
  readonly folder: string;
  /** Merged into the JSON beside the head. */
  readonly data: Readonly<Record<string, unknown>>;
  readonly sections: readonly PageSection[];
}

export const RESULTS_FOLDER = join(import.meta.dirname, '..', 'results');

/** To be made before the run: a checkout may move on while a long bench is at work. */
export function resultHead(bench: string, args: readonly string[], clock: Clock): ResultHead {
  return { bench, at: wallTimestamp(clock), commit: describeCommit(), machine: describeMachine(), args };
}

/** Writes BENCH-TIME.json and BENCH-TIME.html; gives both paths. */
export function writeResult(input: ResultInput): { readonly json: string; readonly html: string } {
  const { head, folder, title, sections } = input;
  const name = `${head.bench}-${head.at.replaceAll(/[:.]/g, '-')}`;
  mkdirSync(folder, { recursive: true });
  const json = join(folder, `${name}.json`);
  const html = join(folder, `${name}.html`);
  writeFileSync(json, `${JSON.stringify({ ...head, ...input.data }, null, 2)}\n`);
  writeFileSync(html, renderPage({ title, head, sections }));
  return { json, html };
}
