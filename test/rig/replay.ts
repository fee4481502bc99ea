// Makes a recorded decision again: the plan it was made on, the regions as the trace says they were, the draws
// and loads that it read, and the request, which the test knows because it has sent it.

import { snapshotInput } from '../../src/compose/routing-publisher.ts';
import type { Config } from '../../src/config/schema.ts';
import type { Plan } from '../../src/plan/plan.ts';
import type { DecisionInputs } from '../../src/proxy/decision-recorder.ts';
import { buildSnapshotAtOnce } from '../../src/routing/build-snapshot.ts';
import { type Decision, decide, type RequestFacts } from '../../src/routing/decide.ts';
import type { LiveView } from '../../src/routing/eligibility.ts';
import type { Snapshot } from '../../src/routing/snapshot.ts';
import { SharedTables } from '../../src/state/shared-tables.ts';
import { contextOf } from './world.ts';

/** What a trace says of its decision; of a record, or of the API's document. */
export interface Recorded {
  readonly inputs: DecisionInputs;
  readonly regions: readonly {
    readonly region: string;
    readonly healthy: number;
    readonly registered: number;
  }[];
}

const tables = new SharedTables();

export function snapshotOf(config: Config, plan: Plan): Snapshot {
  const urls = config.regions.flatMap((region) => (region.servers ?? []).map(({ url }) => url));
  return buildSnapshotAtOnce(
    snapshotInput(config, plan, tables, {
      configGeneration: 1,
      slots: Object.fromEntries(urls.map((url, slot) => [url, { slot, incarnation: 1 }])),
      policies: {},
      roundTrips: {},
      toMonotonic: (ms) => ms,
    }),
  );
}

export function decideAgain(snapshot: Snapshot, recorded: Recorded, facts: RequestFacts): Decision {
  const { inputs } = recorded;
  const draws = [...inputs.draws];
  const draw = (): number => {
    const drawn = draws.shift();
    if (drawn === undefined) throw new Error('the decision draws more than was recorded');
    return drawn;
  };
  const context = contextOf({
    random: { u32: draw, next: () => draw() / 2 ** 32 },
    utilisation: (region) => inputs.utilisation[region] ?? Number.NaN,
    inFlight: (region) => inputs.inFlight[region] ?? 0,
    waiting: (region) => inputs.waiting[region] ?? 0,
    healthyShare: (region) => inputs.healthyShare[region] ?? 1,
  });
  const index = snapshot.matcher.match(facts);
  if (inputs.credit !== null) context.cursors.set(index, Float64Array.from(inputs.credit));
  return decide(atProgress(snapshot, inputs.progress), liveOf(snapshot, recorded), facts, context);
}

function liveOf(snapshot: Snapshot, { regions, inputs }: Recorded): LiveView {
  const of = (id: string) => regions.find(({ region }) => region === id)!;
  return {
    version: 0,
    healthy: Uint16Array.from(snapshot.regions, ({ id }) => of(id).healthy),
    registered: Uint16Array.from(snapshot.regions, ({ id }) => of(id).registered),
    servers: snapshot.regions.map(({ id, servers }) => servers.slice(0, of(id).healthy)),
    present: snapshot.regions.map(({ servers }) => servers),
    nearby: null,
    // The moment of the decision is 0.
    staleSince: inputs.neutrality === 0 ? Number.POSITIVE_INFINITY : -inputs.neutrality * snapshot.plan.ttl,
    setViews: [],
    reachViews: new Map(),
  };
}

function atProgress(snapshot: Snapshot, progress: number | null): Snapshot {
  if (progress === null) return snapshot;
  const sets = snapshot.sets.map((set) => {
    const { shift } = set.movement;
    if (shift === null) return set;
    return { ...set, movement: { ...set.movement, shift: { ...shift, progress: [[0, progress]] as const } } };
  });
  const routes = snapshot.routes.map((route) => ({
    ...route,
    set: sets[route.set.index]!,
    criticalSet: sets[route.criticalSet.index]!,
  }));
  return { ...snapshot, sets, routes };
}
