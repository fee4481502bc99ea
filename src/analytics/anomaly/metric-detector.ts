// Anomaly score of one metric: a few small methods look at it, each score becomes a rarity, the rarities are
// averaged and damped to one rise an incident. One value a call, memory bounded, nothing fitted ahead of
// time: production and `foreshard backtest anomaly` run exactly this.

import { BlockSeries } from './block-series.ts';
import { IncidentDamping } from './incident-damping.ts';
import { LagNovelty } from './lag-novelty.ts';
import { LevelShift } from './level-shift.ts';
import { TailRarity } from './tail-rarity.ts';

export interface MetricAnomaly {
  /**
   * 0..1: 1 - exp(-r), r the mean rarity in decades of what is new. 0.3 is a usual bar for an alarm; values
   * that are no number, and the first ones, have 0.
   */
  readonly score: number;
  /** The same undamped: how abnormal the metric is, whether or not that is news. */
  readonly level: number;
  /** Says how it is abnormal, to follow the metric's name; undefined while little is. */
  readonly words: string | undefined;
}

// Two scales. Changes from value to value show bursts and a lost rhythm; blocks of twelve (6 min of 30 s
// steps, an hour of 5 min steps) take the noise away, and a few blocks have a shape.
const BLOCK = 12;
const HISTORY = 2000;
/** Rows that one incident may last before it is news again. */
const REST = 250;
/**
 * Novelty, in deviations of the series, that counts for half: what is rare but tiny is not worth a word,
 * however quiet the metric has been.
 */
const WORTH_NOTICE = 0.3;
/** Values beyond this count as this: squares of differences stay finite. */
const MOST_VALUE = 1e100;
/** Level from which words are found. */
const WORTH_WORDS = 0.4;
/** Deviations from which a shift of the level is the plainer explanation than a shape. */
const CLEAR_SHIFT = 3;

export class MetricDetector {
  readonly #blocks = [
    new BlockSeries('mean', BLOCK, new LagNovelty({ lags: 6, neighbours: 2, history: HISTORY })),
    new BlockSeries('mean', BLOCK, new LagNovelty({ lags: 4, neighbours: 3, history: HISTORY })),
    new BlockSeries('greatest', BLOCK, new LagNovelty({ lags: 4, neighbours: 2, history: HISTORY })),
  ];
  readonly #changes = new LagNovelty({ lags: 6, neighbours: 2, history: HISTORY });
  readonly #blockRarities = this.#blocks.map(() => new TailRarity());
  readonly #changeRarity = new TailRarity();
  readonly #shift = new LevelShift({ window: BLOCK, memory: HISTORY });
  readonly #damping = new IncidentDamping(REST);
  #before: number | undefined;

  /** Takes the next value; one that is not a number is a gap, which nothing is learnt from. */
  push(measured: number): MetricAnomaly {
    if (Number.isNaN(measured)) return { score: 0, level: 0, words: undefined };
    const value = Math.max(-MOST_VALUE, Math.min(MOST_VALUE, measured));
    const change = value - (this.#before ?? value);
    this.#before = value;
    const shift = this.#shift.push(value);
    let sum = weigh(this.#changes.push(change), this.#changeRarity);
    for (let i = 0; i < this.#blocks.length; i++) {
      sum += weigh(this.#blocks[i]!.push(value), this.#blockRarities[i]!);
    }
    const weight = sum / (this.#blocks.length + 1);
    const level = 1 - Math.exp(-weight);
    const score = 1 - Math.exp(-this.#damping.push(weight));
    return { score, level, words: level >= WORTH_WORDS ? describe(shift) : undefined };
  }
}

/** Rarity of a novelty, in decades, as far as the novelty is large enough to matter. */
function weigh(novelty: number, rarity: TailRarity): number {
  const decades = rarity.of(novelty);
  rarity.push(novelty);
  const size = novelty / WORTH_NOTICE;
  return Number.isFinite(size * size) ? (decades * size * size) / (1 + size * size) : decades;
}

function describe(shift: number): string {
  if (Math.abs(shift) < CLEAR_SHIFT) return 'follows a course not seen before';
  return `${shift > 0 ? 'rose' : 'fell'} ${Math.abs(shift).toFixed(1)} deviations from its usual level`;
}
