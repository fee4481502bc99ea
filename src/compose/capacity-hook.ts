// Tells a webhook how many servers each region should have: when the number changes, and not more often than it
// could be acted upon. Signed; a listener that was away gets the newest numbers, not all that it missed.

import type { CapacityReport, RegionCapacityNow } from './capacity-report.ts';

// Starting a server takes longer than this everywhere.
const LEAST_PAUSE_MS = 30_000;

export class CapacityHook {
  readonly #send: (message: object) => void;
  #told = '';
  #toldAt = Number.NEGATIVE_INFINITY;

  constructor(send: (message: object) => void) {
    this.#send = send;
  }

  /** @param now monotonic milliseconds. @param report is asked for when there is something to tell. */
  offer(
    regions: Readonly<Record<string, RegionCapacityNow>>,
    now: number,
    report: () => CapacityReport,
  ): void {
    const wanted = Object.fromEntries(
      Object.entries(regions).flatMap(([id, { recommendedReplicas }]) =>
        recommendedReplicas === undefined ? [] : [[id, recommendedReplicas]],
      ),
    );
    const text = JSON.stringify(wanted);
    if (text === this.#told || text === '{}' || now - this.#toldAt < LEAST_PAUSE_MS) return;
    this.#told = text;
    this.#toldAt = now;
    this.#send({ event: 'capacity', recommendedReplicas: wanted, forecast: report() });
  }
}
