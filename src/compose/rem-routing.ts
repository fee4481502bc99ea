// A manager's members -> what its data path serves by and its health monitor watches: the same plan, tables
// and snapshot as a proxy's, over one region.

import type { Config } from '../config/schema.ts';
import type { RemConfig } from '../config/schema-rem.ts';
import type { Clock } from '../core/clock.ts';
import type { MonitoredServer, Standing } from '../health/monitor.ts';
import type { Plan } from '../plan/plan.ts';
import type { MeteredRegion } from '../region/load-meter.ts';
import type { Member } from '../region/members.ts';
import type { ServerRegistry } from '../region/registry.ts';
import type { SnapshotInput } from '../routing/build-snapshot.ts';
import type { PolicyDocument } from '../routing/regional-policy.ts';
import type { LiveCells } from '../state/live-cells.ts';
import type { SharedTables } from '../state/shared-tables.ts';
import { basePlan } from './base-plan.ts';
import { dataPathConfig } from './rem-config.ts';
import { anchorAt, snapshotInput } from './routing-publisher.ts';

export interface RemRoutingTools {
  readonly clock: Clock;
  readonly cells: LiveCells;
  readonly registry: ServerRegistry;
  readonly tables: SharedTables;
  readonly incarnation: string;
}

export interface RemPublished {
  readonly input: SnapshotInput;
  readonly watched: readonly MonitoredServer[];
  readonly metered: readonly MeteredRegion[];
}

export class RemRouting {
  readonly #tools: RemRoutingTools;
  #policy: PolicyDocument | undefined;
  #plan: Plan | undefined;
  #generation = 0;

  constructor(tools: RemRoutingTools) {
    this.#tools = tools;
  }

  /** Of the manager's process. */
  get incarnation(): string {
    return this.#tools.incarnation;
  }

  get policy(): PolicyDocument {
    if (this.#policy === undefined) throw new Error('nothing was published yet');
    return this.#policy;
  }

  /** Live cell of a server; undefined when it has none. */
  slotOf(url: string): number | undefined {
    return this.#tools.registry.slotOf(url);
  }

  /**
   * @param policy undefined = the one in force. @param refuses new requests are not taken any more.
   * @returns a sentence when it cannot be; then nothing has changed.
   */
  publish(
    rem: RemConfig,
    policy: PolicyDocument | undefined,
    members: readonly Member[],
    refuses: boolean,
  ): RemPublished | string {
    const { registry, tables, clock } = this.#tools;
    const config = dataPathConfig(rem, members);
    const { region } = rem;
    const problem = registry.replace(members.map(({ url }) => ({ id: url, origin: url, region })));
    if (problem !== undefined) return problem;
    this.#policy = policy ?? this.policy;
    this.#generation += 1;
    this.#plan = this.#planOf(config);
    const input = snapshotInput(config, this.#plan, tables, {
      configGeneration: this.#generation,
      slots: registry.slots(),
      policies: { [region]: this.#policy },
      roundTrips: {},
      managerOf: region,
      toMonotonic: anchorAt(this.#plan, clock),
    });
    const standings = new Map(members.map((member) => [member.url, standingOf(member, refuses)]));
    const entries = registry.entries();
    return {
      input,
      watched: entries.map((entry) => ({ ...entry, standing: standings.get(entry.id) })),
      metered: [{ id: region, index: 0, capacity: rem.capacity, slots: entries.map(({ slot }) => slot) }],
    };
  }

  #planOf(config: Config): Plan {
    return basePlan(config, { previous: this.#plan }, this.#tools.tables, {
      incarnation: this.#tools.incarnation,
      generation: 1,
      at: new Date(this.#tools.clock.wallMs()).toISOString(),
    });
  }
}

function standingOf(member: Member, refuses: boolean): Standing | undefined {
  if (refuses || member.drain !== undefined) return 'draining';
  return member.isExpired ? 'unhealthy' : undefined;
}
