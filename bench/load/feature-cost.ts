// What a feature of Foreshard costs: CPU per request with everything on, minus the same with that feature
// off. The two run side by side and take turns second by second: on a shared machine the difference
// between two minutes is larger than any feature. Pure.

import type { PageSection } from '../report/page.ts';
import { formatFigure, median } from '../report/table.ts';
import type { Feature } from './proxies/foreshard.ts';

/** One pair of processes. */
export interface FeaturePair {
  /** Id of the feature that was off in one of the two, or EVERYTHING. */
  readonly feature: string;
  readonly round: number;
  /** CPU microseconds per request with everything on. */
  readonly onMicros: number;
  readonly offMicros: number;
}

/** The pair in which all features are off in the one and on in the other. */
export const EVERYTHING = 'everything';

export interface FeatureCost {
  readonly feature: string;
  readonly title: string;
  /** One a round. */
  readonly deltas: readonly number[];
}

export function featureCosts(pairs: readonly FeaturePair[], features: readonly Feature[]): FeatureCost[] {
  const all = [...features, { id: EVERYTHING, title: 'all of these together' }];
  return all
    .map(({ id, title }) => ({
      feature: id,
      title,
      deltas: pairs.filter((pair) => pair.feature === id).map((pair) => pair.onMicros - pair.offMicros),
    }))
    .filter((cost) => cost.deltas.length > 0);
}

export function featureSection(
  pairs: readonly FeaturePair[],
  features: readonly Feature[],
  caseTitle: string,
): PageSection {
  const costs = featureCosts(pairs, features);
  const rows = costs.map(({ feature, title, deltas }) => [
    feature,
    title,
    formatFigure(median(deltas)),
    `${formatFigure(Math.min(...deltas))}..${formatFigure(Math.max(...deltas))}`,
  ]);
  const everything = pairs.filter((pair) => pair.feature === EVERYTHING);
  const off = formatFigure(median(everything.map((pair) => pair.offMicros)));
  const title = `What each feature of Foreshard costs, ${caseTitle}, 1 worker`;
  return {
    table: {
      title,
      columns: [
        { title: 'feature', align: 'left' },
        { title: 'switched', align: 'left' },
        { title: 'CPU us/req', align: 'right' },
        { title: 'range', align: 'right' },
      ],
      rows,
      notes: [
        `Everything on: ${formatFigure(median(everything.map((pair) => pair.onMicros)))} us per request; everything off: ${off}.`,
        'All on minus this one off; both processes at once, load in turns. A range across 0: below the noise.',
      ],
    },
    charts: [
      {
        kind: 'bars',
        title: 'CPU per request of each feature',
        unit: 'us',
        bars: costs.map(({ feature, deltas }) => ({ label: feature, value: Math.max(0, median(deltas)) })),
      },
    ],
  };
}
