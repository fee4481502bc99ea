// How many requests a second a region can take, by whoever knows best: the configuration, else its manager, else
// what was learnt from its load. Pure.

import type { EntityWatch } from './entity-watch.ts';

export interface RegionCapacity {
  /** Requests/s. */
  readonly value: number;
  readonly source: 'configured' | 'reported' | 'learnt';
}

/** @returns undefined while nobody knows. */
export function regionCapacity(
  { row, capacity }: EntityWatch,
  configured: number | undefined,
): RegionCapacity | undefined {
  if (configured !== undefined) return { value: configured, source: 'configured' };
  const reported = row?.values.get('capacity');
  if (reported !== undefined && reported > 0) return { value: reported, source: 'reported' };
  const learnt = capacity.value();
  return learnt === undefined ? undefined : { value: learnt, source: 'learnt' };
}
