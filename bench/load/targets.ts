// What Foreshard may cost at most beside its rivals, and whether it does. Ratios are made within each round, in
// which all ran one after the other: what the machine does beside them falls on both sides. Pure.

import { median, type Table } from '../report/table.ts';
import type { Measurement, Section } from './compare-plan.ts';
import { HEADLINE } from './proxies/catalogue.ts';

interface Target {
  readonly case: string;
  readonly rival: string;
  /** Times the rival's CPU per request. */
  readonly most: number;
  /** What is wished for beyond; undefined = no more than `most`. */
  readonly aim?: number;
}

const TARGETS: readonly Target[] = [
  { case: 'get-1k', rival: 'nginx', most: 2.8, aim: 2.3 },
  { case: 'get-1k', rival: 'caddy', most: 0.8 },
  { case: 'get-1k', rival: 'http-proxy-3', most: 0.8 },
  { case: 'get-64k', rival: 'nginx', most: 1.7 },
  { case: 'get-1m', rival: 'nginx', most: 1 },
];

/** Ratio of CPU per request in each round in which both were measured. */
export function roundRatios(
  measurements: readonly Measurement[],
  where: { readonly section: string; readonly case: string; readonly rival: string },
): number[] {
  const own = measurements.filter(
    (one) => one.section === where.section && one.case === where.case && one.subject === HEADLINE,
  );
  return own.flatMap((mine) => {
    const theirs = measurements.find(
      (one) =>
        one.section === where.section &&
        one.case === where.case &&
        one.subject === where.rival &&
        one.round === mine.round,
    );
    const ratio = theirs === undefined ? Number.NaN : mine.cpuMicrosPerRequest / theirs.cpuMicrosPerRequest;
    return Number.isFinite(ratio) ? [ratio] : [];
  });
}

/** Null when nothing that a target is about was measured with one worker. */
export function targetTable(
  measurements: readonly Measurement[],
  sections: readonly Section[],
): Table | null {
  const section = sections.find(({ workers, job }) => workers === 1 && job === 'plain');
  if (section === undefined) return null;
  const rows = TARGETS.flatMap(({ case: caseId, rival, most, aim }) => {
    const ratios = roundRatios(measurements, { section: section.id, case: caseId, rival });
    const title = section.cases.find(({ id }) => id === caseId)?.title;
    if (ratios.length === 0 || title === undefined) return [];
    const ratio = median(ratios);
    const range = `${Math.min(...ratios).toFixed(2)}..${Math.max(...ratios).toFixed(2)}`;
    const verdict =
      ratio > most ? 'OVER' : aim !== undefined && ratio <= aim ? `aim ${aim} reached` : 'holds';
    return [[title, rival, ratio.toFixed(2), range, `<= ${most}`, verdict]];
  });
  if (rows.length === 0) return null;
  const left = (name: string) => ({ title: name, align: 'left' }) as const;
  const right = (name: string) => ({ title: name, align: 'right' }) as const;
  return {
    title: `CPU per request of Foreshard, everything on, times that of others, ${section.title}`,
    columns: [left('case'), left('of'), right('times'), right('range'), right('target'), left('')],
    rows,
    notes: ['Medians of the ratios within each round.'],
  };
}
