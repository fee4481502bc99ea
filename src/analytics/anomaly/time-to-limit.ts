// When a resource runs out: memory, disk or a queue that grows steadily has a time at which it is full, and that
// time is a reason people understand. The slope is the median of all slopes between two points (Theil 1950,
// Sen 1968): a third of the points may be wild without moving it. A metric that goes up and down has pairs
// that disagree, and then nothing is said.

export interface LimitWatchOptions {
  /** The value at which the resource is exhausted. */
  readonly limit: number;
  /** Points looked at, newest last; 8 to 200. */
  readonly points: number;
  /** Points older than this are dropped, milliseconds. */
  readonly memoryMs: number;
}

export interface TimeToLimit {
  /** Value per second. */
  readonly slope: number;
  /** Seconds to the limit on the median slope, 0 when it is reached, Infinity when it is not approached. */
  readonly seconds: number;
  /** The same on the upper and lower quartile of the slopes. */
  readonly earliest: number;
  readonly latest: number;
  /** Share of the pairs of points that rise, 0..1; 0.5 is what noise has. */
  readonly agreement: number;
}

/** Below, a straight line through the points means nothing. */
const LEAST_POINTS = 8;
/** Share of rising pairs from which a rise is called steady: noise of as many points has it once in thousands. */
const STEADY = 0.8;

export class LimitWatch {
  readonly #options: LimitWatchOptions;
  #points: { readonly atMs: number; readonly value: number }[] = [];

  constructor(options: LimitWatchOptions) {
    this.#options = options;
  }

  /** Takes a measurement; one that is not finite or not later than the last is left out. */
  push(atMs: number, value: number): void {
    const last = this.#points.at(-1);
    if (!Number.isFinite(value) || !Number.isFinite(atMs) || (last !== undefined && atMs <= last.atMs))
      return;
    const { points, memoryMs } = this.#options;
    this.#points = this.#points.filter((point) => point.atMs >= atMs - memoryMs).slice(1 - points);
    this.#points.push({ atMs, value });
  }

  /** What the points say, seen from the last of them; undefined while there are too few. */
  estimate(): TimeToLimit | undefined {
    const points = this.#points;
    if (points.length < LEAST_POINTS) return undefined;
    const slopes: number[] = [];
    let rising = 0;
    for (let i = 1; i < points.length; i++) {
      for (let j = 0; j < i; j++) {
        const slope = (points[i]!.value - points[j]!.value) / ((points[i]!.atMs - points[j]!.atMs) / 1000);
        slopes.push(slope);
        if (slope > 0) rising++;
      }
    }
    slopes.sort((a, b) => a - b);
    const at = (share: number): number => slopes[Math.floor(share * (slopes.length - 1))]!;
    const left = this.#options.limit - levelNow(points, at(0.5));
    return {
      slope: at(0.5),
      seconds: secondsUntil(left, at(0.5)),
      earliest: secondsUntil(left, at(0.75)),
      latest: secondsUntil(left, at(0.25)),
      agreement: rising / slopes.length,
    };
  }

  /**
   * The reason in words, to follow the resource's name: "reaches its limit in 4 min"; undefined when it
   * does not rise steadily or not within the horizon.
   */
  words(horizonSeconds: number): string | undefined {
    const estimate = this.estimate();
    if (estimate === undefined) return undefined;
    if (estimate.seconds === 0) return 'is at its limit';
    if (estimate.agreement < STEADY || estimate.seconds > horizonSeconds) return undefined;
    return `reaches its limit in ${spell(estimate.seconds)}`;
  }
}

/** The line's value at the last point, through the median of the points: one wild last value does not move it. */
function levelNow(
  points: readonly { readonly atMs: number; readonly value: number }[],
  slope: number,
): number {
  const now = points.at(-1)!.atMs;
  const levels = points.map(({ atMs, value }) => value + (slope * (now - atMs)) / 1000).sort((a, b) => a - b);
  return levels[levels.length >> 1]!;
}

function secondsUntil(left: number, slope: number): number {
  if (left <= 0) return 0;
  return slope > 0 ? left / slope : Number.POSITIVE_INFINITY;
}

function spell(seconds: number): string {
  if (seconds < 90) return `${Math.max(1, Math.round(seconds))} s`;
  return seconds < 5400 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3600)} h`;
}
