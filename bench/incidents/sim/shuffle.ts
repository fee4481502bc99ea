// The control: the same predictions at other times. Whole blocks change places, so that a prediction keeps the course
// that it had; what comes after the failure is no prediction and takes no part. Pure.

import type { Random } from '../../../src/core/random.ts';
import type { RiskRecord } from './engine-loop.ts';

/** Evaluations that stay together. */
const BLOCK = 5;

/** @param until evaluations before the failure; those after it are answered from among them again. */
export function shuffledPredictions(
  predicted: readonly RiskRecord[],
  until: number,
  random: Random,
): (evaluation: number) => RiskRecord | undefined {
  const pool = predicted.slice(0, Math.max(1, until));
  const blocks = Array.from({ length: Math.ceil(pool.length / BLOCK) }, (_, i) =>
    pool.slice(i * BLOCK, (i + 1) * BLOCK),
  );
  // Fisher and Yates.
  for (let i = blocks.length - 1; i > 0; i--) {
    const j = random.u32() % (i + 1);
    [blocks[i], blocks[j]] = [blocks[j]!, blocks[i]!];
  }
  const shuffled = blocks.flat();
  return (evaluation) => shuffled[evaluation % shuffled.length];
}
