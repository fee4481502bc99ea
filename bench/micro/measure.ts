// Times one step: enough repetitions a round that the clock's own cost vanishes, rounds enough that a
// neighbour's burst of work does not decide the figure.

import type { Clock } from '../../src/core/clock.ts';
import { median } from '../report/table.ts';

export interface Measured {
  readonly name: string;
  /** Microseconds a call. */
  readonly median: number;
  readonly best: number;
  readonly worst: number;
  /** Microseconds; undefined where the project has set none. */
  readonly bound: number | undefined;
  readonly isWithin: boolean;
}

/** What is measured; the result is kept so that the compiler cannot drop the work. */
export type Step = () => unknown;

const ROUND_MS = 60;
const WARM_UP_MS = 300;

export function measure(
  name: string,
  bound: number | undefined,
  step: Step,
  rounds: number,
  clock: Clock,
): Measured {
  let kept: unknown;
  const began = clock.monotonicMs();
  let calls = 0;
  while (clock.monotonicMs() - began < WARM_UP_MS) {
    kept = step();
    calls += 1;
  }
  const perRound = Math.max(1, Math.round((calls * ROUND_MS) / WARM_UP_MS));
  const costs: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const from = clock.monotonicMs();
    for (let i = 0; i < perRound; i++) kept = step();
    costs.push(((clock.monotonicMs() - from) * 1000) / perRound);
  }
  if (kept === began) throw new Error('never true; keeps the result alive');
  const middle = median(costs);
  return {
    name,
    median: middle,
    best: Math.min(...costs),
    worst: Math.max(...costs),
    bound,
    isWithin: bound === undefined || middle <= bound,
  };
}
