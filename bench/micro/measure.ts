// Costs of one step in CPU time of this thread: time in which the machine runs something else is not in it.
// Enough repetitions a round that reading the time costs nothing, rounds enough that a neighbour who empties
// the caches for a while does not decide the figure.

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

/** CPU milliseconds. */
const ROUND_MS = 60;
const WARM_UP_MS = 400;
/** Calls between two readings of the time, which cost a microsecond each. */
const BATCH = 4;

function threadCpuMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}

export function measure(name: string, bound: number | undefined, step: Step, rounds: number): Measured {
  let kept: unknown;
  const began = threadCpuMs();
  let calls = 0;
  while (threadCpuMs() - began < WARM_UP_MS) {
    for (let i = 0; i < BATCH; i++) kept = step();
    calls += BATCH;
  }
  const perRound = Math.max(1, Math.round((calls * ROUND_MS) / WARM_UP_MS));
  const costs: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const from = threadCpuMs();
    for (let i = 0; i < perRound; i++) kept = step();
    costs.push(((threadCpuMs() - from) * 1000) / perRound);
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

/**
 * Resolves to the milliseconds of each piece between two pauses, in order; as many every time. By the clock on the
 * wall: the accounting of CPU time may know no less than 4 ms, and a median over rounds leaves out what a
 * neighbour took.
 */
export type Sliced = () => Promise<readonly number[]>;

const SLICED_WARM_UP = 30;
const SLICED_PER_ROUND = 21;

/** What holds a thread up at one stretch: of the pieces, each at its median over a round, the longest. */
export async function measureLongest(
  name: string,
  bound: number,
  sliced: Sliced,
  rounds: number,
): Promise<Measured> {
  for (let i = 0; i < SLICED_WARM_UP; i++) await sliced();
  const longest: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const runs: (readonly number[])[] = [];
    for (let i = 0; i < SLICED_PER_ROUND; i++) runs.push(await sliced());
    const pieces = runs[0]!.map((_, piece) => median(runs.map((run) => run[piece]!)));
    longest.push(Math.max(...pieces) * 1000);
  }
  const middle = median(longest);
  const [best, worst] = [Math.min(...longest), Math.max(...longest)];
  return { name, median: middle, best, worst, bound, isWithin: middle <= bound };
}
