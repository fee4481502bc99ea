// Makes one forecast of what the experts say: the mixture by the weights of the nearest tracked horizons, and the
// median, which needs no weights and shrugs off one expert that has lost its way.

/** Writes sum of weight x path per step; between tracked horizons the weights are interpolated. */
export function mixByWeights(
  paths: readonly Float64Array[],
  tracked: readonly number[],
  weightsAt: (index: number) => Float64Array,
  out: Float64Array,
): void {
  let upper = 0;
  for (let h = 1; h <= out.length; h++) {
    while (upper < tracked.length - 1 && tracked[upper]! < h) upper += 1;
    const right = weightsAt(upper);
    const left = upper === 0 ? right : weightsAt(upper - 1);
    const from = upper === 0 ? 0 : tracked[upper - 1]!;
    const share = Math.min(1, (h - from) / (tracked[upper]! - from));
    let sum = 0;
    for (let e = 0; e < paths.length; e++) {
      sum += (share * right[e]! + (1 - share) * left[e]!) * paths[e]![h - 1]!;
    }
    out[h - 1] = sum;
  }
}

/** Writes the median of the paths per step. */
export function mixByMedian(paths: readonly Float64Array[], out: Float64Array): void {
  const column = new Float64Array(paths.length);
  const middle = paths.length >> 1;
  for (let h = 0; h < out.length; h++) {
    for (let e = 0; e < paths.length; e++) column[e] = paths[e]![h]!;
    column.sort();
    out[h] = paths.length % 2 === 1 ? column[middle]! : (column[middle - 1]! + column[middle]!) / 2;
  }
}
