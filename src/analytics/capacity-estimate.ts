// How many requests a second a region can take, where nobody said so. Two witnesses: the load over the share of
// the CPU that it took (what the busiest resource would allow at its full), and the load at which answers began
// to fail. The second one is a fact and wins, until as much is served well. Without either the capacity is unknown,
// and said to be.

import { packNumbers, type StateReader } from './state-reader.ts';

const GAIN = 0.05;
// Below this share of CPU the quotient is mostly idle noise.
const LEAST_CPU = 0.15;
// Observations before the quotient is believed.
const LEAST_SEEN = 10;
// A region that refuses or fails this share of its requests is at its limit.
const SATURATED_ERRORS = 0.05;
const BUSY_CPU = 0.8;
// Errors are the load's only when it is greater than all that went well by more than it wavers: a bug comes at a
// usual load.
const BEYOND_FINE = 1.05;
// Served well this near to where it failed once, the limit is higher than it was thought to be, by this much a row.
const NEAR_LIMIT = 0.95;
const REFUTED_GAIN = 0.02;

export class CapacityEstimate {
  #quotient = Number.NaN;
  #seen = 0;
  #failedAt = Number.NaN;
  #highestFine = 0;

  observe(values: ReadonlyMap<string, number>): void {
    const rps = values.get('rps');
    if (rps === undefined || !(rps > 0)) return;
    const cpu = values.get('cpu');
    if (cpu !== undefined && cpu >= LEAST_CPU) {
      const quotient = rps / cpu;
      this.#quotient = this.#seen === 0 ? quotient : this.#quotient + GAIN * (quotient - this.#quotient);
      this.#seen += 1;
    }
    const isBusy = (cpu ?? 0) > BUSY_CPU || rps > BEYOND_FINE * this.#highestFine;
    if ((values.get('error_rate') ?? 0) < SATURATED_ERRORS) {
      this.#highestFine = Math.max(rps, this.#highestFine * (1 - GAIN / 10));
      if (rps > NEAR_LIMIT * this.#failedAt) this.#failedAt *= 1 + REFUTED_GAIN;
    } else if (isBusy && this.#highestFine > 0) {
      // Errors of a region that is busier than it ever was well: load, not a bug.
      const limit = Math.max(this.#highestFine, rps);
      this.#failedAt = Number.isNaN(this.#failedAt) ? limit : this.#failedAt + 0.3 * (limit - this.#failedAt);
    }
  }

  /** Requests/s; undefined = not known. */
  value(): number | undefined {
    if (!Number.isNaN(this.#failedAt)) return Math.max(this.#failedAt, this.#highestFine);
    return this.#seen >= LEAST_SEEN ? Math.max(this.#quotient, this.#highestFine) : undefined;
  }

  state(): object {
    return { numbers: packNumbers([this.#quotient, this.#seen, this.#failedAt, this.#highestFine]) };
  }

  /** @param state of an earlier `state()`; throws UnreadableState for anything else. */
  static restore(state: StateReader): CapacityEstimate {
    const estimate = new CapacityEstimate();
    const [quotient = Number.NaN, seen = 0, failedAt = Number.NaN, fine = 0] = state.numbers('numbers', 4);
    estimate.#quotient = quotient;
    estimate.#seen = seen;
    estimate.#failedAt = failedAt;
    estimate.#highestFine = fine;
    return estimate;
  }
}
