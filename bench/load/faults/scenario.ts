// What a fault scenario is: a situation made on purpose, and figures of it beside the bounds they must hold.

import type { Clock } from '../../../src/core/clock.ts';
import type { LineChart } from '../../report/chart.ts';
import type { Feature } from '../proxies/foreshard.ts';
import type { RunningProxy } from '../rig.ts';

export interface Figure {
  readonly name: string;
  readonly measured: string;
  /** Empty for a figure that is only told. */
  readonly bound: string;
  readonly holds: boolean;
}

export interface ScenarioResult {
  readonly figures: readonly Figure[];
  readonly charts: readonly LineChart[];
}

export interface ScenarioRig {
  readonly clock: Clock;
  readonly folder: string;
  /** Shorter times and smaller counts; the bounds stay. */
  readonly quick: boolean;
  readonly show: (text: string) => void;
  /** Features of this checkout, all on. */
  readonly features: readonly Feature[];
  /** Starts a Foreshard with these servers, by region, and further top-level keys; ended with the scenario. */
  startForeshard(
    regions: Readonly<Record<string, readonly number[]>>,
    keys?: Readonly<Record<string, unknown>>,
  ): Promise<RunningProxy>;
  /** Called at the scenario's end, whatever happened. */
  atEnd(cleanUp: () => Promise<void> | void): void;
}

export interface Scenario {
  /** As in the table of faults that the project holds itself to. */
  readonly id: string;
  readonly title: string;
  run(rig: ScenarioRig): Promise<ScenarioResult>;
}

/** A number that may be at most `bound`. */
export function atMost(name: string, value: number, bound: number, format: (n: number) => string): Figure {
  return { name, measured: format(value), bound: `<= ${format(bound)}`, holds: value <= bound };
}

export function atLeast(name: string, value: number, bound: number, format: (n: number) => string): Figure {
  return { name, measured: format(value), bound: `>= ${format(bound)}`, holds: value >= bound };
}

/** A count that must be `expected` exactly. */
export function exactly(name: string, value: number, expected: number): Figure {
  return { name, measured: String(value), bound: `= ${expected}`, holds: value === expected };
}

export function told(name: string, measured: string): Figure {
  return { name, measured, bound: '', holds: true };
}
