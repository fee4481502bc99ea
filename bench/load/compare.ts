// `compare`: runs the planned measurements and hands them to the report. A proxy that is missing, does
// not start or answers wrongly is left out and named with the reason; the others go on.

import { availableParallelism } from 'node:os';
import type { Clock } from '../../src/core/clock.ts';
import { formatOrigin } from '../report/machine.ts';
import { openProgress } from '../report/progress.ts';
import { RESULTS_FOLDER, type ResultHead, resultHead, writeResult } from '../report/result-file.ts';
import { formatTable } from '../report/table.ts';
import { endChildrenOnSignals } from './child-process.ts';
import { type CompareOptions, parseCompareOptions } from './compare-options.ts';
import {
  estimateSeconds,
  type Measurement,
  type PlannedRun,
  planRuns,
  type Subject,
} from './compare-plan.ts';
import { type Absence, type CompareResult, compareData, compareSections } from './compare-report.ts';
import type { FeaturePair } from './feature-cost.ts';
import { chooseGenerator, type LoadGenerator } from './load-generator.ts';
import { checkAnswer, measure } from './measure.ts';
import { estimateFeatureSeconds, measureFeatures } from './measure-features.ts';
import { HEADLINE } from './proxies/catalogue.ts';
import { FEATURES, probeFeatures } from './proxies/foreshard.ts';
import { makeRunFolder, type Origin, type RunningProxy, startOrigin, startProxy } from './rig.ts';

export { COMPARE_HELP } from './compare-options.ts';

const BENCH = 'load-compare';
/** The sharded job hashes over three; the plain one takes the first. */
const ORIGIN_PORTS = 3;
/** Before each measurement: fills connection pools, lets the caches settle. */
const WARM_UP_SECONDS = 1;
/** Before the first of a process: Node and its compiler need some ten thousand requests. */
const FIRST_WARM_UP_SECONDS = 3;

interface Rig {
  readonly options: CompareOptions;
  readonly clock: Clock;
  readonly folder: string;
  readonly origin: Origin;
  readonly generator: LoadGenerator;
  /** Presence of each proxy, looked up once. */
  readonly versions: Map<string, string>;
  readonly absences: Map<string, Absence>;
  readonly show: (text: string) => void;
  /** The user wants the figures so far, and no more. */
  readonly isInterrupted: () => boolean;
}

/** Exit code: 0, or 1 when nothing could be measured. */
export async function compare(args: readonly string[], clock: Clock): Promise<number> {
  // Wrong use is told before anything is started; only Foreshard is asked what it has.
  const wanted = parseCompareOptions(args, FEATURES);
  const head = resultHead(BENCH, args, clock);
  let interrupted = false;
  endChildrenOnSignals(() => {
    interrupted = true;
  });
  const features = namesForeshard(wanted) ? await probeFeatures() : { built: [], missing: [] };
  const options = parseCompareOptions(args, features.built);
  const progress = openProgress();
  const folder = makeRunFolder();
  const generator = await chooseGenerator(folder);
  const workers = Math.max(1, Math.floor(availableParallelism() / 2));
  const origin = await startOrigin({ ports: ORIGIN_PORTS, workers, folder, clock });
  const rig: Rig = {
    options,
    clock,
    folder,
    origin,
    generator,
    versions: new Map(),
    absences: new Map(
      features.missing.map(({ feature, why }) => [feature.id, { what: `feature ${feature.id}`, why }]),
    ),
    show: (text) => progress.show(text),
    isInterrupted: () => interrupted,
  };
  const { measurements, pairs } = await runAll(rig).finally(() => origin.process.stop());
  progress.clear();
  const result: CompareResult = {
    options,
    measurements,
    generator: generator.title,
    origin: origin.title,
    versions: Object.fromEntries(rig.versions),
    absences: [...rig.absences.values()],
    pairs,
  };
  report(result, head);
  return measurements.length > 0 ? 0 : 1;
}

function namesForeshard(options: CompareOptions): boolean {
  return options.sections.some((section) => section.subjects.some((subject) => subject.id === HEADLINE));
}

function report(result: CompareResult, head: ResultHead): void {
  const sections = compareSections(result);
  const data = compareData(result);
  const { json, out } = result.options;
  if (json) process.stdout.write(`${JSON.stringify({ ...head, ...data }, null, 2)}\n`);
  else {
    process.stdout.write(`${formatOrigin(head.machine, head.commit)}\n\n`);
    for (const { table } of sections)
      if (table !== undefined) process.stdout.write(`${formatTable(table)}\n`);
  }
  const title = 'Foreshard: load side by side';
  const files = writeResult({ head, title, folder: out ?? RESULTS_FOLDER, data, sections });
  process.stderr.write(`${files.json}\n${files.html}\n`);
}

async function runAll(rig: Rig): Promise<Pick<CompareResult, 'measurements' | 'pairs'>> {
  const { sections, rounds, seconds, features } = rig.options;
  const runs = planRuns(sections, rounds);
  const totalSeconds =
    estimateSeconds(runs, seconds, WARM_UP_SECONDS) +
    runs.length * (FIRST_WARM_UP_SECONDS - WARM_UP_SECONDS) +
    estimateFeatureSeconds(features.length, rounds);
  rig.show(`${runs.length} runs with ${rig.generator.title}, about ${(totalSeconds / 60).toFixed(1)} min`);
  const measurements: Measurement[] = [];
  for (const [i, run] of runs.entries()) {
    if (rig.isInterrupted()) break;
    if (!(await isPresent(rig, run.subject))) continue;
    const label = `${i + 1}/${runs.length} round ${run.round + 1}, ${run.section.title}: ${run.subject.id}`;
    rig.show(label);
    measurements.push(...(await runOne(rig, run, label)));
  }
  const ran = measurements.some((one) => one.subject === HEADLINE);
  return { measurements, pairs: ran && features.length > 0 ? await runFeatures(rig) : [] };
}

async function runFeatures(rig: Rig): Promise<readonly FeaturePair[]> {
  const { options, origin, folder, clock, show, isInterrupted } = rig;
  const { features, rounds, connections, featureCase } = options;
  const { pairs, failures } = await measureFeatures({
    features,
    rounds,
    show,
    isInterrupted,
    start: (definition) =>
      startProxy(definition, { origins: origin.ports, workers: 1, job: 'sharded', folder, clock }),
    load: (proxy, seconds) =>
      measure({
        url: proxy.url,
        process: proxy.process,
        case: featureCase,
        connections,
        seconds,
        generator: rig.generator,
        clock,
        cores: availableParallelism(),
      }),
  });
  for (const failure of failures) rig.absences.set(failure.what, failure);
  return pairs;
}

async function isPresent(rig: Rig, subject: Subject): Promise<boolean> {
  if (rig.absences.has(subject.id)) return false;
  if (subject.kind === 'direct' || rig.versions.has(subject.id)) return true;
  const presence = await subject.definition.presence();
  if (presence.kind === 'present') {
    rig.versions.set(subject.id, presence.version);
    return true;
  }
  rig.absences.set(subject.id, { what: subject.id, why: presence.why });
  return false;
}

/** All cases of a section on one start of one proxy. */
async function runOne(rig: Rig, run: PlannedRun, label: string): Promise<Measurement[]> {
  const proxy = await start(rig, run);
  if (proxy === null) return [];
  const measurements: Measurement[] = [];
  try {
    for (const [i, one] of run.section.cases.entries()) {
      rig.show(`${label}, ${one.title}`);
      const target = { url: proxy.url, process: proxy.process, case: one, cores: availableParallelism() };
      const { connections, seconds } = rig.options;
      const shared = { ...target, connections, generator: rig.generator, clock: rig.clock };
      const wrong = await checkAnswer(proxy.url, one);
      const warmUpSeconds = i === 0 ? FIRST_WARM_UP_SECONDS : WARM_UP_SECONDS;
      const warm = wrong === null ? await measure({ ...shared, seconds: warmUpSeconds }) : null;
      const outcome = warm?.kind === 'done' ? await measure({ ...shared, seconds }) : warm;
      if (outcome?.kind === 'done') {
        const where = { section: run.section.id, round: run.round, subject: run.subject.id, case: one.id };
        measurements.push({ ...where, ...outcome.measurement });
        continue;
      }
      // Ctrl-C reaches the proxy too: that it ended says nothing about it.
      if (rig.isInterrupted()) break;
      const what = `${run.subject.id}, ${run.section.title}, ${one.title}`;
      rig.absences.set(what, { what, why: wrong ?? outcome?.why ?? 'unknown' });
      if (proxy.process.hasExited()) break;
    }
  } finally {
    await proxy.stop();
  }
  return measurements;
}

async function start(rig: Rig, run: PlannedRun): Promise<RunningProxy | null> {
  const { section, subject } = run;
  const { origin, folder, clock } = rig;
  if (subject.kind === 'direct') {
    const url = `http://127.0.0.1:${origin.ports[0]}`;
    return { url, process: origin.process, stop: async () => undefined };
  }
  const origins = section.job === 'plain' ? origin.ports.slice(0, 1) : origin.ports;
  const outcome = await startProxy(subject.definition, {
    origins,
    workers: section.workers,
    job: section.job,
    folder,
    clock,
  });
  if (outcome.kind === 'started') return outcome.proxy;
  if (!rig.isInterrupted()) rig.absences.set(subject.id, { what: subject.id, why: outcome.why });
  return null;
}
