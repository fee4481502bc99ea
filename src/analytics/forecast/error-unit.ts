// In what errors of a series are counted, so that those of different levels make one distribution. Pure.

const ERROR_POWER = 0.5;
const LEVEL_FLOOR = 0.02;

/**
 * Error of a value is taken to grow like (value + floor) ** 0.5, between the noise of counts and of per cent.
 * @param level mean of the series' absolute values. @param actual what came, where that is known: a series that wakes up
 * was neither expected nor has a level, and an error in units of nothing would be without end.
 */
export function errorUnit(value: number, level: number, actual = 0): number {
  const floor = LEVEL_FLOOR * Math.max(level, Math.abs(actual));
  return (Math.abs(value) + floor + Number.EPSILON) ** ERROR_POWER;
}
