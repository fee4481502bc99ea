// A document that many ask for within a moment: put into words once.

import type { Clock } from '../core/clock.ts';

// Shorter than a person or a scraper could tell from none.
const KEPT_MS = 250;

export class BriefText {
  readonly #clock: Clock;
  #kept: { readonly text: string; readonly at: number } | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** @returns the JSON text of `document`, or that of an earlier one of the last 250 ms. */
  of(document: () => object): string {
    const now = this.#clock.monotonicMs();
    if (this.#kept === undefined || now - this.#kept.at >= KEPT_MS) {
      this.#kept = { text: JSON.stringify(document()), at: now };
    }
    return this.#kept.text;
  }

  /** What was said no longer holds. */
  forget(): void {
    this.#kept = undefined;
  }
}
