// The scale that a trained method works in: values around zero with unit spread, logarithms where all of the history
// is positive. Confines what comes out to the neighbourhood of what went in.

export interface Scale {
  into(value: number): number;
  outOf(scaled: number): number;
  /** The nearest scaled value that may be said at all. */
  confine(scaled: number): number;
}

/** A path may leave the range of the history by this share of it on each side. */
const BEYOND_RANGE = 1;

/** Scale of a history; null when a logarithm is asked for and the history has values at or below zero. */
export function scaleFor(history: Float64Array, isLog: boolean): Scale | null {
  let least = Number.POSITIVE_INFINITY;
  for (const value of history) least = Math.min(least, value);
  if (isLog && !(least > 0)) return null;
  const step = isLog ? Math.log : (value: number) => value;
  // A later value at or below zero is taken as the least that was seen.
  const floor = isLog ? least : Number.NEGATIVE_INFINITY;
  let sum = 0;
  let squares = 0;
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (const value of history) {
    const stepped = step(value);
    sum += stepped;
    low = Math.min(low, stepped);
    high = Math.max(high, stepped);
  }
  const mean = sum / history.length;
  for (const value of history) squares += (step(value) - mean) ** 2;
  const spread = Math.sqrt(squares / history.length);
  const unit = spread > 0 ? spread : 1;
  const margin = BEYOND_RANGE * (high - low);
  const bottom = (low - margin - mean) / unit;
  const top = (high + margin - mean) / unit;
  return {
    into: (value) => (step(Math.max(value, floor)) - mean) / unit,
    outOf: (scaled) => {
      const stepped = scaled * unit + mean;
      return isLog ? Math.exp(stepped) : stepped;
    },
    confine: (scaled) => (scaled < bottom ? bottom : Math.min(scaled, top)),
  };
}
