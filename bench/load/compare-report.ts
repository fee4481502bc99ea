// Tables, plots and data of `compare`. Medians over the rounds; the range beside the figure that counts.
// Pure.

import type { BarChart } from '../report/chart.ts';
import type { PageSection } from '../report/page.ts';
import {
  type Column,
  formatFigure,
  formatMebibytes,
  formatMicros,
  median,
  type Table,
} from '../report/table.ts';
import type { CompareOptions } from './compare-options.ts';
import type { Case, Measurement, Section } from './compare-plan.ts';
import { type FeaturePair, featureCosts, featureSection } from './feature-cost.ts';
import { HEADLINE } from './proxies/catalogue.ts';
import { targetTable } from './targets.ts';

/** Something that was asked for and not measured. */
export interface Absence {
  readonly what: string;
  readonly why: string;
}

export interface CompareResult {
  readonly options: CompareOptions;
  readonly measurements: readonly Measurement[];
  readonly generator: string;
  readonly origin: string;
  readonly versions: Readonly<Record<string, string>>;
  readonly absences: readonly Absence[];
  readonly pairs: readonly FeaturePair[];
}

interface Summary {
  readonly section: string;
  readonly case: string;
  readonly subject: string;
  readonly rounds: number;
  readonly cpuMicrosPerRequest: { readonly median: number; readonly low: number; readonly high: number };
  readonly requestsPerSecond: number;
  readonly p50Micros: number;
  readonly p99Micros: number;
  readonly rssBytes: number;
  /** Sums over the rounds. */
  readonly errors: number;
  readonly badStatuses: number;
  readonly foreignCpuShare: number;
}

/** Null when the subject has no measurement of that case. */
export function summarise(
  measurements: readonly Measurement[],
  section: string,
  caseId: string,
  subject: string,
): Summary | null {
  const rounds = measurements.filter(
    (one) => one.section === section && one.case === caseId && one.subject === subject,
  );
  if (rounds.length === 0) return null;
  const middle = (pick: (one: Measurement) => number): number => median(rounds.map(pick));
  const sum = (pick: (one: Measurement) => number): number =>
    rounds.reduce((total, one) => total + pick(one), 0);
  const cpu = rounds.map((one) => one.cpuMicrosPerRequest);
  return {
    section,
    case: caseId,
    subject,
    rounds: rounds.length,
    cpuMicrosPerRequest: { median: median(cpu), low: Math.min(...cpu), high: Math.max(...cpu) },
    requestsPerSecond: middle((one) => one.requestsPerSecond),
    p50Micros: middle((one) => one.p50Micros),
    p99Micros: middle((one) => one.p99Micros),
    rssBytes: middle((one) => one.rssBytes),
    errors: sum((one) => one.errors),
    badStatuses: sum((one) => one.badStatuses),
    foreignCpuShare: middle((one) => one.foreignCpuShare),
  };
}

function summariesOf(result: CompareResult, section: Section, one: Case): Summary[] {
  return section.subjects
    .map((subject) => summarise(result.measurements, section.id, one.id, subject.id))
    .filter((summary) => summary !== null);
}

export function compareData(result: CompareResult): Record<string, unknown> {
  const { options, measurements } = result;
  const { rounds, seconds, connections } = options;
  const summaries = options.sections.flatMap((section) =>
    section.cases.flatMap((one) => summariesOf(result, section, one)),
  );
  return {
    settings: { rounds, seconds, connections },
    generator: result.generator,
    origin: result.origin,
    versions: result.versions,
    notMeasured: result.absences,
    summaries,
    featureCosts: featureCosts(result.pairs, options.features),
    featurePairs: result.pairs,
    measurements,
  };
}

export function compareSections(result: CompareResult): PageSection[] {
  const { sections, features, featureCase } = result.options;
  const parts = sections.flatMap((section) =>
    section.cases.map((one) => caseSection(result, section, one)).filter((part) => part !== null),
  );
  const [first] = sections;
  const targets = targetTable(result.measurements, sections);
  return [
    ...(targets === null ? [] : [{ table: targets }]),
    ...(first === undefined || first.cases.length < 2 ? [] : [{ table: overview(result, first) }]),
    ...parts,
    ...(result.pairs.length === 0 ? [] : [featureSection(result.pairs, features, featureCase.title)]),
    { table: conditions(result) },
  ];
}

const left = (title: string): Column => ({ title, align: 'left' });
const right = (title: string): Column => ({ title, align: 'right' });

/** One row a proxy, one column a case: CPU alone. */
function overview(result: CompareResult, section: Section): Table {
  const cases = section.cases.filter((one) => one.rate === null);
  const rows = section.subjects.map((subject) => [
    subject.id,
    ...cases.map((one) => {
      const summary = summarise(result.measurements, section.id, one.id, subject.id);
      return summary === null ? '-' : formatFigure(summary.cpuMicrosPerRequest.median);
    }),
  ]);
  return {
    title: `CPU microseconds per request, ${section.title}`,
    columns: [left('proxy'), ...cases.map((one) => right(one.title))],
    rows: rows.filter((row) => row.slice(1).some((cell) => cell !== '-')),
    notes: [],
  };
}

function caseSection(result: CompareResult, section: Section, one: Case): PageSection | null {
  const summaries = summariesOf(result, section, one);
  const [first] = summaries.filter((summary) => summary.subject !== 'no proxy');
  if (first === undefined) return null;
  const base = first.cpuMicrosPerRequest.median;
  const rows = summaries.map((summary) => {
    const { median: cpu, low, high } = summary.cpuMicrosPerRequest;
    return [
      summary.subject,
      formatFigure(cpu),
      `${formatFigure(low)}..${formatFigure(high)}`,
      (cpu / base).toFixed(2),
      formatFigure(summary.requestsPerSecond),
      formatMicros(summary.p50Micros),
      formatMicros(summary.p99Micros),
      formatMebibytes(summary.rssBytes),
      summary.errors + summary.badStatuses === 0 ? '0' : `${summary.errors}+${summary.badStatuses} !`,
    ];
  });
  const { rounds, seconds, connections } = result.options;
  const foreign = median(summaries.map((summary) => summary.foreignCpuShare));
  const table: Table = {
    title: `${one.title}, ${section.title}, ${connections} connections`,
    columns: [
      left('proxy'),
      right('CPU us/req'),
      right('range'),
      right(`x ${first.subject}`),
      right('req/s'),
      right('p50'),
      right('p99'),
      right('RSS MiB'),
      right('errors'),
    ],
    rows,
    notes: [
      `Medians of ${rounds} round(s) of ${seconds} s. Errors: no answer + wrong status, over all rounds.`,
      ...(Number.isFinite(foreign)
        ? [`Other processes took ${(100 * foreign).toFixed(0)} % of the machine.`]
        : []),
      ...(one.rate === null
        ? ['Each at its own limit: p50 and p99 are mostly the queue of the connections.']
        : ['Open loop: latencies from the time each request was due.']),
    ],
  };
  return { table, charts: [cpuChart(table.title, summaries)] };
}

function cpuChart(title: string, summaries: readonly Summary[]): BarChart {
  return {
    kind: 'bars',
    title: `CPU per request: ${title}`,
    unit: 'us',
    bars: summaries.map((summary) => ({
      label: summary.subject,
      value: summary.cpuMicrosPerRequest.median,
      accent: summary.subject === HEADLINE,
      ...(summary.rounds > 1
        ? { low: summary.cpuMicrosPerRequest.low, high: summary.cpuMicrosPerRequest.high }
        : {}),
    })),
  };
}

function conditions(result: CompareResult): Table {
  return {
    title: 'What ran',
    columns: [left('part'), left('version')],
    rows: [['generator', result.generator], ['origin', result.origin], ...Object.entries(result.versions)],
    notes: [
      'RSS: after the case, in a process that went through the cases above it in the same round.',
      ...result.absences.map(({ what, why }) => `Not measured: ${what}: ${why}`),
    ],
  };
}
