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
import { type CompareOptions, FEATURE_SECTION } from './compare-options.ts';
import type { Case, Measurement, Section } from './compare-plan.ts';
import { HEADLINE } from './proxies/catalogue.ts';
import type { Feature } from './proxies/foreshard.ts';

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
  readonly features: readonly Feature[];
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
  const features = options.sections.some((section) => section.id === FEATURE_SECTION)
    ? featureCosts(result).map(({ feature, deltas }) => ({ feature: feature.id, cpuMicros: deltas }))
    : [];
  return {
    settings: { rounds, seconds, connections },
    generator: result.generator,
    origin: result.origin,
    versions: result.versions,
    notMeasured: result.absences,
    summaries,
    features,
    measurements,
  };
}

export function compareSections(result: CompareResult): PageSection[] {
  const plain = result.options.sections.filter((section) => section.id !== FEATURE_SECTION);
  const parts = plain.flatMap((section) =>
    section.cases.map((one) => caseSection(result, section, one)).filter((part) => part !== null),
  );
  const features = result.options.sections.find((section) => section.id === FEATURE_SECTION);
  return [
    ...(plain[0] === undefined || plain[0].cases.length < 2 ? [] : [{ table: overview(result, plain[0]) }]),
    ...parts,
    ...(features === undefined ? [] : featureSections(result)),
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

interface FeatureCost {
  readonly feature: Feature;
  /** With everything on minus with the feature off, one figure a round: both ran within a minute. */
  readonly deltas: readonly number[];
}

export function featureCosts(result: Pick<CompareResult, 'measurements' | 'features'>): FeatureCost[] {
  const inSection = result.measurements.filter((one) => one.section === FEATURE_SECTION);
  const whole = inSection.filter((one) => one.subject === HEADLINE);
  return result.features
    .map((feature) => {
      const without = inSection.filter((one) => one.subject === `${HEADLINE}-no-${feature.id}`);
      const deltas = without.flatMap((one) => {
        const partner = whole.find((other) => other.round === one.round && other.case === one.case);
        return partner === undefined ? [] : [partner.cpuMicrosPerRequest - one.cpuMicrosPerRequest];
      });
      return { feature, deltas };
    })
    .filter((cost) => cost.deltas.length > 0);
}

function featureSections(result: CompareResult): PageSection[] {
  const costs = featureCosts(result);
  if (costs.length === 0) return [];
  const level = (subject: string): number =>
    median(
      result.measurements
        .filter((one) => one.section === FEATURE_SECTION && one.subject === subject)
        .map((one) => one.cpuMicrosPerRequest),
    );
  const rows = costs.map(({ feature, deltas }) => [
    feature.id,
    feature.title,
    formatFigure(median(deltas)),
    `${formatFigure(Math.min(...deltas))}..${formatFigure(Math.max(...deltas))}`,
  ]);
  return [
    {
      table: {
        title: 'What each feature of Foreshard costs: CPU us per request, all on minus this one off',
        columns: [left('feature'), left('switched'), right('us/req'), right('range')],
        rows,
        notes: [
          `Everything on: ${formatFigure(level(HEADLINE))} us per request; everything off: ${formatFigure(level(`${HEADLINE}-bare`))}.`,
          'A range across 0 means that the cost is smaller than the noise.',
        ],
      },
    },
  ];
}

function conditions(result: CompareResult): Table {
  return {
    title: 'What ran',
    columns: [left('part'), left('version')],
    rows: [
      ['generator', result.generator],
      ['origin', result.origin],
      ...Object.entries(result.versions).filter(([id]) => !id.startsWith(`${HEADLINE}-`)),
    ],
    notes: [
      'RSS: after the case, in a process that went through the cases above it in the same round.',
      // What keeps Foreshard itself from running keeps its variants too.
      ...result.absences
        .filter(
          ({ what, why }) =>
            !result.absences.some((one) => one.what === HEADLINE && one.why === why && what !== HEADLINE),
        )
        .map(({ what, why }) => `Not measured: ${what}: ${why}`),
    ],
  };
}
