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
  /** RFC 3339, when the file was written. */
  readonly at: string;
  readonly commit: Commit;
  readonly machine: Machine;
  /** Arguments as given. */
  readonly args: readonly string[];
}

export interface ResultInput {
  readonly bench: string;
  readonly title: string;
  readonly args: readonly string[];
  readonly clock: Clock;
  /** Folder; made if it is missing. */
  readonly folder: string;
  /** Merged into the JSON beside the head. */
  readonly data: Readonly<Record<string, unknown>>;
  readonly sections: readonly PageSection[];
}

export const RESULTS_FOLDER = join(import.meta.dirname, '..', 'results');

export function resultHead(bench: string, args: readonly string[], clock: Clock): ResultHead {
  return { bench, at: wallTimestamp(clock), commit: describeCommit(), machine: describeMachine(), args };
}

/** Writes NAME-TIME.json and NAME-TIME.html; gives both paths. */
export function writeResult(input: ResultInput): { readonly json: string; readonly html: string } {
  const head = resultHead(input.bench, input.args, input.clock);
  const stamp = head.at.replaceAll(/[:.]/g, '-');
  mkdirSync(input.folder, { recursive: true });
  const json = join(input.folder, `${input.bench}-${stamp}.json`);
  const html = join(input.folder, `${input.bench}-${stamp}.html`);
  writeFileSync(json, `${JSON.stringify({ ...head, ...input.data }, null, 2)}\n`);
  writeFileSync(html, renderPage({ title: input.title, head, sections: input.sections }));
  return { json, html };
}
