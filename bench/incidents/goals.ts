// What `auto` must reach against the others, from issue 5. Pure.

import { median, type Table } from '../report/table.ts';
import type { RunFigures } from './account.ts';
import type { Run, ScriptSet } from './report.ts';

export interface Verdict {
  readonly incident: string;
  readonly goal: string;
  readonly here: string;
  readonly others: string;
  readonly verdict: 'aim reached' | 'reached' | 'missed' | 'not measured';
}

const FORESEEABLE = ['a', 'b', 'c', 'd', 'e', 'f'];
const MUST_TIMES = 10;
const AIM_TIMES = 20;
/** Where the others have fewer bad requests than this, a factor is chance. */
const FEW = 50;
const FEW_ALLOWED = 5;
const HARMLESS_MOVE = 0.05;
/** A window of some hundred requests at its capacity shows a tenth more by chance. */
const CHANCE = 0.1;

const RIVALS = ['haproxy', 'nginx'];

/** One row for each incident that was played with `auto`. */
export function judge(runs: readonly Run[], set: ScriptSet): Verdict[] {
  const ofSet = runs.filter((run) => run.set === set);
  return [...Map.groupBy(ofSet, ({ incident }) => incident)].map(([incident, group]) => {
    const of = (contestant: string): RunFigures[] =>
      group.flatMap((run) =>
        run.contestant === contestant && run.figures !== null && run.problem === null ? [run.figures] : [],
      );
    const auto = of('auto');
    const rivals = RIVALS.map(of).filter((figures) => figures.length > 0);
    const best = Math.min(...rivals.map((figures) => median(figures.map(({ bad }) => bad))));
    return { incident, ...judgeOne(incident, auto, best) };
  });
}

function judgeOne(incident: string, auto: readonly RunFigures[], best: number): Omit<Verdict, 'incident'> {
  const bad = median(auto.map((figures) => figures.bad));
  const compared = { here: show(bad), others: show(best) };
  if (incident === 'h') {
    const moved = median(auto.map(({ trafficMoved }) => trafficMoved));
    return {
      goal: 'at most 5 % of traffic moved',
      here: `${(moved * 100).toFixed(1)} %`,
      others: '',
      verdict: verdictOf(auto.length > 0, moved <= HARMLESS_MOVE),
    };
  }
  if (incident === 'k') {
    const highest = Math.max(...auto.map(({ survivorUtilisation }) => survivorUtilisation));
    return {
      goal: 'no survivor above its capacity',
      here: `${(highest * 100).toFixed(0)} %`,
      others: '',
      verdict: verdictOf(auto.length > 0, highest <= 1 + CHANCE && auto.every(({ deaths }) => deaths === 0)),
    };
  }
  const isMeasured = auto.length > 0 && Number.isFinite(best);
  if (!FORESEEABLE.includes(incident)) {
    return {
      goal: 'no more bad requests than theirs',
      ...compared,
      verdict: verdictOf(isMeasured, bad <= best),
    };
  }
  if (best < FEW) {
    return {
      goal: 'at most 5 bad requests',
      ...compared,
      verdict: verdictOf(isMeasured, bad <= FEW_ALLOWED),
    };
  }
  const isAim = isMeasured && bad * AIM_TIMES <= best;
  return {
    goal: '10 times fewer bad requests than the better of them, aim 20',
    ...compared,
    verdict: isAim ? 'aim reached' : verdictOf(isMeasured, bad * MUST_TIMES <= best),
  };
}

const show = (value: number): string => (Number.isFinite(value) ? String(Math.round(value)) : '-');

function verdictOf(isMeasured: boolean, holds: boolean): Verdict['verdict'] {
  if (!isMeasured) return 'not measured';
  return holds ? 'reached' : 'missed';
}

export function verdictTable(verdicts: readonly Verdict[], set: ScriptSet): Table {
  return {
    title: `Set ${set}: what auto must reach`,
    columns: [
      { title: 'incident', align: 'left' },
      { title: 'goal', align: 'left' },
      { title: 'auto', align: 'right' },
      { title: 'HAProxy or nginx', align: 'right' },
      { title: '', align: 'left' },
    ],
    rows: verdicts.map(({ incident, goal, here, others, verdict }) => [
      incident,
      goal,
      here,
      others,
      verdict,
    ]),
    notes: ['Medians of the seeds; of k the worst.'],
  };
}
