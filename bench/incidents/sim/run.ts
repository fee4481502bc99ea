// bench:incidents --sim: Foreshard auto, off and two controls under virtual time, from a seed: auto with its predictions
// shuffled, and auto that is told all the time what the engine said in a calm moment, which leaves it what is seen,
// capacity and demand. No process, no socket, no noise of the machine; HAProxy and nginx take part in the bench with
// processes alone.

import { seededRandom } from '../../../src/core/random.ts';
import type { Progress } from '../../report/progress.ts';
import { median, type Table } from '../../report/table.ts';
import { accountFor } from '../account.ts';
import { incidentOf } from '../catalogue.ts';
import { AUTO } from '../contestants/catalogue.ts';
import type { Options } from '../options.ts';
import type { Run, ScriptSet } from '../report.ts';
import { delayed } from '../script.ts';
import { shuffledPredictions } from './shuffle.ts';
import { type SimResult, simulate } from './simulate.ts';

/** Live rows of every shard group, before anything happens. */
const LEAD_IN_SECONDS = 120;

const OFF = { pae: { mode: 'off' } };

export function simulateAll({ incidents, sets, seeds }: Options, progress: Progress): Run[] {
  const runs: Run[] = [];
  for (const set of sets) {
    for (const seed of seeds) {
      for (const id of incidents) {
        progress.show(`set ${set} seed ${seed} ${id} under virtual time`);
        runs.push(...simulateOne(id, set, seed));
      }
    }
  }
  return runs;
}

function simulateOne(id: string, set: ScriptSet, seed: number): Run[] {
  const incident = delayed(incidentOf(id, set, seed), LEAD_IN_SECONDS);
  const fixed = { incident, seed, keepsAnswers: true, predictionAt: () => undefined };
  const run = (contestant: string, { record }: SimResult): Run => {
    const figures = accountFor(record);
    return { incident: id, title: incident.title, contestant, seed, set, figures, problem: null };
  };
  const auto = simulate({ ...fixed, top: AUTO });
  const until = Math.floor(incident.failsAt ?? incident.seconds);
  const shuffled = shuffledPredictions(auto.predicted, until, seededRandom(seed ^ 0x5_4ff));
  const calm = auto.predicted[Math.floor(LEAD_IN_SECONDS / 2)];
  return [
    run('auto', auto),
    run('off', simulate({ ...fixed, top: OFF })),
    run('shuffled', simulate({ ...fixed, top: AUTO, predictionAt: shuffled })),
    run('calm', simulate({ ...fixed, top: AUTO, predictionAt: () => calm })),
  ];
}

/**
 * Bad requests over all incidents: what prediction is worth, and what the same predictions at other times are. Off has no
 * planner at all; calm has one that foresees nothing.
 */
export function controlTable(runs: readonly Run[], set: ScriptSet): Table {
  const ofSet = runs.filter((run) => run.set === set);
  const seeds = [...new Set(ofSet.map(({ seed }) => seed))];
  const badOf = (contestant: string): number[] =>
    seeds.map((seed) =>
      ofSet
        .filter((run) => run.contestant === contestant && run.seed === seed)
        .reduce((sum, { figures }) => sum + (figures?.bad ?? 0), 0),
    );
  const rows = ['auto', 'off', 'shuffled', 'calm'].map((contestant) => {
    const bad = badOf(contestant);
    return [contestant, String(Math.round(median(bad))), String(Math.max(...bad))];
  });
  return {
    title: `Set ${set}, all incidents: predictions at their time, none, and the same at other times`,
    columns: [
      { title: 'predictions', align: 'left' },
      { title: 'bad, median', align: 'right' },
      { title: 'worst', align: 'right' },
    ],
    rows,
    notes: ['shuffled must do no better than off, nor than calm.'],
  };
}
