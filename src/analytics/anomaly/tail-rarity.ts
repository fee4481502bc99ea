// How rare a raw score of one method is among the scores that the method has given before: the step that makes
// methods and series comparable. Counts in bins of equal ratio, so memory is fixed; beyond the hundredth part
// the tail is a power law fitted to what was seen (Hill's estimator with a prior), because a record is not just
// "rarer than all so far": ten times the old record is rarer than a hair above it.

const BINS = 400;
const BINS_PER_DECADE = 25;
const LEAST_EXPONENT = -8;
/** Scores that must be known before any is called rare. */
const LEAST_SCORES = 20;
/** The part of all scores, and the count, that the tail is fitted to. */
const TAIL_SHARE = 0.01;
const LEAST_IN_TAIL = 10;
// The prior of the tail index is worth five scores and says 6: lighter than most series, so that a few
// records alone do not make a tail so heavy that nothing is rare any more.
const PRIOR_SCORES = 5;
const PRIOR_INDEX = 6;
const MOST_DECADES = 6;

/**
 * Rarity of non-negative scores: -log10 of the chance that a score as high comes again, 0 to 6.
 * Hill, "A simple general approach to inference about the tail of a distribution", 1975.
 */
export class TailRarity {
  readonly #counts = new Uint32Array(BINS);
  #total = 0;

  /** Rarity of `score` among those pushed before. */
  of(score: number): number {
    if (this.#total < LEAST_SCORES) return 0;
    const wanted = Math.max(TAIL_SHARE * this.#total, LEAST_IN_TAIL);
    const bin = binOf(score);
    let above = 0;
    let weightedBins = 0;
    let edge = BINS;
    while (edge > 0 && above < wanted) {
      edge--;
      above += this.#counts[edge]!;
      weightedBins += this.#counts[edge]! * edge;
    }
    if (bin <= edge) {
      for (let i = edge - 1; i >= bin; i--) above += this.#counts[i]!;
      return -Math.log10(above / this.#total);
    }
    const decades = (weightedBins - above * edge) / BINS_PER_DECADE;
    const index = (above + PRIOR_SCORES) / (decades * Math.LN10 + PRIOR_SCORES / PRIOR_INDEX);
    const beyond = Math.log10(score) - (edge / BINS_PER_DECADE + LEAST_EXPONENT);
    return Math.min(MOST_DECADES, index * beyond - Math.log10(above / this.#total));
  }

  /** Takes note of a score. */
  push(score: number): void {
    const bin = binOf(score);
    this.#counts[bin] = this.#counts[bin]! + 1;
    this.#total++;
  }
}

function binOf(score: number): number {
  if (!(score > 0)) return 0;
  const bin = Math.floor((Math.log10(score) - LEAST_EXPONENT) * BINS_PER_DECADE);
  return Math.max(0, Math.min(BINS - 1, bin));
}
