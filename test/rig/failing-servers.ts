// Servers that fail in known ways, row by row from a seed: a leak that ends in a crash, latency and errors
// that creep, and what only looks like it (daily peaks, a heap that is collected). Shapes of our own making.

import { type Random, seededRandom } from '../../src/core/random.ts';

export const METRICS = ['cpu', 'memory', 'error_rate', 'latency_ms_p99', 'queue_depth', 'rps'] as const;
export const STEP_MS = 30_000;
export const ROWS_PER_DAY = 2880;

export interface ServerRow {
  readonly atMs: number;
  readonly values: readonly number[];
  readonly failing: boolean;
}

/** What goes wrong from `row` on, over `rows` rows; the failure itself lasts ten rows behind them. */
export interface Trouble {
  readonly kind: 'leak' | 'latency' | 'errors' | 'crash';
  readonly row: number;
  readonly rows: number;
}

const FAILURE_ROWS = 10;

/** A server with a daily cycle (CPU .35 to .85 at its peak), a heap that is collected every two hours, and troubles. */
export function* serverRows(rows: number, troubles: readonly Trouble[], seed: number): Generator<ServerRow> {
  const random = seededRandom(seed);
  for (let row = 0; row < rows; row += 1) {
    const trouble = troubles.find((one) => row >= one.row && row < one.row + one.rows + FAILURE_ROWS);
    const progress = trouble === undefined ? 0 : Math.min(1, (row - trouble.row) / trouble.rows);
    const failing = trouble !== undefined && row >= trouble.row + trouble.rows;
    yield { atMs: row * STEP_MS, values: metricsAt(row, random, trouble?.kind, progress, failing), failing };
  }
}

function metricsAt(
  row: number,
  random: Random,
  kind: Trouble['kind'] | undefined,
  progress: number,
  failing: boolean,
): number[] {
  const noise = (size: number): number => size * (random.next() + random.next() + random.next() - 1.5);
  const day = 0.5 - 0.5 * Math.cos((2 * Math.PI * row) / ROWS_PER_DAY);
  const heap = 0.35 + 0.25 * ((row % 240) / 240);
  const worst = failing ? 1 : progress;
  return [
    Math.min(1, 0.35 + 0.5 * day + noise(0.05)),
    Math.min(1, kind === 'leak' ? heap + (0.98 - heap) * worst + noise(0.005) : heap + noise(0.01)),
    Math.max(0, 0.002 + noise(0.001) + (kind === 'errors' ? 0.3 * worst : 0) + (failing ? 0.5 : 0)),
    Math.max(1, (60 + 30 * day + noise(12)) * (kind === 'latency' ? 20 ** worst : 1) * (failing ? 5 : 1)),
    Math.max(0, 2 + 2 * day + noise(1) + (failing ? 200 : 0)),
    Math.max(0, 100 + 200 * day + noise(20)),
  ];
}
