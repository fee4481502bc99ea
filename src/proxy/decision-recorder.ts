// Writes down what a sampled decision read beside the request: draws, loads, the moment, where round robin stood.
// With these, the plan and the request the same decision can be made again, and gives the same region. Requests
// that are not sampled never pass here. What is drawn for a sticky cookie is a key, and is not kept.

import { NO_REGION, type RegionIndex } from '../core/ids.ts';
import type { Random } from '../core/random.ts';
import { type DecideContext, type Decision, neutralityAt } from '../routing/decide.ts';
import type { LiveView } from '../routing/eligibility.ts';
import { progressOf } from '../routing/ownership.ts';
import type { Cursors, RegionLoads } from '../routing/policies/policy.ts';
import type { Snapshot } from '../routing/snapshot.ts';

/** By region index where a list is of regions; null where nothing was asked, or the answer was not known. */
export interface DecisionInputs {
  /** 32-bit draws in the order in which they were made. */
  readonly draws: readonly number[];
  /** Requests/s over capacity. */
  readonly utilisation: readonly (number | null)[];
  readonly inFlight: readonly (number | null)[];
  /** Of those, the ones without a response head. */
  readonly waiting: readonly (number | null)[];
  /** Of each region's stated capacity, what its servers in rotation are. */
  readonly healthyShare: readonly (number | null)[];
  /** Credit of each region before a round robin's turn. */
  readonly credit: readonly number[] | null;
  /** Share of the keys of moving shards that had crossed; null without a shift. */
  readonly progress: number | null;
  /** How far a stale plan had been left for the base weights, 0..1. */
  readonly neutrality: number;
}

export class DecisionRecorder {
  readonly context: DecideContext;
  readonly #draws = new RecordedRandom();
  readonly #loads: RecordedLoads;
  readonly #cursors: RecordedCursors;
  #now = 0;

  constructor(deciding: DecideContext) {
    this.#draws.source = deciding.random;
    this.#loads = new RecordedLoads(deciding.loads);
    this.#cursors = new RecordedCursors(deciding.cursors);
    this.context = {
      ...deciding,
      random: this.#draws,
      loads: this.#loads,
      cursors: this.#cursors,
      now: () => {
        this.#now = deciding.now();
        return this.#now;
      },
    };
  }

  /** To be called before each decision. */
  begin(): void {
    this.#draws.drawn = [];
    this.#loads.reset();
    this.#cursors.credit = null;
  }

  /** What the decision since `begin` has read; undefined when none was made. */
  inputsOf(decision: Decision, snapshot: Snapshot, live: LiveView): DecisionInputs | undefined {
    if (decision.kind !== 'forward') return undefined;
    const { shift } = decision.set.movement;
    const listed = (known: ReadonlyMap<number, number>): (number | null)[] =>
      known.size === 0
        ? []
        : snapshot.regions.map(({ index }) => {
            const value = known.get(index);
            return value === undefined || Number.isNaN(value) ? null : value;
          });
    return {
      draws: decision.newCookie === null ? this.#draws.drawn : [],
      utilisation: listed(this.#loads.utilisations),
      inFlight: listed(this.#loads.counts),
      waiting: listed(this.#loads.waits),
      healthyShare: listed(this.#loads.shares),
      credit: this.#cursors.credit,
      progress: shift === null ? null : progressOf(shift, this.#now),
      neutrality: neutralityAt(snapshot, live, this.#now),
    };
  }
}

class RecordedRandom implements Random {
  source: Random | undefined;
  drawn: number[] = [];

  u32(): number {
    const drawn = this.source!.u32();
    this.drawn.push(drawn);
    return drawn;
  }

  next(): number {
    return this.u32() / 0x1_0000_0000;
  }
}

class RecordedLoads implements RegionLoads {
  readonly #loads: RegionLoads;
  readonly utilisations = new Map<number, number>();
  readonly counts = new Map<number, number>();
  readonly waits = new Map<number, number>();
  readonly shares = new Map<number, number>();

  constructor(loads: RegionLoads) {
    this.#loads = loads;
  }

  reset(): void {
    this.utilisations.clear();
    this.counts.clear();
    this.waits.clear();
    this.shares.clear();
  }

  /** The first answer is kept for the decision: it must not see two. */
  utilisation(region: RegionIndex): number {
    return region === NO_REGION
      ? Number.NaN
      : remembered(this.utilisations, region, (one) => this.#loads.utilisation(one));
  }

  inFlight(region: RegionIndex): number {
    return remembered(this.counts, region, (one) => this.#loads.inFlight(one));
  }

  waiting(region: RegionIndex): number {
    return remembered(this.waits, region, (one) => this.#loads.waiting(one));
  }

  healthyShare(region: RegionIndex): number {
    return remembered(this.shares, region, (one) => this.#loads.healthyShare(one));
  }
}

function remembered(
  known: Map<number, number>,
  region: RegionIndex,
  ask: (region: RegionIndex) => number,
): number {
  let value = known.get(region);
  if (value === undefined) {
    value = ask(region);
    known.set(region, value);
  }
  return value;
}

/** The cursors themselves, with a copy of what was read: a policy writes into what it gets. */
class RecordedCursors extends Map<number, Float64Array> {
  readonly #cursors: Cursors;
  credit: number[] | null = null;

  constructor(cursors: Cursors) {
    super();
    this.#cursors = cursors;
  }

  override get(route: number): Float64Array | undefined {
    const credit = this.#cursors.get(route);
    this.credit = credit === undefined ? null : [...credit];
    return credit;
  }

  override set(route: number, credit: Float64Array): this {
    this.#cursors.set(route, credit);
    return this;
  }
}
