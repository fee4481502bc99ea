// A proxy as far as it places keys: it has a clock of its own, anchors each plan to it when it comes in, and asks
// the table.

import { anchorAt } from '../../src/compose/routing-publisher.ts';
import { NO_REGION } from '../../src/core/ids.ts';
import { seededRandom } from '../../src/core/random.ts';
import type { Plan } from '../../src/plan/plan.ts';
import type { SetTable } from '../../src/routing/build-snapshot.ts';
import { newU64, SEED_ZERO } from '../../src/routing/hash.ts';
import { KeyBytes } from '../../src/routing/key-bytes.ts';
import { ownerNow } from '../../src/routing/ownership.ts';
import type { EligibleSet } from '../../src/routing/snapshot.ts';
import { SharedTables } from '../../src/state/shared-tables.ts';
import { HandClock } from './clock.ts';

const tables = new SharedTables();
const random = seededRandom(1);

export class PlacingProxy {
  readonly clock: HandClock;
  readonly #key = new KeyBytes();
  #table: SetTable | undefined;
  generation = 0;

  /** @param upSince what its monotonic clock shows at the start. */
  constructor(upSince: number, wallMs: number) {
    this.clock = new HandClock(upSince, wallMs);
  }

  /** @param wallMs of the engine, when it answers. */
  receive(plan: Plan, wallMs: number): void {
    const answered = { ...plan, now: new Date(wallMs).toISOString() };
    [this.#table] = Object.values(tables.tablesOf(answered, anchorAt(answered, this.clock)));
    this.generation = plan.generation;
  }

  /** Index of the region that serves a key now; -1 = none. */
  ownerOf(key: string, neutrality = 0): number {
    const table = this.#table!;
    this.#key.reset();
    this.#key.addLatin1(key);
    const { hi } = this.#key.hash(SEED_ZERO, newU64());
    const shard = shardOf(hi, table.owners.length);
    const now = this.clock.monotonicMs();
    // Of a set, placing a key reads the table alone.
    const set = table as unknown as EligibleSet;
    const owner = ownerNow(set, shard, { key: this.#key, isKeyed: true, random, now, neutrality });
    return owner === NO_REGION ? -1 : owner;
  }
}

export const shardOf = (hi: number, shards: number): number => hi >>> (32 - Math.log2(shards));
