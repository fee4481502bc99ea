// Delay of a thread's event loop: what every request on it waits for before anything happens to it.

import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { Delta } from './deltas.ts';

// monitorEventLoopDelay measures a timer of this period and reports the period with the delay.
const RESOLUTION_MS = 10;
const QUANTILES = { '0.5': 50, '0.99': 99 } as const;

/** Measures the thread that makes it. */
export class LoopDelay {
  readonly #thread: string;
  readonly #histogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS });

  constructor(thread: string) {
    this.#thread = thread;
    this.#histogram.enable();
  }

  /** Gauges since the last call, seconds. */
  take(): Delta[] {
    const deltas = Object.entries(QUANTILES).map(([quantile, percentile]): Delta => {
      const seconds = this.#histogram.percentile(percentile) / 1e9 - RESOLUTION_MS / 1000;
      const labels = [this.#thread, quantile];
      return {
        kind: 'gauge',
        metric: 'foreshard_event_loop_delay_seconds',
        labels,
        value: Math.max(0, seconds),
      };
    });
    this.#histogram.reset();
    return deltas;
  }
}
