// Requests per second of each region, from the workers' cells, and with a stated capacity its utilisation,
// which the guard of a decision reads.

import type { LiveCells } from '../state/live-cells.ts';
import { healthyBehind, isUsable } from '../state/live-view.ts';

export interface MeteredRegion {
  readonly id: string;
  readonly index: number;
  /** Requests/s; undefined = not known. */
  readonly capacity: number | undefined;
  readonly slots: readonly number[];
}

// Half of a step in load shows after some 700 ms: slower would fill a region before the guard sees it,
// faster would make single bursts look like load.
const TIME_CONSTANT_MS = 1000;

export class LoadMeter {
  readonly #cells: LiveCells;
  #regions: readonly MeteredRegion[] = [];
  #attempts: number[] = [];
  #rates: number[] = [];
  #measuredAt = 0;

  constructor(cells: LiveCells) {
    this.#cells = cells;
  }

  /**
   * Takes over a new set of regions; those that stay keep their rate. A region that looked idle after each
   * reload would get more than it can take.
   */
  watch(regions: readonly MeteredRegion[], now: number): void {
    const before = new Map(this.#regions.map((region, i) => [region.id, this.#rates[i]!]));
    this.#regions = regions;
    this.#attempts = regions.map((region) => this.#count(region));
    this.#rates = regions.map(({ id }) => before.get(id) ?? 0);
    this.#measuredAt = now;
    this.#publish();
  }

  /** One measurement; @param now monotonic milliseconds. */
  tick(now: number): void {
    const elapsed = now - this.#measuredAt;
    if (elapsed <= 0) return;
    this.#measuredAt = now;
    const gain = 1 - Math.exp(-elapsed / TIME_CONSTANT_MS);
    this.#regions.forEach((region, i) => {
      const attempts = this.#count(region);
      // A worker that died takes its counts with it; that is no negative rate.
      const rate = (Math.max(0, attempts - this.#attempts[i]!) * 1000) / elapsed;
      this.#attempts[i] = attempts;
      this.#rates[i]! += gain * (rate - this.#rates[i]!);
    });
    this.#publish();
  }

  #publish(): void {
    this.#regions.forEach((region, i) => {
      const { index, capacity } = region;
      const healthyShare = this.#healthyShare(region);
      this.#cells.setLoad(index, this.#rates[i]! / ((capacity ?? Number.NaN) * healthyShare), healthyShare);
    });
  }

  /**
   * What is stated is the capacity of all servers. Those that are left when one is out would be overrun by the load of
   * all, and the next one ejected for its time-outs, and so on: they are as full as they are.
   */
  #healthyShare({ index, slots }: MeteredRegion): number {
    const usable = slots.filter((slot) => isUsable(slot, this.#cells)).length;
    const reported = this.#cells.reported(index);
    const registered = reported?.registered ?? slots.length;
    // Without any it is chosen only when nobody has one; then its load says nothing.
    return usable === 0 || registered === 0 ? 1 : Math.min(1, healthyBehind(usable, reported) / registered);
  }

  /**
   * Load of all regions over what their servers could carry without one of them; NaN where a capacity is not known.
   * @param slot of a server that would be missing.
   */
  utilisationWithout(slot: number): number {
    let [rate, left] = [0, 0];
    this.#regions.forEach((region, i) => {
      const share = region.slots.includes(slot) ? 1 / region.slots.length : 0;
      rate += this.#rates[i]!;
      left += (region.capacity ?? Number.NaN) * Math.max(0, this.#healthyShare(region) - share);
    });
    return rate / left;
  }

  /** Requests/s towards a region. */
  rate(index: number): number {
    const i = this.#regions.findIndex((region) => region.index === index);
    return this.#rates[i] ?? 0;
  }

  #count(region: MeteredRegion): number {
    let sum = 0;
    for (const slot of region.slots) {
      for (let worker = 0; worker < this.#cells.workers; worker++) sum += this.#cells.attempts(worker, slot);
    }
    return sum;
  }
}
