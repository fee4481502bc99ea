// What an overload model learns from: the load's past replayed against several capacities, not only the
// real one. Few sites exceed their capacity often enough to learn from; all of them exceed 70 % of it.

import {
  LEVEL_STATE_SIZE,
  LoadLevels,
  logUtilisation,
  OVERLOAD_COLUMNS,
  writeOverloadColumns,
} from './load-levels.ts';
import type { WeightedRows } from './logistic-regression.ts';
import { type OverloadRule, OverloadTracker } from './overload-event.ts';

// Rows remembered: three weeks of minutes, 8 bytes each. Where the load stood is worked out anew when it is asked for.
const MAX_ROWS = 30_240;
const FIRST_ROWS = 256;
// Shares of the capacity in force that the past is replayed against.
const REPLAYED_CAPACITIES = [0.5, 0.6, 0.7, 0.8, 0.9, 1, 1.1, 1.2, 1.3] as const;
// Quiet rows kept: one in four; nothing is learnt from the rest, and it is three quarters of the time.
const QUIET_EVERY = 4;
// Rows with the level below this share of the capacity (exp -1) are never near an overload.
export const FAR_BELOW = -1;

interface Replayed {
  readonly features: number[];
  readonly labels: number[];
  readonly times: number[];
}

export class OverloadHistory {
  readonly #rule: OverloadRule;
  readonly #horizonRows: number;
  #loads = new Float32Array(FIRST_ROWS);
  #capacities = new Float32Array(FIRST_ROWS);
  #rows = 0;

  constructor(rule: OverloadRule, horizonRows: number) {
    this.#rule = rule;
    this.#horizonRows = horizonRows;
  }

  /** Rows remembered. */
  get length(): number {
    return Math.min(this.#rows, MAX_ROWS);
  }

  push(load: number, capacity: number): void {
    const room = this.#loads.length;
    if (this.#rows === room && room < MAX_ROWS) {
      this.#loads = grown(this.#loads);
      this.#capacities = grown(this.#capacities);
    }
    const at = this.#rows % MAX_ROWS;
    this.#loads[at] = load;
    this.#capacities[at] = capacity;
    this.#rows += 1;
  }

  /** Every row near a replayed capacity, with 1 where an overload of it began within the horizon. */
  trainingRows(): Omit<WeightedRows, 'unseenFrom'> {
    const features: number[] = [];
    const labels: number[] = [];
    const times: number[] = [];
    const states = this.#states();
    for (const share of REPLAYED_CAPACITIES) this.#replay(share, states, { features, labels, times });
    return {
      features: Float64Array.from(features),
      columns: OVERLOAD_COLUMNS,
      labels: Uint8Array.from(labels),
      quietWeight: QUIET_EVERY,
      times: Int32Array.from(times),
    };
  }

  /** Where the load stood at each row, oldest first: its levels, learnt again from the rows that are left. */
  #states(): Float32Array {
    const levels = new LoadLevels(this.#horizonRows);
    const states = new Float32Array(this.length * LEVEL_STATE_SIZE);
    for (let i = 0; i < this.length; i += 1) {
      levels.push(this.#loads[this.#at(i)]!);
      levels.writeState(states, i * LEVEL_STATE_SIZE);
    }
    return states;
  }

  #replay(share: number, states: Float32Array, { features, labels, times }: Replayed): void {
    const { begins, closed, exceeding } = this.#follow(share);
    const count = this.length;
    const row = new Float64Array(OVERLOAD_COLUMNS);
    let next = Number.POSITIVE_INFINITY;
    for (let i = count - 1; i >= 0; i -= 1) {
      const ahead = next - i;
      if (begins[i] === 1) next = i;
      // The youngest horizon has no outcome yet; in an overload or a closed pause none can begin.
      if (i >= count - this.#horizonRows || closed[i] === 1) continue;
      const soon = ahead <= this.#horizonRows ? 1 : 0;
      if (soon === 0 && (i + this.#rows) % QUIET_EVERY !== 0) continue;
      const at = this.#at(i);
      const capacity = this.#capacities[at]! * share;
      const seen = {
        state: states,
        stateOffset: i * LEVEL_STATE_SIZE,
        logCapacity: Math.log(capacity),
      };
      if (!(logUtilisation(seen) > FAR_BELOW)) continue;
      const exceedsNow = this.#loads[at]! > capacity;
      writeOverloadColumns(row, 0, { ...seen, exceeding: exceeding[i]!, exceedsNow });
      features.push(...row);
      labels.push(soon);
      times.push(this.#rows - count + i);
    }
  }

  /** Runs the rule over the past at a share of the capacity. */
  #follow(share: number): { begins: Uint8Array; closed: Uint8Array; exceeding: Uint8Array } {
    const count = this.length;
    const tracker = new OverloadTracker(this.#rule);
    const begins = new Uint8Array(count);
    const closed = new Uint8Array(count);
    const exceeding = new Uint8Array(count);
    let lastOver = Number.NEGATIVE_INFINITY;
    for (let i = 0; i < count; i += 1) {
      const at = this.#at(i);
      const capacity = this.#capacities[at]! * share;
      if (tracker.push(this.#loads[at]!, capacity)) begins[i] = 1;
      else if (tracker.over) closed.fill(1, Math.max(0, lastOver), i);
      exceeding[i] = tracker.exceeding(capacity);
      if (tracker.over) {
        lastOver = i;
        closed[i] = 1;
      } else if (i - lastOver <= this.#rule.pauseRows - this.#horizonRows) closed[i] = 1;
    }
    return { begins, closed, exceeding };
  }

  #at(index: number): number {
    return (this.#rows - this.length + index) % MAX_ROWS;
  }
}

function grown(values: Float32Array): Float32Array<ArrayBuffer> {
  const larger = new Float32Array(Math.min(MAX_ROWS, 2 * values.length));
  larger.set(values);
  return larger;
}
