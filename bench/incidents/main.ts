// npm run bench:incidents: the proof. Every contestant meets every incident, on the same script, seed and traffic.

import { systemClock } from '../../src/core/clock.ts';
import { endChildrenOnSignals } from '../load/child-process.ts';
import { WrongUse } from '../load/command-line.ts';
import { makeRunFolder } from '../load/rig.ts';
import { describeCommit, describeMachine, formatOrigin } from '../report/machine.ts';
import { openProgress } from '../report/progress.ts';
import { type ResultHead, resultHead, writeResult } from '../report/result-file.ts';
import { formatTable, type Table } from '../report/table.ts';
import { accountFor } from './account.ts';
import { incidentOf } from './catalogue.ts';
import { CONTESTANTS } from './contestants/catalogue.ts';
import type { Contestant } from './contestants/contestant.ts';
import { judge, verdictTable } from './goals.ts';
import { HELP, type Options, parseOptions } from './options.ts';
import { incidentTable, type Run, type ScriptSet, voidReason } from './report.ts';
import type { Incident } from './script.ts';
import { controlTable, simulateAll } from './sim/run.ts';
import { type HealthyDays, healthyDays, healthyTable } from './sim/week.ts';
import { prepareWorld } from './world.ts';

/** A maintenance is announced in a file before the start is known: by then all must be ready. */
const ANNOUNCE_MS = 45_000;
/** From the moment when all are ready: the client's process must be there. */
const COUNTDOWN_MS = 30_000;

interface Job {
  readonly incident: Incident;
  readonly set: ScriptSet;
  readonly seed: number;
  readonly contestants: readonly Contestant[];
}

async function main(args: readonly string[]): Promise<number> {
  const options = parseOptions(args);
  if (options === null) {
    process.stdout.write(HELP);
    return 0;
  }
  endChildrenOnSignals();
  const head = resultHead('incidents', args, systemClock);
  if (options.days > 0) return report(options, head, { days: playDays(options) });
  return report(options, head, { runs: options.sim ? playVirtual(options) : await play(options) });
}

interface Played {
  readonly runs?: readonly Run[];
  readonly days?: readonly HealthyDays[];
}

function report(options: Options, head: ResultHead, { runs = [], days = [] }: Played): number {
  const ofSet = (set: ScriptSet): Table[] => [
    incidentTable(runs, set),
    options.sim ? controlTable(runs, set) : verdictTable(judge(runs, set), set),
  ];
  const tables = days.length > 0 ? [healthyTable(days)] : options.sets.flatMap(ofSet);
  const verdicts = (options.sim ? [] : options.sets).flatMap((set) =>
    judge(runs, set).map((verdict) => ({ set, ...verdict })),
  );
  const files = writeResult({
    head,
    title: 'Incidents',
    folder: options.out,
    data: { runs, verdicts, days },
    sections: tables.map((table) => ({ table })),
  });
  if (options.json) process.stdout.write(`${JSON.stringify({ ...head, runs, verdicts, days }, null, 2)}\n`);
  else {
    process.stdout.write(`${formatOrigin(describeMachine(), describeCommit())}\n\n`);
    process.stdout.write(`${tables.map(formatTable).join('\n')}\n${files.json}\n`);
  }
  return verdicts.some(({ verdict }) => verdict === 'missed') ? 1 : 0;
}

function playVirtual(options: Options): Run[] {
  const progress = openProgress();
  const runs = simulateAll(options, progress);
  progress.clear();
  return runs;
}

function playDays({ days, seeds }: Options): HealthyDays[] {
  return seeds.map((seed) => healthyDays(days, seed));
}

async function play(options: Options): Promise<Run[]> {
  const jobs = jobsOf(options, await present(options.contestants));
  const progress = openProgress();
  const folder = makeRunFolder();
  const runs: Run[] = [];
  for (const [i, job] of jobs.entries()) {
    const { incident, contestants } = job;
    const names = contestants.map(({ id }) => id).join(', ');
    progress.show(
      `${i + 1}/${jobs.length}: set ${job.set} seed ${job.seed} ${incident.id} ${incident.title}: ${names}`,
    );
    runs.push(...(await playJob(job, folder, options.maxDelayMs)));
  }
  progress.clear();
  return runs;
}

/** All are made ready, then begin at the same moment. */
async function playJob(job: Job, folder: string, maxDelayMs: number): Promise<Run[]> {
  const { incident, seed, set, contestants } = job;
  const clock = systemClock;
  const announcedMs = clock.monotonicMs() + ANNOUNCE_MS;
  const ready = await Promise.all(
    contestants.map((contestant) =>
      prepareWorld({ incident, contestant, seed, startMs: announcedMs, folder, clock }),
    ),
  );
  const soonMs = clock.monotonicMs() + COUNTDOWN_MS;
  const startMs = incident.maintenanceAt === null ? soonMs : Math.max(soonMs, announcedMs);
  const played = contestants.map(async ({ id }, i): Promise<Run> => {
    const run = { incident: incident.id, title: incident.title, contestant: id, seed, set };
    const world = ready[i]!;
    const outcome = world.kind === 'ready' ? await world.play(startMs) : world;
    if (outcome.kind === 'failed') return { ...run, figures: null, problem: outcome.why };
    const figures = accountFor(outcome.record);
    const isLate = incident.maintenanceAt !== null && startMs > announcedMs;
    const problem = isLate
      ? 'void: the maintenance was announced too early'
      : voidReason(figures, maxDelayMs);
    return { ...run, figures, problem };
  });
  return Promise.all(played);
}

/** Contestants that this machine does not have are named and left out. */
async function present(ids: readonly string[]): Promise<Contestant[]> {
  const found: Contestant[] = [];
  for (const contestant of CONTESTANTS.filter(({ id }) => ids.includes(id))) {
    const presence = await contestant.presence();
    if (presence.kind === 'present') found.push(contestant);
    else process.stderr.write(`${contestant.id} is left out: ${presence.why}\n`);
  }
  return found;
}

/** Incident by incident, so that what a table compares was measured in the same minutes. */
function jobsOf({ incidents, sets, seeds, sideBySide }: Options, contestants: readonly Contestant[]): Job[] {
  const jobs: Job[] = [];
  for (const set of sets) {
    for (const seed of seeds) {
      for (const id of incidents) {
        const incident = incidentOf(id, set, seed);
        const taking = contestants.filter(({ only }) => only === undefined || only.includes(id));
        for (let from = 0; from < taking.length; from += sideBySide) {
          jobs.push({ incident, set, seed, contestants: taking.slice(from, from + sideBySide) });
        }
      }
    }
  }
  return jobs;
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof WrongUse)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 2;
}
