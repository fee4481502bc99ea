// What goes wrong many times a second for hours is worth a line of the log once a minute, with how often it was.

import type { Clock } from '../core/clock.ts';

const EVERY_MS = 60_000;
// Phrases told apart; texts of others count as one, so that numbers in them cannot flood the log after all.
const MAX_PHRASES = 16;
const OTHERS = '';

interface Said {
  at: number;
  /** Times since then. */
  times: number;
}

export class RarePhrase {
  readonly #clock: Clock;
  readonly #said = new Map<string, Said>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** It happened once more. @returns how often since it was said last when it should be said now, else 0. */
  due(phrase: string): number {
    const now = this.#clock.monotonicMs();
    const key = this.#said.has(phrase) || this.#said.size < MAX_PHRASES ? phrase : OTHERS;
    const said = this.#said.get(key) ?? { at: Number.NEGATIVE_INFINITY, times: 0 };
    this.#said.set(key, said);
    said.times += 1;
    if (now - said.at < EVERY_MS) return 0;
    const { times } = said;
    said.at = now;
    said.times = 0;
    return times;
  }
}
