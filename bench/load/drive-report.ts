// Tables, plots and data of a `drive` run. Pure.

import type { RecordableHistogram } from 'node:perf_hooks';
import type { LineChart } from '../report/chart.ts';
import type { PageSection } from '../report/page.ts';
import type { ResultHead } from '../report/result-file.ts';
import { formatFigure, formatMebibytes, formatMicros, type Table } from '../report/table.ts';
import type { DriveOptions } from './drive-options.ts';
import type { SenderInterval, SenderPlan, SenderResult } from './sender/plan.ts';

export interface DriveMeasure {
  readonly result: SenderResult;
  readonly intervals: readonly SenderInterval[];
  /** Of --pid. */
  readonly usage: { readonly cpuMicros: number; readonly rssBytes: number } | null;
  readonly head: ResultHead;
}

const PERCENTILES = [50, 75, 90, 95, 99, 99.9, 99.99] as const;

/** Percentile -> microseconds, with the mean, the greatest and the count that they are of. */
function latencySummary(histogram: RecordableHistogram): Record<string, number> {
  const at = PERCENTILES.map((p) => [`p${p}`, histogram.percentile(p)] as const);
  const { count, mean, max } = histogram;
  return {
    count,
    mean: count === 0 ? 0 : Math.round(mean),
    ...Object.fromEntries(at),
    max: count === 0 ? 0 : max,
  };
}

/** Points of the percentile curve down to the single slowest request, HdrHistogram's steps. */
function percentileCurve(histogram: RecordableHistogram): [percentile: number, micros: number][] {
  if (histogram.count === 0) return [];
  return [...histogram.percentiles].filter(([p]) => p < 100).toSorted(([a], [b]) => a - b);
}

export function driveData(options: DriveOptions, measure: DriveMeasure): Record<string, unknown> {
  const { result, usage } = measure;
  return {
    url: options.url.href,
    threads: options.threads,
    plan: describePlan(options.plan),
    elapsedMs: result.elapsedMs,
    ratePerSecond: (result.counts.answered * 1000) / result.elapsedMs,
    counts: result.counts,
    latencyMicros: latencySummary(result.latency),
    serviceMicros: latencySummary(result.service),
    ...(result.refusal.count === 0 ? {} : { refusalMicros: latencySummary(result.refusal) }),
    ...(options.plan.rate === null ? {} : { senderLagMicros: latencySummary(result.lag) }),
    ...(usage === null
      ? {}
      : { cpuMicrosPerRequest: usage.cpuMicros / result.counts.answered, rssBytes: usage.rssBytes }),
    percentileCurve: percentileCurve(result.latency),
    intervals: measure.intervals.map((interval) => ({
      atMs: Math.round(interval.atMs),
      answered: interval.answered,
      failed: interval.failed,
      refused: interval.refused,
      latencyMicros: latencySummary(interval.latency),
    })),
  };
}

/** Without `target`, which the URL says, and with an open end written so that JSON can hold it. */
function describePlan(plan: SenderPlan): Record<string, unknown> {
  const { target: _target, phase: _phase, requests, ...rest } = plan;
  return { ...rest, requests: Number.isFinite(requests) ? requests : null };
}

export function driveSections(options: DriveOptions, measure: DriveMeasure): PageSection[] {
  const { result } = measure;
  const sections: PageSection[] = [
    { table: summaryTable(options, measure) },
    { table: latencyTable(options.plan, result), charts: [curveChart(options.plan, result)] },
    { charts: timelineCharts(measure.intervals) },
  ];
  if (options.plan.countBy !== null) sections.push({ table: groupTable(options.plan, result) });
  return sections;
}

function summaryTable(options: DriveOptions, measure: DriveMeasure): Table {
  const { plan } = options;
  const { result, usage } = measure;
  const { counts } = result;
  const loop =
    plan.rate === null ? 'closed loop' : `open loop, ${formatFigure(plan.rate)}/s ${plan.arrivals}`;
  const failures = Object.entries(counts.failures).filter(([, count]) => count > 0);
  const perSecond = (counts.answered * 1000) / result.elapsedMs;
  const rows: string[][] = [
    ['load', `${loop}, ${plan.connections} connections, ${options.threads} thread(s)`],
    ['elapsed', `${(result.elapsedMs / 1000).toFixed(2)} s`],
    ['answered', `${counts.answered} of ${counts.sent} sent (${formatFigure(perSecond)}/s)`],
    ['statuses', listCounts(Object.entries(counts.statuses))],
    ['no answer', failures.length === 0 ? 'none' : listCounts(failures)],
    ['body bytes', `${formatMebibytes(counts.bodyBytes)} MiB`],
  ];
  if (counts.unsent > 0) rows.push(['never sent', `${counts.unsent} were due, but no connection was free`]);
  if (usage !== null) {
    rows.push(
      ['CPU', `${formatFigure(usage.cpuMicros / counts.answered)} us per request (pid ${options.pid})`],
      ['memory', `${formatMebibytes(usage.rssBytes)} MiB`],
    );
  }
  return {
    title: `${plan.kinds.map((kind) => kind.method).join(', ')} ${options.url.href}`,
    columns: [
      { title: '', align: 'left' },
      { title: '', align: 'left' },
    ],
    rows,
    notes: [],
  };
}

function listCounts(entries: readonly (readonly [string, number])[]): string {
  return entries.map(([name, count]) => `${name}: ${count}`).join(', ') || 'none';
}

function latencyTable(plan: SenderPlan, result: SenderResult): Table {
  const row = (title: string, histogram: RecordableHistogram): string[] => [
    title,
    ...PERCENTILES.map((p) => formatMicros(histogram.count === 0 ? Number.NaN : histogram.percentile(p))),
    formatMicros(histogram.count === 0 ? Number.NaN : histogram.max),
  ];
  const open = plan.rate !== null;
  const refusals = result.refusal.count === 0 ? [] : [row('of 503s, from sending', result.refusal)];
  return {
    title: 'Latency',
    columns: [
      { title: '', align: 'left' },
      ...PERCENTILES.map((p) => ({ title: `p${p}`, align: 'right' as const })),
      { title: 'max', align: 'right' },
    ],
    rows: open
      ? [
          row('from due time', result.latency),
          row('from sending', result.service),
          ...refusals,
          row("sender's own lag", result.lag),
        ]
      : [row('from sending', result.latency), ...refusals],
    notes: open
      ? ['From due time: what a user waits. The lag is the part of it that this sender caused itself.']
      : [
          'Closed loop: a slow answer delays the next request, so that the tail is too good. For tails: --rate.',
        ],
  };
}

function groupTable(plan: SenderPlan, result: SenderResult): Table {
  const { header, member } = plan.countBy!;
  const groups = Object.entries(result.counts.groups).toSorted(([, a], [, b]) => b - a);
  const total = groups.reduce((sum, [, count]) => sum + count, 0);
  return {
    title: `Answers by ${member === '' ? header : `${header}:${member}`}`,
    columns: [
      { title: 'value', align: 'left' },
      { title: 'answers', align: 'right' },
      { title: 'share', align: 'right' },
    ],
    rows: groups.map(([name, count]) => [name, String(count), `${((100 * count) / total).toFixed(2)}%`]),
    notes: [],
  };
}

function curveChart(plan: SenderPlan, result: SenderResult): LineChart {
  const curve = (histogram: RecordableHistogram): [number, number][] =>
    percentileCurve(histogram).map(([p, micros]) => [p, micros / 1000]);
  const lines =
    plan.rate === null
      ? [{ label: 'from sending', points: curve(result.latency) }]
      : [
          { label: 'from due time', points: curve(result.latency) },
          { label: 'from sending', points: curve(result.service) },
          { label: "sender's own lag", points: curve(result.lag) },
        ];
  return {
    kind: 'lines',
    title: 'Latency by percentile',
    xTitle: 'percentile',
    yTitle: 'ms',
    xScale: 'percentile',
    lines,
  };
}

function timelineCharts(intervals: readonly SenderInterval[]): LineChart[] {
  let previousMs = 0;
  const rates = intervals.map((interval): [number, number] => {
    const seconds = (interval.atMs - previousMs) / 1000;
    previousMs = interval.atMs;
    return [interval.atMs / 1000, seconds > 0 ? interval.answered / seconds : 0];
  });
  const at = (p: number): [number, number][] =>
    intervals
      .filter((interval) => interval.latency.count > 0)
      .map((interval) => [interval.atMs / 1000, interval.latency.percentile(p) / 1000]);
  const axis = { kind: 'lines', xTitle: 'seconds', xScale: 'linear' } as const;
  return [
    { ...axis, title: 'Answers per second', yTitle: '1/s', lines: [{ label: 'answers', points: rates }] },
    {
      ...axis,
      title: 'Latency over time',
      yTitle: 'ms',
      lines: [50, 90, 99].map((p) => ({ label: `p${p}`, points: at(p) })),
    },
  ];
}
