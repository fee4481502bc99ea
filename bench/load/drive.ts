// `drive`: the load tester's tool. Sends a plan's requests to one URL and reports rates, percentiles,
// failures and, for a process of this machine, CPU per request.

import type { Clock } from '../../src/core/clock.ts';
import { formatOrigin } from '../report/machine.ts';
import { openProgress } from '../report/progress.ts';
import { RESULTS_FOLDER, type ResultHead, resultHead, writeResult } from '../report/result-file.ts';
import { formatFigure, formatMicros, formatTable } from '../report/table.ts';
import { type DriveOptions, parseDriveOptions } from './drive-options.ts';
import { type DriveMeasure, driveData, driveSections } from './drive-report.ts';
import { readTreeUsage } from './proc-stat.ts';
import type { SenderInterval, SenderResult } from './sender/plan.ts';
import { runSenders } from './sender/run-senders.ts';

const BENCH = 'load-drive';

/** Exit code: 0, or 1 when the run failed or a limit of the user's was passed. */
export async function drive(args: readonly string[], clock: Clock): Promise<number> {
  const options = await parseDriveOptions(args);
  if (options.isRemote) {
    process.stderr.write(`Warning: ${options.url.host} is not this machine; it now gets real load.\n`);
  }
  const head = resultHead(BENCH, args, clock);
  const measure = await run(options, head);
  if (typeof measure === 'string') {
    process.stderr.write(`The run failed: ${measure}\n`);
    return 1;
  }
  report(options, measure);
  return judge(options, measure.result);
}

async function run(options: DriveOptions, head: ResultHead): Promise<DriveMeasure | string> {
  const before = options.pid === null ? null : readTreeUsage(options.pid);
  if (options.pid !== null && before === null) return `--pid ${options.pid}: no such process in /proc`;
  const progress = openProgress();
  const totalMs = options.plan.durationMs;
  progress.show(`connecting ${options.plan.connections} times to ${options.url.host}`);
  const senders = runSenders(options.plan, options.threads, (interval) => {
    progress.show(progressLine(interval, totalMs));
  });
  process.once('SIGINT', senders.stop);
  const outcome = await senders.outcome;
  process.off('SIGINT', senders.stop);
  progress.clear();
  if (outcome.kind === 'failed') return outcome.why;
  const after = options.pid === null ? null : readTreeUsage(options.pid);
  const usage =
    before === null || after === null
      ? null
      : { cpuMicros: after.cpuMicros - before.cpuMicros, rssBytes: after.rssBytes };
  return { result: outcome.result, intervals: outcome.intervals, usage, head };
}

function progressLine(interval: SenderInterval, totalMs: number): string {
  const seconds = (interval.atMs / 1000).toFixed(0);
  const of = (totalMs / 1000).toFixed(0);
  const p = (share: number): string => formatMicros(interval.latency.percentile(share));
  const latency = interval.latency.count === 0 ? 'no answer' : `p50 ${p(50)}  p99 ${p(99)}`;
  const failed = interval.failed === 0 ? '' : `  ${interval.failed} failed`;
  return `${seconds}/${of} s  ${formatFigure(interval.answered)} answers  ${latency}${failed}`;
}

function report(options: DriveOptions, measure: DriveMeasure): void {
  const { head } = measure;
  const sections = driveSections(options, measure);
  const data = driveData(options, measure);
  if (options.json) process.stdout.write(`${JSON.stringify({ ...head, ...data }, null, 2)}\n`);
  else {
    process.stdout.write(`${formatOrigin(head.machine, head.commit)}\n\n`);
    for (const { table } of sections)
      if (table !== undefined) process.stdout.write(`${formatTable(table)}\n`);
  }
  const files = writeResult({
    head,
    title: `Load on ${options.url.host}`,
    folder: options.out ?? RESULTS_FOLDER,
    data,
    sections,
  });
  process.stderr.write(`${files.json}\n${files.html}\n`);
}

function judge(options: DriveOptions, result: SenderResult): number {
  const { maxP99Ms, maxErrors } = options;
  const complaints: string[] = [];
  const p99Ms = result.latency.percentile(99) / 1000;
  if (maxP99Ms !== null && p99Ms > maxP99Ms)
    complaints.push(`p99 is ${p99Ms} ms, above --max-p99 ${maxP99Ms} ms`);
  const errors = countErrors(result);
  if (maxErrors !== null && errors > maxErrors)
    complaints.push(`${errors} errors, above --max-errors ${maxErrors}`);
  for (const complaint of complaints) process.stderr.write(`${complaint}\n`);
  return complaints.length > 0 || result.counts.answered === 0 ? 1 : 0;
}

/** Requests without an answer, and answers that say that the server side failed. */
function countErrors(result: SenderResult): number {
  const { failures, statuses, unsent } = result.counts;
  const failed = Object.values(failures).reduce((sum, count) => sum + count, 0);
  const serverErrors = Object.entries(statuses)
    .filter(([status]) => Number(status) >= 500)
    .reduce((sum, [, count]) => sum + count, 0);
  return failed + serverErrors + unsent;
}
