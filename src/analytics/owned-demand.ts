// Who will carry what: the demand of shard groups, summed over what a region owns, and in all. Values add up;
// intervals do not, and how far the parts go wrong together is measured on the total, which no shift of shards
// changes: at a few requests a second a group wavers by half of its load, and sixty-four of them hardly at all.

import type { EntityWatch } from './entity-watch.ts';
import { correlationOfWidths } from './forecast/demand-sum.ts';
import { groupEntity, SHARD_GROUPS } from './ingest/sample.ts';
import type { DemandModel, LoadOutlook, LoadShare, Models } from './models.ts';
import type { Row } from './series-store.ts';

/** Region -> 64 shares 0..1 of the shard groups. */
export type OwnedShares = ReadonlyMap<string, Float64Array>;

// Rows of the total before its width is believed over the assumption.
const LEAST_TOTALS = 20;

export class OwnedDemand {
  readonly #models: Models;
  readonly #watchOf: (key: string) => EntityWatch | undefined;
  #total: DemandModel | undefined;
  #totals = 0;
  /** What regions own of each shard group, or are about to. */
  shares: OwnedShares = new Map();
  /** The same by base weights: what they would own if no prediction had moved anything. */
  unmoved: OwnedShares = new Map();
  #correlation: number | undefined;

  /** @param watchOf the watch of an entity's key, if it is watched. */
  constructor(models: Models, watchOf: (key: string) => EntityWatch | undefined) {
    this.#models = models;
    this.#watchOf = watchOf;
  }

  /** @param rows all of one slot; those of shard groups make the total. */
  push(rows: readonly Row[]): void {
    let sum = Number.NaN;
    for (const { entity, values } of rows) {
      const rps = entity.kind === 'group' ? values.get('rps') : undefined;
      if (rps !== undefined) sum = (Number.isNaN(sum) ? 0 : sum) + rps;
    }
    if (Number.isNaN(sum)) return;
    this.#total ??= this.#models.create(groupEntity(0)).demand;
    this.#total?.push(sum);
    this.#totals += 1;
    this.#correlation = undefined;
  }

  /** Demand over all shard groups; undefined while none was measured. */
  total(): LoadOutlook | undefined {
    if (this.#totals >= LEAST_TOTALS) return this.#total?.outlook();
    return this.#sum(() => 1);
  }

  /** Load of a region as it owns demand now; undefined where that is not known. */
  of(region: string): LoadOutlook | undefined {
    return this.#owned(this.shares.get(region));
  }

  /** Load that would come to it if nothing had been moved. */
  unmovedOf(region: string): LoadOutlook | undefined {
    return this.#owned(this.unmoved.get(region));
  }

  #owned(shares: Float64Array | undefined): LoadOutlook | undefined {
    return shares === undefined ? undefined : this.#sum((group) => shares[group]!);
  }

  #sum(shareOf: (group: number) => number): LoadOutlook | undefined {
    const parts: LoadShare[] = [];
    for (let group = 0; group < SHARD_GROUPS; group++) {
      const share = shareOf(group);
      const demand = this.#watchOf(groupEntity(group).key)?.models.demand;
      if (share > 0 && demand !== undefined) parts.push({ demand, share });
    }
    return parts.length > 0 ? this.#models.combine(parts, this.#measuredCorrelation()) : undefined;
  }

  /** How far the groups go wrong together, by the total's own width; undefined while either says too little. */
  #measuredCorrelation(): number | undefined {
    if (this.#totals < LEAST_TOTALS) return undefined;
    if (this.#correlation !== undefined) return this.#correlation;
    const total = this.#total?.outlook();
    if (total === undefined) return undefined;
    const widthOf = ({ last }: LoadOutlook): number => last.upper - last.lower;
    const groups = Array.from({ length: SHARD_GROUPS }, (_, group) => this.#watchOf(groupEntity(group).key));
    const outlooks = groups.flatMap((watch) => watch?.outlook ?? []);
    this.#correlation = correlationOfWidths(widthOf(total), outlooks.map(widthOf));
    return this.#correlation;
  }
}
