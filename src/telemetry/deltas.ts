// What workers count: plain cells in the worker, sent to the main thread as differences, where the one
// registry adds them up. A hot path holds its cell and adds to a field; no label is looked up there.

/** Label values in the order of the metric's label names. */
export type LabelValues = readonly string[];

export interface CounterCell {
  value: number;
}

/** Counts per bucket (not cumulative), the last one open-ended. */
export class HistogramCell {
  readonly counts: Uint32Array;
  sum = 0;
  readonly #bounds: readonly number[];

  constructor(bounds: readonly number[]) {
    this.#bounds = bounds;
    this.counts = new Uint32Array(bounds.length + 1);
  }

  observe(value: number): void {
    let bucket = 0;
    while (bucket < this.#bounds.length && value > this.#bounds[bucket]!) bucket += 1;
    this.counts[bucket]! += 1;
    this.sum += value;
  }
}

export type Delta =
  | {
      readonly kind: 'counter';
      readonly metric: string;
      readonly labels: LabelValues;
      readonly value: number;
    }
  | {
      readonly kind: 'histogram';
      readonly metric: string;
      readonly labels: LabelValues;
      readonly counts: readonly number[];
      readonly sum: number;
    }
  | { readonly kind: 'gauge'; readonly metric: string; readonly labels: LabelValues; readonly value: number }
  /** Forgets all series of a gauge; those that are left are set behind it. */
  | { readonly kind: 'reset'; readonly metric: string };

interface Named<Cell> {
  readonly metric: string;
  readonly labels: LabelValues;
  readonly cell: Cell;
}

// Distinct label sets one worker keeps; routes x regions x classes stay far below, strangers' bytes are
// never labels.
const MAX_CELLS = 50_000;

export class MetricDeltas {
  readonly #counters = new Map<string, Named<CounterCell>>();
  readonly #histograms = new Map<string, Named<HistogramCell>>();
  readonly #bounds: (metric: string) => readonly number[];

  /** @param bounds upper bounds of a histogram's buckets, ascending. */
  constructor(bounds: (metric: string) => readonly number[]) {
    this.#bounds = bounds;
  }

  counter(metric: string, labels: LabelValues): CounterCell {
    return cellOf(this.#counters, metric, labels, () => ({ value: 0 }));
  }

  histogram(metric: string, labels: LabelValues): HistogramCell {
    return cellOf(this.#histograms, metric, labels, () => new HistogramCell(this.#bounds(metric)));
  }

  /** What was counted since the last call. */
  take(): Delta[] {
    const deltas: Delta[] = [];
    for (const { metric, labels, cell } of this.#counters.values()) {
      if (cell.value === 0) continue;
      deltas.push({ kind: 'counter', metric, labels, value: cell.value });
      cell.value = 0;
    }
    for (const { metric, labels, cell } of this.#histograms.values()) {
      const counts = [...cell.counts];
      if (!counts.some((count) => count > 0)) continue;
      deltas.push({ kind: 'histogram', metric, labels, counts, sum: cell.sum });
      cell.counts.fill(0);
      cell.sum = 0;
    }
    return deltas;
  }
}

function cellOf<Cell>(
  map: Map<string, Named<Cell>>,
  metric: string,
  labels: LabelValues,
  make: () => Cell,
): Cell {
  const key = `${metric}\n${labels.join('\n')}`;
  let named = map.get(key);
  if (named === undefined) {
    named = { metric, labels, cell: make() };
    if (map.size < MAX_CELLS) map.set(key, named);
  }
  return named.cell;
}
