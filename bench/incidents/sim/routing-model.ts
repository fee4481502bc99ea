// Where a key goes by a plan: the table's owner, key by key while a shift is under way, then its shard's other regions in
// the ring's order. The product's own functions decide, on tables compiled as a proxy compiles them.

import type { Clock } from '../../../src/core/clock.ts';
import type { Random } from '../../../src/core/random.ts';
import type { Plan } from '../../../src/plan/plan.ts';
import { LEAST_OF_SUBSTITUTES } from '../../../src/routing/eligibility.ts';
import { fractionOf, newU64, SEED_ZERO, type U64, xxh64Text } from '../../../src/routing/hash.ts';
import { KeyBytes } from '../../../src/routing/key-bytes.ts';
import { ownerNow } from '../../../src/routing/ownership.ts';
import { SharedTables } from '../../../src/state/shared-tables.ts';

/** What a request's key says of its way. */
export interface KeyRoute {
  /** Region ids, the owner first. */
  readonly regions: readonly string[];
  /** Place of the key among those that a half-healthy region gives away, 0..1. */
  readonly spillPlace: number;
  /** 0..63 */
  readonly group: number;
}

const SPILL_SEED: Readonly<U64> = Object.freeze(xxh64Text('spill'));
const HALVES = 0x1_0000_0000;
const GROUPS = 64;

export class RoutingModel {
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #tables = new SharedTables();
  readonly #key = new KeyBytes();
  readonly #hash = newU64();
  #plan: Plan | undefined;
  #table: ReturnType<SharedTables['tablesOf']>[string] | undefined;
  #regions: readonly string[] = [];
  /** Regions that the plan has emptied so far that they are no substitute for others. */
  demoted: ReadonlySet<string> = new Set();
  /** Requests per shard since they were last taken. */
  counts = new Uint32Array(0);

  constructor(clock: Clock, random: Random) {
    this.#clock = clock;
    this.#random = random;
  }

  /** Takes a plan if it is another one than the last; its first table serves all. */
  apply(plan: Plan): void {
    if (plan === this.#plan) return;
    this.#plan = plan;
    const offset = this.#clock.wallMs() - this.#clock.monotonicMs();
    this.#table = Object.values(this.#tables.tablesOf(plan, (wallMs) => wallMs - offset))[0]!;
    this.#regions = plan.regions.map(({ id }) => id);
    const shares = plan.regions.map(({ weight, baseWeight }) => weight / baseWeight);
    const least = LEAST_OF_SUBSTITUTES * Math.max(...shares);
    this.demoted = new Set(this.#regions.filter((_, i) => shares[i]! < least));
    const shards = this.#table.owners.length;
    if (this.counts.length !== shards) this.counts = new Uint32Array(shards);
  }

  routeOf(key: string): KeyRoute {
    const { owners, orders } = this.#table!;
    this.#key.reset();
    this.#key.addLatin1(key);
    const { hi } = this.#key.hash(SEED_ZERO, this.#hash);
    const shard = Math.floor((hi / HALVES) * owners.length);
    this.counts[shard]! += 1;
    const regions: string[] = [];
    const owner = ownerNow(this.#table!, shard, {
      key: this.#key,
      isKeyed: true,
      random: this.#random,
      now: this.#clock.monotonicMs(),
      neutrality: 0,
    });
    for (const index of [
      owner,
      ...orders.regions.subarray(shard * orders.regionCount, (shard + 1) * orders.regionCount),
    ]) {
      const id = this.#regions[index];
      if (id !== undefined && !regions.includes(id)) regions.push(id);
    }
    const spillPlace = fractionOf(this.#key.hash(SPILL_SEED, this.#hash));
    return { regions, spillPlace, group: Math.floor((hi / HALVES) * GROUPS) };
  }
}
