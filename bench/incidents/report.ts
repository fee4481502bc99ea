// Runs -> tables and verdicts. The median and the worst of all seeds stand side by side: a median alone hides the run
// that failed. Pure.

import { formatFigure, median, type Table } from '../report/table.ts';
import type { RunFigures } from './account.ts';

export type ScriptSet = 1 | 2;

export interface Run {
  readonly incident: string;
  readonly title: string;
  readonly contestant: string;
  readonly seed: number;
  readonly set: ScriptSet;
  /** Null when the run did not come to its end. */
  readonly figures: RunFigures | null;
  /** Why there are no figures, or why they say nothing. */
  readonly problem: string | null;
}

const isValid = (run: Run): run is Run & { readonly figures: RunFigures } =>
  run.figures !== null && run.problem === null;

const left = (title: string) => ({ title, align: 'left' }) as const;
const right = (title: string) => ({ title, align: 'right' }) as const;

/** One table for a set: a row for each contestant in each incident. */
export function incidentTable(runs: readonly Run[], set: ScriptSet): Table {
  const ofSet = runs.filter((run) => run.set === set);
  const rows = [...Map.groupBy(ofSet, ({ incident }) => incident).values()].flatMap((ofIncident) =>
    [...Map.groupBy(ofIncident, ({ contestant }) => contestant).values()].map((group, i) =>
      row(group, i === 0 ? `${group[0]!.incident}  ${group[0]!.title}` : ''),
    ),
  );
  return {
    title: `Incidents, set ${set}: median of the seeds, and the worst where it differs`,
    columns: [
      left('incident'),
      left('proxy'),
      right('requests'),
      right('bad'),
      right('bad POST'),
      right('lead s'),
      right('at failure'),
      right('moved'),
      right('keys moved'),
      right('survivor'),
      right('p99 ms'),
      right('deaths'),
    ],
    rows,
    notes: notesOf(ofSet),
  };
}

function row(group: readonly Run[], incident: string): string[] {
  const figures = group.filter(isValid).map((run) => run.figures);
  if (figures.length === 0) return [incident, group[0]!.contestant, '-'];
  const show = (
    read: (of: RunFigures) => number | null,
    format: (value: number) => string,
    worstOf: (...values: number[]) => number = Math.max,
  ): string => {
    const values = figures.map(read).filter((value) => value !== null);
    if (values.length === 0) return '-';
    const [middle, worst] = [format(median(values)), format(worstOf(...values))];
    return middle === worst ? middle : `${middle} (${worst})`;
  };
  const count = (value: number): string => formatFigure(Math.round(value)).replace('.0', '');
  return [
    incident,
    group[0]!.contestant,
    count(median(figures.map(({ requests }) => requests))),
    show(({ bad }) => bad, wholeNumber),
    show(({ badPosts }) => badPosts, wholeNumber),
    show(
      ({ leadSeconds }) => leadSeconds,
      (value) => value.toFixed(1),
      Math.min,
    ),
    show(({ shareAtFailure }) => shareAtFailure, percent),
    show(({ trafficMoved }) => trafficMoved, percent),
    show(({ keysMoved }) => keysMoved, percent),
    show(({ survivorUtilisation }) => survivorUtilisation, percent),
    show(({ p99Ms }) => p99Ms, wholeNumber),
    show(({ deaths }) => deaths, wholeNumber),
  ];
}

const wholeNumber = (value: number): string => String(Math.round(value));
const percent = (share: number): string => `${(share * 100).toFixed(share < 0.1 ? 1 : 0)} %`;

function notesOf(runs: readonly Run[]): string[] {
  const problems = runs
    .filter(({ problem }) => problem !== null)
    .map(({ incident, contestant, seed, problem }) => `${incident} ${contestant} seed ${seed}: ${problem}`);
  const books = runs.flatMap(({ incident, contestant, figures }) => {
    if (figures === null) return [];
    const { replayedPosts, unaccounted } = figures;
    return replayedPosts + unaccounted === 0
      ? []
      : [
          `${incident} ${contestant}: ${replayedPosts} POSTs sent twice, ${unaccounted} requests unaccounted for`,
        ];
  });
  return [
    'bad: no 2xx or slower than 500 ms. lead: for how long the region had been relieved when it failed.',
    'at failure: share of traffic in the failing region in the two seconds before. moved: answers from another region than the key had first.',
    'survivor: highest load over capacity of a region that did not fail, over 5 s (chance adds about 10 %). deaths: servers killed by overload.',
    ...problems,
    ...books,
  ];
}

/** What disqualifies a run that came to its end; null when nothing does. */
export function voidReason({ delayMs }: RunFigures, maxDelayMs: number): string | null {
  return delayMs > maxDelayMs
    ? `void: client or servers were late by ${delayMs.toFixed(1)} ms (99th percentile), at most ${maxDelayMs} ms allowed`
    : null;
}
