// Anomaly of one entity as the walk wants it: every metric by itself, and all of them together once enough rows
// were seen to know what is usual. The model across metrics is fitted again each time the history has doubled,
// on past rows alone, so that the same rows give the same scores live, replayed and in a backtest.

import { MetricDetector } from './anomaly/metric-detector.ts';
import { fitRowModel, RowDetector } from './anomaly/row-detector.ts';
import { coreFirst, isCoreMetric } from './ingest/sample.ts';
import type { AnomalyModel, AnomalyReading } from './models.ts';
import type { Row } from './series-store.ts';

const MAX_METRICS = 16;
// Rows kept for the model across metrics; with 16 metrics of 8 bytes, 60 KB an entity.
const KEPT_ROWS = 480;
const FIRST_FIT = 120;
// After the last doubling the model is fitted to the kept rows this often.
const REFIT_ROWS = 480;
// Rows before the first that a new detector judges: they fill its means.
const WARM_ROWS = 100;
const MAX_CAUSES = 3;
// What says that an entity has failed is no sign beside it.
const NOT_SIGNS = new Set(['up', 'registered', 'healthy', 'capacity']);

export class AnomalyWatch implements AnomalyModel {
  readonly #detectors = new Map<string, MetricDetector>();
  #rows: Float64Array[] = [];
  #joint: RowDetector | undefined;
  #width = 0;
  #sinceFit = 0;
  #nextFit = FIRST_FIT;

  observe(row: Row): AnomalyReading {
    this.#noteMetrics(row);
    let score = 0;
    const causes: { readonly metric: string; readonly level: number }[] = [];
    for (const [metric, detector] of this.#detectors) {
      const { score: own, level, words } = detector.push(row.values.get(metric) ?? Number.NaN);
      score = Math.max(score, own);
      if (words !== undefined) causes.push({ metric: `${metric} ${words}`, level });
    }
    const joint = row.values.size === 0 ? 0 : this.#judgeJointly(row);
    causes.sort((a, b) => b.level - a.level);
    return {
      score: Math.max(score, joint),
      causes: causes.slice(0, MAX_CAUSES).map(({ metric }) => metric),
    };
  }

  #noteMetrics(row: Row): void {
    for (const metric of coreFirst(row.values.keys())) {
      if (NOT_SIGNS.has(metric) || this.#detectors.has(metric)) continue;
      if (this.#detectors.size >= MAX_METRICS && !(isCoreMetric(metric) && this.#dropStranger())) continue;
      this.#detectors.set(metric, new MetricDetector());
    }
  }

  /** A core metric takes the place of one that says less. @returns whether there was any. */
  #dropStranger(): boolean {
    const stranger = [...this.#detectors.keys()].findLast((metric) => !isCoreMetric(metric));
    if (stranger === undefined) return false;
    this.#detectors.delete(stranger);
    // Rows of as many, but other metrics are of another shape as well.
    this.#width = -1;
    return true;
  }

  #judgeJointly(row: Row): number {
    const values = Float64Array.from(
      this.#detectors.keys(),
      (metric) => row.values.get(metric) ?? Number.NaN,
    );
    // A row of more metrics than before is of another shape: what was usual is learnt anew.
    if (values.length !== this.#width) {
      this.#width = values.length;
      this.#rows = [];
      this.#joint = undefined;
      this.#sinceFit = 0;
      this.#nextFit = FIRST_FIT;
    }
    const score = this.#joint?.push(values) ?? 0;
    this.#rows.push(values);
    if (this.#rows.length > KEPT_ROWS) this.#rows.shift();
    this.#sinceFit += 1;
    if (this.#sinceFit >= this.#nextFit) this.#fit();
    return score;
  }

  #fit(): void {
    this.#sinceFit = 0;
    this.#nextFit = Math.min(REFIT_ROWS, this.#nextFit * 2);
    // A day is longer than what is kept: its shape is the forecasts' business.
    const model = fitRowModel(this.#rows, this.#rows.length + 1);
    this.#joint = model === undefined ? undefined : new RowDetector(model, this.#rows.slice(-WARM_ROWS));
  }
}
